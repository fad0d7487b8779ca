//! The layer: from `tracing`'s callbacks to encoded records.
//!
//! A span's message begins when the span is created, grows while it is open and goes to the thread's chunk when it closes.
//! Fields are formatted into scratch space first and copied under the store's lock afterwards, so no user code runs under
//! a lock.

mod activity;
mod ambient;
mod asking;
mod callsite;
mod close;
mod event;
mod ext;
mod failure;
mod far;
mod filter;
mod fresh;
mod hooks;
mod log;
mod log_crate;
#[cfg(feature = "opentelemetry-0_33")]
mod manual;
mod newest;
mod open;
mod open_spans;
mod panics;
mod plain;
mod processor;
mod registry;
mod route;
mod scratch;
mod shard;
mod shed;
mod span;
mod stack;
mod start;
mod store;
mod stub;
mod table;
#[cfg_attr(not(feature = "tail"), path = "tail/none.rs")]
mod tail;
mod templates;
mod thread;
mod user;
mod visit;
mod written;

#[cfg(feature = "_guest")]
use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, Metadata, Subscriber, dispatcher};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

pub(crate) use self::ambient::{Ambient, Guest};
#[cfg(feature = "opentelemetry-0_33")]
pub(crate) use self::ambient::{Entering, Surroundings, Told};
use self::callsite::Template;
use self::event::Happening;
#[cfg(feature = "fmt")]
pub use self::ext::WithTraceIds;
pub use self::ext::{SpanExt, extract, inject, with_remote_parent, with_remote_parent_async};
#[cfg(feature = "_bridge")]
pub(crate) use self::far::Far;
pub(crate) use self::filter::Filter;
use self::fresh::Entered;
use self::log::Logs;
#[cfg(feature = "opentelemetry-0_33")]
pub(crate) use self::manual::{Begun, Manual, Scope};
pub(crate) use self::open_spans::OpenSpans;
pub use self::open_spans::SpanSnapshot;
pub(crate) use self::processor::Processors;
pub use self::processor::{Processor, Record as ProcessedRecord, RecordKind};
use self::registry::Home;
use self::route::Route;
pub(crate) use self::route::Routing;
pub use self::route::{EventRule, Events};
use self::scratch::Scratch;
use self::span::{Place, SpanBounds};
use self::stack::Mirror;
use self::store::{Closed, Store};
#[cfg(feature = "_guest")]
pub(crate) use self::stub::Stub;
#[cfg(feature = "opentelemetry-0_33")]
pub(crate) use self::table::Table;
pub(crate) use self::tail::Holder;
use self::templates::Templates;
use self::visit::{Bounds, Fields};
use self::written::Written;
use crate::clock::Clock;
use crate::config;
use crate::context::Propagators;
use crate::id_generator::IdGenerator;
use crate::proto::common::Prefix;
use crate::proto::trace::SAMPLED;
use crate::queue::{self, Stream};
use crate::quiet::{self, Gate};
use crate::rate::Limiter;
use crate::sampler::Sampler;
use crate::stats::DropReason;

/// The layer that turns spans and events into OTLP. Made by [`Builder::build`](crate::Builder::build); add it to a
/// `tracing_subscriber::Registry`.
///
/// It may be wrapped in `Filtered`, `Option`, `Box`, `Vec` or `reload`, and several may live beside each other.
pub struct OtlpLayer {
    templates: Templates,
    store: Store,
    home: Home,
    parts: Parts,
    bounds: SpanBounds,
    event_bounds: Bounds,
    config: config::Record,
    /// Whether anything becomes of any event.
    has_events: bool,
    /// `None` where there are no log records.
    logs: Option<Logs>,
    /// Whether entering and leaving a span is noted in the span.
    tracks: bool,
    /// Whether more is done at a span's end for each: what was noted is written, what is recorded a second is counted, or it is held.
    ends_slowly: bool,
    /// What the attributes begin with that say how long a span was busy and idle.
    times: Box<[Prefix; 2]>,
    /// Whether entering and leaving a span is noted anywhere.
    watches: bool,
    /// Whether a new span may be one of which nothing is asked but its fields.
    is_plain: bool,
    ambient: Option<Box<dyn Ambient>>,
    guests: Vec<Box<dyn Guest>>,
    /// The flag of a span that is exported; none where no span is.
    exported: u32,
    /// Whether there are processors.
    is_hooked: bool,
    /// Whether a new span has more than its fields: attributes of its thread, or processors.
    writes_more: bool,
    mirror: Mirror,
}

/// What the layer shares with the rest of its pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) traces: Stream,
    /// Whether spans go anywhere. Where they do not, they are followed all the same, for the ids of log records.
    pub(crate) exports_spans: bool,
    /// `None` where no log records are wanted: then nothing of them exists.
    pub(crate) logs: Option<Stream>,
    /// What all signals share.
    pub(crate) budget: Arc<queue::Budget>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) filter: Arc<Filter>,
    /// What is held back.
    pub(crate) restraint: config::Restraint,
    pub(crate) limiters: Limiters,
    pub(crate) sampler: Sampler,
    pub(crate) propagators: Propagators,
    /// `None`: ids are random.
    pub(crate) id_generator: Option<Arc<dyn IdGenerator>>,
    /// `None` where there are none.
    pub(crate) processors: Option<Processors>,
    /// The traces that tail sampling holds, if it is on.
    pub(crate) holder: Holder,
}

