//! Contexts on their way between processes: which headers, in which form.

use std::fmt;
use std::sync::Arc;

use super::{Baggage, Context, Extractor, Injector, b3, trace_context};
use crate::quiet;

/// A form in which a context travels. Which forms a pipeline reads and writes is said by
/// [`Builder::with_propagators`](crate::Builder::with_propagators) or `OTEL_PROPAGATORS`.
///
/// What cannot be read is no error: it is as if it had not been sent. Nothing empty is ever written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Propagator {
    /// W3C Trace Context level 2: `traceparent` and `tracestate`.
    ///
    /// Version 00 is written, with all 8 flags. Of later versions the ids and the sampled flag are read. Several `tracestate`
    /// are combined in their order; one that is not valid is left out, and the trace goes on. Several `traceparent` are as none.
    TraceContext,
    /// W3C Baggage: `baggage`.
    ///
    /// Several headers are combined in their order. A member that is not valid is left out, and the others stay.
    Baggage,
    /// B3 in one header, `b3`, as it is written. Both forms of B3 are read, the single header first.
    ///
    /// A debug flag (`d`, or `X-B3-Flags: 1`) is passed on and means sampled; ids of 64 bits get zeros in front. A span whose
    /// sender left the decision to others counts as not sampled, as elsewhere in OpenTelemetry, and is passed on as it came
    /// where no span of this process stands between.
    B3,
    /// B3 in several headers, `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled` and `X-B3-Flags`, as it is written; it is read as
    /// [`B3`](Self::B3) is. `X-B3-ParentSpanId` is never written.
    B3Multi,
}

impl Propagator {
    /// All that there are.
    pub(crate) const ALL: [Self; 4] = [Self::TraceContext, Self::Baggage, Self::B3, Self::B3Multi];

    /// The headers that it writes. Clear a carrier of them before a context is written into it a second time.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::TraceContext => trace_context::FIELDS,
            Self::Baggage => &[BAGGAGE],
            Self::B3 => b3::SINGLE_FIELDS,
            Self::B3Multi => b3::MULTI_FIELDS,
        }
    }

    /// As `OTEL_PROPAGATORS` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
        }
    }

    fn inject(self, context: &Context, carrier: &mut dyn Injector) {
        match self {
            Self::TraceContext => trace_context::inject(context, carrier),
            Self::Baggage => inject_baggage(context, carrier),
            Self::B3 => b3::inject_single(context, carrier),
            Self::B3Multi => b3::inject_multi(context, carrier),
        }
    }

    /// What is read, over what the context had; what it had stays where nothing can be read.
    fn extract(self, context: Context, carrier: &dyn Extractor) -> Context {
        match self {
            Self::TraceContext => trace_context::extract(context, carrier),
            Self::Baggage => extract_baggage(context, carrier),
            Self::B3 | Self::B3Multi => b3::extract(context, carrier),
        }
    }
}

/// A form of one's own in which a context travels, for [`Builder::with_custom_propagator`](crate::Builder::with_custom_propagator). What
/// it panics with, or its carrier, is caught, and as if nothing had been read or written; nothing that it records is recorded.
///
/// ```
/// use tracing_otlp::{
///     Context, CustomPropagator, Extractor, Injector, SpanContext, SpanId, TraceFlags, TraceId, TraceState,
/// };
///
/// #[derive(Debug)]
/// struct TwoHeaders;
///
/// impl CustomPropagator for TwoHeaders {
///     fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
///         if let Some(span) = context.span() {
///             carrier.set("trace", &span.trace_id().to_string());
///             carrier.set("span", &span.span_id().to_string());
///         }
///     }
///
///     fn extract(&self, context: Context, carrier: &dyn Extractor) -> Context {
///         let trace = carrier.get("trace").and_then(|id| u128::from_str_radix(&id, 16).ok());
///         let span = carrier.get("span").and_then(|id| u64::from_str_radix(&id, 16).ok());
///         let trace = trace.and_then(|id| TraceId::from_bytes(id.to_be_bytes()));
///         let span = span.and_then(|id| SpanId::from_bytes(id.to_be_bytes()));
///         let Some((trace, span)) = trace.zip(span) else {
///             return context;
///         };
///         Context::from(SpanContext::remote(trace, span, TraceFlags::SAMPLED, TraceState::default()))
///     }
///
///     fn fields(&self) -> Vec<String> {
///         vec!["trace".to_owned(), "span".to_owned()]
///     }
/// }
/// ```
pub trait CustomPropagator: fmt::Debug + Send + Sync + 'static {
    /// Writes what it has to say of the context.
    fn inject(&self, context: &Context, carrier: &mut dyn Injector);

    /// What is read, over what the context has from the forms before it; the context itself where nothing can be read.
    fn extract(&self, context: Context, carrier: &dyn Extractor) -> Context;

    /// The headers that it writes.
    fn fields(&self) -> Vec<String>;
}

