//! The tracer that their layer starts its spans with: each is a span of ours, which takes over what was said to theirs.

use std::sync::Arc;

use opentelemetry::trace::{SpanBuilder, SpanContext, Tracer};
use opentelemetry::{Context, Value};

use super::cells::Cells;
use super::compat::{SPAN, Untouched};
use crate::bridge::opentelemetry_0_33::{Span, describe};
use crate::context;

#[derive(Debug)]
pub(super) struct Shim(Arc<Cells>);

impl Shim {
    pub(super) fn new(cells: Arc<Cells>) -> Self {
        Self(cells)
    }

    fn build(&self, mut builder: SpanBuilder, parent: &Context) -> Option<Span> {
        let attributes = builder.attributes.as_mut()?;
        let at = attributes
            .iter()
            .position(|pair| pair.key.as_str() == SPAN)?;
        let Value::I64(number) = attributes.remove(at).value else {
            return None;
        };
        let id = number.cast_unsigned();
        let far = self.0.far(id)?;
        let _building = self.0.build(id)?;
        let is_untouched = |Untouched(known): &Untouched| *known == id;
        if !parent.get::<Untouched>().is_some_and(is_untouched) {
            // Where it has started, nobody can.
            far.set_parent(&parent.into());
        }
        describe(&builder, &far);
        let span = far
            .start()
            .as_ref()
            .and_then(context::Context::span)?
            .into();
        Some(Span::of_tracing(span, far))
    }
}

impl Tracer for Shim {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let built = self.build(builder, parent);
        built.unwrap_or_else(|| Span::not_recorded(SpanContext::NONE))
    }
}
