//! Their tracers over a pipeline of ours.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{self as otel, SpanBuilder, TraceContextExt};
use opentelemetry::{Context, InstrumentationScope};

use super::api::{self, Span};
use super::kind::kind;
use crate::clock::unix_nanos;
use crate::context;
use crate::layer::{Begun, Manual, Scope};

/// Makes tracers whose spans go through a pipeline: by its sampler, its limits and its exporter.
///
/// Made of a [`Handle`](crate::Handle). It does not keep the pipeline alive: when that has been shut down, what ends is dropped and counted.
/// The pipeline's filter and its disabled targets hold for a tracer's name as for the target of a callsite of level INFO. Names,
/// versions and attributes of the first 1,024 scopes are kept for as long as the process lives; what further ones record has a scope
/// without a name.
#[derive(Clone, Debug)]
pub struct TracerProvider(Arc<Manual>);

impl TracerProvider {
    pub(crate) fn new(manual: Manual) -> Self {
        Self(Arc::new(manual))
    }
}

impl otel::TracerProvider for TracerProvider {
    type Tracer = Tracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Tracer {
        let attributes = scope
            .attributes()
            .map(|pair| (pair.key.as_str(), api::convert::value(&pair.value)));
        Tracer {
            manual: Arc::clone(&self.0),
            scope: Scope::of(
                scope.name(),
                scope.version().unwrap_or_default(),
                attributes,
                scope.schema_url().unwrap_or_default(),
            ),
        }
    }
}

/// Makes spans of one instrumentation scope.
#[derive(Clone, Debug)]
pub struct Tracer {
    manual: Arc<Manual>,
    scope: &'static Scope,
}

impl otel::Tracer for Tracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let outer = || Span::not_recorded(parent.span().span_context().clone());
        if Context::is_current_telemetry_suppressed() || parent.is_telemetry_suppressed() {
            return outer();
        }
        let begun = Begun {
            scope: self.scope,
            name: &builder.name,
            kind: kind(builder.span_kind.as_ref()),
            parent: &context::Context::from(parent),
            start: unix_nanos(builder.start_time.unwrap_or_else(SystemTime::now)),
        };
        match self
            .manual
            .begin(&begun, |far| api::describe(&builder, far))
        {
            None => outer(),
            Some((context, None)) => Span::not_recorded(context_of(&context)),
            Some((context, Some(far))) => {
                api::add_events(&builder, &far);
                Span::new(context_of(&context), far)
            }
        }
    }
}

fn context_of(context: &context::Context) -> otel::SpanContext {
    context.span().map_or(otel::SpanContext::NONE, Into::into)
}
