//! What a program says to a `tracing::Span`, and asks of it, beside its fields.
//!
//! [`reach`] finds the layer of a span, [`write`] says something to it, [`carry`] takes contexts from and to other processes, and
//! [`remote`] holds the one that roots are below.

mod carry;
mod reach;
pub(super) mod remote;
#[cfg(feature = "fmt")]
mod shown;
mod stray;
pub(super) mod write;

use std::time::SystemTime;

use tracing::Span;

pub use self::carry::{extract, inject};
pub(super) use self::reach::{At, answers, default_dispatch};
pub(super) use self::remote::{current as remote_parent, is_attached as is_remote_parent_attached};
pub use self::remote::{with_remote_parent, with_remote_parent_async};
#[cfg(feature = "fmt")]
pub use self::shown::WithTraceIds;
use crate::context::{Context, SpanContext};
use crate::error::Error;
use crate::id::{SpanId, TraceId};
use crate::layer::OtlpLayer;
use crate::model::{Status, Value};

/// What can be said to a [`tracing::Span`] and asked of it, beside its fields.
///
/// It finds the layer that records the span through any wrapper (`Filtered`, `Option`, `Box`, `Vec`, `reload`) and on any thread. Behind
/// `reload`, and for spans that no layer of this crate records, that takes an allocation or two, and a Registry below. Of several
/// layers of this crate one answers and is told: the outermost that records the span, and one that `reload` hides only after all
/// others.
///
/// What is said to a span that is disabled, or not sampled, or by a value's `Debug` deeper than four levels, goes nowhere: then the
/// values are not even looked at. Where values come from an iterator that panics, the call does nothing. The limits of
/// [`Limits`](crate::Limits) hold, and the span counts what was left out. No call allocates, unless it says so.
///
/// ```
/// use tracing_otlp::{SpanExt, Status};
///
/// let span = tracing::info_span!("checkout");
/// span.set_attribute("cart.items", 3);
/// span.add_event("reserved", [("warehouse", "north".into())]);
/// span.set_status(Status::error("out of stock"));
/// ```
pub trait SpanExt: sealed::Sealed {
    /// Puts the span below another one, as a rule one of another process: takes over its trace, its flags, its tracestate and its
    /// baggage, and its children do so too.
    ///
    /// That is possible until the span *starts*: until it is entered, has a child or an event, is linked to, or its context is asked
    /// for. Then its ids are known to others. An empty context changes nothing. Tracestate and baggage count towards the memory limit; while
    /// more than half of that is used, they are not carried along.
    ///
    /// The sampler is asked again, with this parent. Where it has dropped the span as a root and now does not, the span is recorded from
    /// here on: fields that it was created with, and links that it got since, count as dropped, and a status or a name is not kept. A callsite that declares the field `otel.kind`, as a server's span
    /// does, keeps them, since the sampler drops its roots only when they start.
    ///
    /// # Errors
    ///
    /// Nothing is changed when the span has started ([`Error::is_started`]), or when it is disabled or no layer of this crate records
    /// it ([`Error::is_disabled`]); in that case, see [`with_remote_parent`].
    ///
    /// ```
    /// use tracing_otlp::{SpanContext, SpanExt, SpanId, TraceFlags, TraceId, TraceState};
    ///
    /// # fn ids() -> Option<(TraceId, SpanId)> {
    /// #     Some((TraceId::from_bytes([1; 16])?, SpanId::from_bytes([2; 8])?))
    /// # }
    /// # let Some((trace_id, span_id)) = ids() else { return };
    /// let caller = SpanContext::remote(trace_id, span_id, TraceFlags::SAMPLED, TraceState::default());
    /// let span = tracing::info_span!("request");
    /// if let Err(error) = span.set_parent(caller) {
    ///     assert!(error.is_disabled()); // no layer here
    /// }
    /// ```
    fn set_parent(&self, parent: impl Into<Context>) -> Result<(), Error>;

    /// Who the span is to others, and its baggage: what is passed on to other processes. The span starts.
    ///
    /// A span that is disabled has the context of its nearest ancestor that is recorded; one that no subscriber knows, such as
    /// `Span::none()`, that of the current span. Without any it is the context of [`with_remote_parent`] (so without a layer the
    /// caller's context is passed on as it came), and else an empty one.
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// let context = tracing::Span::current().context();
    /// assert!(context.span().is_none()); // no span, no layer
    /// ```
    fn context(&self) -> Context;

    /// The trace's id, by the rule of [`SpanExt::context`]. The span starts.
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// if let Some(trace_id) = tracing::Span::current().trace_id() {
    ///     println!("see trace {trace_id}");
    /// }
    /// ```
    fn trace_id(&self) -> Option<TraceId>;

    /// The span's id, by the rule of [`SpanExt::context`]. The span starts.
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// assert_eq!(tracing::Span::none().span_id(), None);
    /// ```
    fn span_id(&self) -> Option<SpanId>;