const BAGGAGE: &str = "baggage";

fn inject_baggage(context: &Context, carrier: &mut dyn Injector) {
    let header = context.baggage().to_string();
    if !header.is_empty() {
        carrier.set(BAGGAGE, &header);
    }
}

fn extract_baggage(context: Context, carrier: &dyn Extractor) -> Context {
    let headers = carrier.get_all(BAGGAGE);
    let baggage = Baggage::parse(headers.iter().map(AsRef::as_ref));
    if baggage.is_empty() {
        return context;
    }
    context.with_baggage(baggage)
}

/// The forms that a pipeline reads and writes, one after the other in their order: of what several can read, the last one's
/// holds (specification, composite propagator). They belong to a pipeline, not to the process: there is no global one.
#[derive(Clone, Debug)]
pub(crate) struct Propagators(Arc<[Form]>);

#[derive(Clone, Debug)]
enum Form {
    Known(Propagator),
    Custom(Arc<dyn CustomPropagator>),
}

impl Default for Propagators {
    /// `tracecontext,baggage` (specification, `OTEL_PROPAGATORS`).
    fn default() -> Self {
        Self::new([Propagator::TraceContext, Propagator::Baggage])
    }
}

impl Propagators {
    /// Each of them once, where it came first.
    pub(crate) fn new(list: impl IntoIterator<Item = Propagator>) -> Self {
        let mut forms = Vec::new();
        for form in list {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        Self(forms.into_iter().map(Form::Known).collect())
    }

    /// These, and the program's own behind them.
    pub(crate) fn and(self, custom: Vec<Arc<dyn CustomPropagator>>) -> Self {
        if custom.is_empty() {
            return self;
        }
        let known = self.0.iter().cloned();
        Self(known.chain(custom.into_iter().map(Form::Custom)).collect())
    }

    /// Writes what there is to say of the context. The carrier is user code: what it panics with goes to the caller.
    pub(crate) fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        for form in self.0.iter() {
            match form {
                Form::Known(form) => form.inject(context, carrier),
                Form::Custom(form) => {
                    let _ = quiet::guarded(|| form.inject(context, carrier));
                }
            }
        }
    }

    /// What the carrier says; an empty context where it says nothing that can be read.
    pub(crate) fn extract(&self, carrier: &dyn Extractor) -> Context {
        let forms = self.0.iter();
        forms.fold(Context::default(), |context, form| match form {
            Form::Known(form) => form.extract(context, carrier),
            Form::Custom(form) => {
                let before = context.clone();
                quiet::guarded(|| form.extract(context, carrier)).unwrap_or(before)
            }
        })
    }

    /// The headers that are written.
    #[cfg(any(test, fuzzing, feature = "_bridge"))]
    pub(crate) fn fields(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|form| match form {
            Form::Known(form) => form.fields().iter().map(ToString::to_string).collect(),
            Form::Custom(form) => quiet::guarded(|| form.fields()).unwrap_or_default(),
        })
    }
}

/// As in `OTEL_PROPAGATORS`.
impl fmt::Display for Propagators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |form: &Form| match form {
            Form::Known(form) => form.name(),
            Form::Custom(_) => "custom",
        };
        let names: Vec<_> = self.0.iter().map(name).collect();
        f.pad(
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(",")
            }
            .as_str(),
        )
    }
}

#[cfg(test)]
mod tests;