/// What is recorded a second, of each signal where that is limited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limiters {
    pub(crate) traces: Option<Arc<Limiter>>,
    pub(crate) logs: Option<Arc<Limiter>>,
}

impl fmt::Debug for OtlpLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpLayer")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl OtlpLayer {
    pub(crate) fn new(
        parts: Parts,
        config: config::Record,
        limits: config::Limits,
        mut routing: Routing,
        log_settings: &config::LogSettings,
    ) -> Self {
        let logs = parts.logs.clone();
        if logs.is_none() {
            routing = routing.without_logs();
        }
        let config::Limits {
            attributes,
            events,
            links,
            attributes_per_event,
            attributes_per_link,
            record_bytes: bytes,
            ..
        } = limits;
        let tracks = config.end_at_last_exit || config.busy_and_idle;
        let ends_slowly = tracks || parts.limiters.traces.is_some() || parts.holder.is_on();
        let is_hooked = parts.processors.is_some();
        Self {
            has_events: routing.has_any(),
            templates: Templates::new(config, limits, log_settings.limits, routing),
            logs: logs.map(|stream| {
                let limiter = parts.limiters.logs.clone();
                Logs::new(stream, limiter, log_settings, &limits, &config, is_hooked)
            }),
            store: Store::new(&parts.budget, bytes),
            home: Home::default(),
            bounds: SpanBounds {
                bytes,
                attributes,
                events,
                links,
                attributes_per_link,
                value: limits.value(),
            },
            event_bounds: Bounds {
                attributes: attributes_per_event,
                bytes,
            },
            config,
            ends_slowly,
            tracks,
            times: activity::prefixes(),
            watches: tracks,
            ambient: None,
            guests: Vec::new(),
            exported: if parts.exports_spans { SAMPLED } else { 0 },
            is_hooked,
            writes_more: config.threads || is_hooked,
            is_plain: !tracks && !config.threads && plain::may_be(&parts),
            mirror: Mirror::new(),
            parts,
        }
    }

    /// What is open, for who asks from outside.
    pub(crate) fn open_spans(&self) -> OpenSpans {
        OpenSpans::new(&self.store, &self.parts.clock)
    }

    /// Whether the layer sees every span being entered: nothing that comes and goes (`reload`) may stand before it. Such a
    /// thing hides the layer from the dispatcher.
    #[cold]
    fn sees_all(&self) -> bool {
        dispatcher::get_default(|dispatch| {
            let sees_all = self.is_found_by(dispatch);
            if sees_all {
                self.home.set(dispatch);
            }
            sees_all
        })
    }

    fn is_found_by(&self, dispatch: &Dispatch) -> bool {
        let found = dispatch.downcast_ref::<Self>();
        found.is_some_and(|found| std::ptr::eq(found, self))
    }

    /// A span that is created on a thread of ours, or too deep.
    #[cold]
    fn refuse(&self, gate: Gate) {
        if gate == Gate::TooDeep {
            self.parts.traces.ledger.refuse(DropReason::Reentrant);
        }
    }

    /// Whether this thread records now.
    #[inline]
    fn is_open(&self) -> bool {
        quiet::gate() == Gate::Open
    }

    /// A span is entered.
    #[inline(always)]
    fn enter<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let number = id.into_u64();
        // As a rule it was created here a moment ago, and starts with this.
        let starts = || self.store.starts(number);
        if !self.mirror.enter_created(number, starts) {
            self.enter_any(id, context);
        }
        panics::entered(number);
    }

    /// A span is entered, whichever and wherever.
    #[inline(never)]
    fn enter_any<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let number = id.into_u64();
        let entered = self.store.entered(number);
        if self.mirror.takes(|| self.sees_all()) {
            self.mirror.enter(number, entered);
        } else {
            self.home.catch(id, context);
        }
        if entered == Entered::Look {
            self.enter_slowly(number);
        }
    }

    /// A span is entered, and that is noted.
    #[inline(never)]
    fn enter_watched<S>(&self, id: &Id, context: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let enter = || {
            self.enter(id, &context);
            self.note_enter(id.into_u64());
        };
        self.surround(id.into_u64(), enter);
    }

    /// Counts values that were cut.
    #[inline]
    fn truncated(&self, values: u32) {
        if values > 0 {
            self.parts.traces.ledger.truncated(values.into());
        }
    }

    /// Writes the fields of a late `record` into `scratch` and merges them into their span.
    fn merge(&self, template: &Template, id: &Id, values: &Record<'_>, scratch: &mut Scratch) {
        let bounds = Bounds {
            attributes: u32::MAX,
            bytes: self.bounds.bytes,
        };
        let mut fields = Fields::<true>::new(template, scratch, Written::default(), bounds);
        self.visit(&mut fields, |visitor| values.record(visitor));
        let Written {
            dropped, truncated, ..
        } = fields.written;
        let Scratch { record, marks, .. } = scratch;
        let cut = self.store.update(id.into_u64(), |span, account| {
            span.written.dropped = span.written.dropped.saturating_add(dropped);
            span.merge(record, marks, &self.bounds, account)
        });
        self.truncated(cut.unwrap_or(0).max(truncated));
    }
}