    /// The value of the header `traceparent` (W3C Trace Context), by the rule of [`SpanExt::context`], in a text of its own. The span
    /// starts. For whole requests, see [`inject`].
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// if let Some(traceparent) = tracing::Span::current().traceparent() {
    ///     println!("<meta name=\"traceparent\" content=\"{traceparent}\">");
    /// }
    /// ```
    fn traceparent(&self) -> Option<String>;

    /// Links the span to another one. Links stay in their order.
    ///
    /// A [`SpanContext`] is always valid, so that there is no link without ids to leave out.
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// fn process(batch: &[tracing_otlp::SpanContext]) {
    ///     let span = tracing::info_span!("process");
    ///     for (place, message) in batch.iter().enumerate() {
    ///         span.add_link(message, [("place", place.into())]);
    ///     }
    ///     span.in_scope(|| { /* .. */ });
    /// }
    /// ```
    fn add_link<'a>(
        &self,
        to: &SpanContext,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    );

    /// Sets an attribute, also one that is no field of the callsite. One that has the key already is replaced, also at the limit of
    /// their number (specification, set attribute). An empty key is ignored.
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// let span = tracing::info_span!("query");
    /// span.set_attribute("db.response.returned_rows", 12);
    /// span.set_attribute("tables", ["users", "orders"].as_slice());
    /// ```
    fn set_attribute<'a>(&self, key: &str, value: impl Into<Value<'a>>);

    /// Says how the span went: Ok is final, an error is replaced by a later one, and Unset changes nothing (specification, set
    /// status).
    ///
    /// ```
    /// use tracing_otlp::{SpanExt, Status};
    ///
    /// tracing::Span::current().set_status(Status::error("no such user"));
    /// ```
    fn set_status(&self, status: Status);

    /// Adds an event with the current time. Events stay in their order. The span starts.
    ///
    /// Unlike `tracing`'s events this one goes to no other layer, and has neither level nor target.
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// let span = tracing::info_span!("request");
    /// span.add_event("cache.miss", []);
    /// span.add_event("retry", [("attempt", 2.into()), ("after", "timeout".into())]);
    /// ```
    fn add_event<'a>(&self, name: &str, attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>);

    /// As [`SpanExt::add_event`], at a time that is known from elsewhere. Its place among the events is that of the call.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tracing_otlp::SpanExt;
    ///
    /// let queued = SystemTime::now() - Duration::from_millis(20);
    /// tracing::Span::current().add_event_at("queued", queued, []);
    /// ```
    fn add_event_at<'a>(
        &self,
        name: &str,
        time: SystemTime,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    );

    /// Gives the span another name. A sampler that has been asked has seen the last one.
    ///
    /// ```
    /// use tracing_otlp::SpanExt;
    ///
    /// tracing::Span::current().update_name("GET /users/{id}");
    /// ```
    fn update_name(&self, name: &str);
}

mod sealed {
    #[allow(unnameable_types, reason = "nobody else implements the trait")]
    pub trait Sealed {}
    impl Sealed for tracing::Span {}
}

impl SpanExt for Span {
    fn set_parent(&self, parent: impl Into<Context>) -> Result<(), Error> {
        let parent = parent.into();
        let answer = self.with_subscriber(|(id, dispatch)| {
            let number = id.into_u64();
            if let Some(layer) = dispatch.downcast_ref::<OtlpLayer>()
                && layer.try_set_parent(number, &parent)
            {
                return Some(Ok(()));
            }
            reach::layer_of(dispatch, id, move |layer| layer.set_parent(number, &parent))
        });
        answer.flatten().unwrap_or_else(|| Err(Error::disabled()))
    }

    fn context(&self) -> Context {
        reach::nearest(self, OtlpLayer::context_of)
            .or_else(remote::current)
            .unwrap_or_default()
    }

    fn trace_id(&self) -> Option<TraceId> {
        self.context().span().map(SpanContext::trace_id)
    }

    fn span_id(&self) -> Option<SpanId> {
        self.context().span().map(SpanContext::span_id)
    }

    fn traceparent(&self) -> Option<String> {
        self.context().span().map(SpanContext::traceparent)
    }

    fn add_link<'a>(
        &self,
        to: &SpanContext,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    ) {
        reach::tell(self, |at| write::add_link(at, to, attributes));
    }

    fn set_attribute<'a>(&self, key: &str, value: impl Into<Value<'a>>) {
        reach::tell(self, |at| write::set_attribute(at, key, value));
    }

    fn set_status(&self, status: Status) {
        reach::tell(self, |at| write::set_status(at, status));
    }

    fn add_event<'a>(
        &self,
        name: &str,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    ) {
        reach::tell(self, |at| write::add_event(at, name, None, attributes));
    }

    fn add_event_at<'a>(
        &self,
        name: &str,
        time: SystemTime,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    ) {
        reach::tell(self, |at| {
            write::add_event(at, name, Some(time), attributes)
        });
    }

    fn update_name(&self, name: &str) {
        reach::tell(self, |at| write::update_name(at, name));
    }
}