impl<S> Layer<S> for OtlpLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.has_events || metadata.is_span() {
            self.templates.get(metadata);
        }
        // Never less than always: for a plain layer, anything else would switch the callsite off for all layers.
        Interest::always()
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.home.set(dispatch);
        if self.is_found_by(dispatch) {
            self.mirror.find();
        }
        for guest in &self.guests {
            guest.registered(dispatch);
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The subscriber asks every layer, as a dispatcher is made of it, unless a per-layer filter stands before the layer
        // and answers itself. So whoever is asked sees every span being entered.
        self.mirror.ask();
        // No hint: for a plain layer, it would bound all layers.
        None
    }

    #[inline]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let gate = quiet::gate();
        if gate != Gate::Open {
            return self.refuse(gate);
        }
        let template = self.templates.get(attributes.metadata());
        if !template.passes_plainly(&self.parts.filter)
            && !self.admits(template, attributes, id, &context)
        {
            return;
        }
        if self.is_surrounded() && !self.is_plainly_surrounded(template, attributes, id.into_u64())
        {
            return;
        }
        if !self.open_plainly(template, attributes, id.into_u64()) {
            self.open_any(template, attributes, id, &context);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if !self.is_open() {
            return;
        }
        let Some(metadata) = self.store.update(id.into_u64(), |span, _| span.metadata) else {
            return self.store.missed(id.into_u64(), values.len());
        };
        let template = self.templates.get(metadata);
        scratch::with(|scratch| self.merge(template, id, values, scratch));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        if ext::answers(self, id, follows) || !self.is_open() {
            return;
        }
        self.link(id.into_u64(), follows.into_u64());
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let is_open = self.is_open();
        if !self.has_events || !is_open && quiet::gate() == Gate::Quiet {
            return;
        }
        let mut template = self.templates.get(event.metadata());
        if let Route::Foreign(rest) = &template.route {
            template = log_crate::template(&self.templates, event, rest);
        }
        let is_plain = template.passes_plainly(&self.parts.filter);
        if matches!(template.route, Route::Off) || !is_plain && !template.passes(&self.parts.filter)
        {
            return;
        }
        if self.is_surrounded() && self.is_suppressed() {
            return;
        }
        if is_plain
            && is_open
            && template.is_span_event_alone()
            && !self.is_hooked
            && event.is_contextual()
            && let Some((id, epoch, is_recorded)) = self.mirror.here()
        {
            if is_recorded {
                self.add_plain_event(template, event, id, epoch);
            }
            return;
        }
        let ancestors = |id, see: &mut dyn FnMut(u64)| registry::each_ancestor(id, &context, see);
        let mut happening = Happening {
            event,
            time: 0,
            span: None,
            place: Place::NOWHERE,
            ancestors: &ancestors,
            is_plain: is_plain && is_open,
        };
        happening.span = registry::span_of(self, event, &context, &mut happening.place);
        let place = &mut happening.place;
        if template.is_span_event_alone() && !place.is_recorded {
            return;
        }
        if happening.span.is_none() {
            place.epoch = self.parts.clock.epoch();
        }
        happening.time = self.parts.clock.at(place.epoch);
        match &template.route {
            Route::SpanEvent => self.on_span_event(template, &happening),
            Route::Log => self.on_log(template, &mut happening),
            _ => self.on_both(template, &mut happening),
        }
    }

    #[inline]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if self.watches {
            return self.enter_watched(id, context);
        }
        self.enter(id, &context);
    }

    #[inline]
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if self.mirror.is_trusted() {
            self.mirror.exit(id.into_u64());
        }
        if panics::unwinds(id.into_u64()) {
            let ancestors =
                |id, see: &mut dyn FnMut(u64)| registry::each_ancestor(id, &context, see);
            self.unwound(id.into_u64(), &ancestors);
        }
        if self.watches {
            self.note_exit(id.into_u64());
        }
    }

    #[inline]
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        // Also on a thread of ours and at any depth: what was opened is closed.
        if self.is_surrounded() {
            self.forget(id.into_u64());
        }
        let closed = self.close(id.into_u64());
        if closed != Closed::Now {
            self.close_slowly(id.into_u64(), closed);
        }
        self.mirror.closed(id.into_u64());
    }

    #[cfg(feature = "_guest")]
    #[allow(unsafe_code, reason = "it only answers with what is asked for by type")]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        self.guests.iter().find_map(|guest| guest.answer(id))
    }
}
