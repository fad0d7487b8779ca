//! The layer: from `tracing`'s callbacks to encoded records.
//!
//! A span's message begins when the span is created, grows while it is open and goes to the thread's chunk when it closes.
//! Fields are formatted into scratch space first and copied under the store's lock afterwards, so no user code runs under
//! a lock.

mod callsite;
mod event;
mod failure;
mod filter;
mod registry;
mod scratch;
mod span;
mod stack;
mod start;
mod store;
mod table;
mod thread;
mod user;
mod visit;
mod written;

use std::fmt;
use std::sync::Arc;

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, Metadata, Subscriber, dispatcher};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use self::callsite::{Template, Templates};
pub(crate) use self::filter::Filter;
use self::registry::Home;
use self::scratch::Scratch;
use self::span::{OpenSpan, Place, SpanBounds};
use self::stack::Mirror;
use self::store::{Opened, Store};
use self::visit::{Bounds, Fields};
use self::written::Written;
use crate::clock::Clock;
use crate::config;
use crate::context::Propagators;
use crate::id::{SpanId, TraceId};
use crate::proto::trace::{self, HAS_IS_REMOTE, Ids, RANDOM, SAMPLED};
use crate::queue::{self, Queue, Refused};
use crate::quiet::{self, Gate};
use crate::sampler::Sampler;
use crate::stats::{DropReason, Ledger};

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
    mirror: Mirror,
}

/// What the layer shares with the rest of its pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) queue: Arc<Queue>,
    pub(crate) budget: Arc<queue::Budget>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) filter: Arc<Filter>,
    pub(crate) sampler: Sampler,
    pub(crate) propagators: Propagators,
}

impl fmt::Debug for OtlpLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpLayer")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl OtlpLayer {
    pub(crate) fn new(parts: Parts, config: config::Record, limits: config::Limits) -> Self {
        let config::Limits {
            attributes,
            events,
            links,
            attributes_per_event,
            attributes_per_link,
            record_bytes: bytes,
            ..
        } = limits;
        // The rest is for chunks: an eighth, or what the largest record takes.
        let limit = parts.budget.limit();
        let share = limit.saturating_sub((limit / 8).max(bytes + queue::CHUNK));
        Self {
            templates: Templates::new(config, limits),
            store: Store::new(&parts.budget, share),
            home: Home::default(),
            parts,
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
            mirror: Mirror::new(),
        }
    }

    /// Whether the layer sees every span being entered: nothing that comes and goes (`reload`) may stand before it. Such a
    /// thing hides the layer from the dispatcher.
    #[cold]
    fn sees_all(&self) -> bool {
        dispatcher::get_default(|dispatch| {
            let found = dispatch.downcast_ref::<Self>();
            found.is_some_and(|found| std::ptr::eq(found, self))
        })
    }

    /// Whether this thread records now.
    #[inline]
    fn is_open(&self) -> bool {
        quiet::gate() == Gate::Open
    }

    /// The place of a new span.
    #[inline]
    fn place(&self, parent: Option<&Place>) -> Place {
        let span = SpanId::random();
        match parent {
            Some(parent) => Place {
                ids: Ids { span, ..parent.ids },
                epoch: parent.epoch,
            },
            None => {
                let flags = HAS_IS_REMOTE | SAMPLED | RANDOM;
                Place {
                    ids: Ids {
                        trace: TraceId::random(),
                        span,
                        flags,
                    },
                    epoch: self.parts.clock.epoch(),
                }
            }
        }
    }

    /// Writes a new span into `scratch` and hands it to the store.
    #[inline]
    fn open(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: &Id,
        parent: Option<Place>,
    ) {
        let place = self.place(parent.as_ref());
        let start = self.parts.clock.at(place.epoch);
        scratch::with(|scratch| {
            trace::put_head(&mut scratch.record, &place.ids, start);
            if let Some(parent) = parent {
                trace::put_parent(&mut scratch.record, parent.ids.span);
            }
            scratch.record.extend_from_slice(&template.constants);
            let bounds = Bounds {
                attributes: self.bounds.attributes,
                bytes: self.bounds.bytes,
            };
            let written = Written::new(template);
            let mut fields = Fields::<false>::new(template, scratch, written, bounds);
            if self.config.threads {
                fields.put_thread();
            }
            attributes.record(&mut fields);
            let written = &fields.written;
            self.truncated(written.truncated);
            let opened = Opened {
                place: &place,
                metadata: template.metadata,
                is_late: template.is_late,
                written,
            };
            if self
                .store
                .open(id.into_u64(), &opened, &mut fields.scratch.record)
            {
                self.mirror.created(id.into_u64(), place);
            } else {
                self.parts.ledger.refuse(DropReason::OpenSpans);
                self.store.open_bare(id.into_u64(), place);
            }
        });
    }

    /// Counts values that were cut.
    #[inline]
    fn truncated(&self, values: u32) {
        if values > 0 {
            self.parts.ledger.truncated(values.into());
        }
    }

    /// Writes the fields of a late `record` into `scratch` and merges them into their span.
    fn merge(&self, template: &Template, id: &Id, values: &Record<'_>, scratch: &mut Scratch) {
        let bounds = Bounds {
            attributes: u32::MAX,
            bytes: self.bounds.bytes,
        };
        let mut fields = Fields::<true>::new(template, scratch, Written::default(), bounds);
        values.record(&mut fields);
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

    /// Writes what the callsite has left to the end, since a field might have given it.
    #[cold]
    fn complete(&self, span: &mut OpenSpan) {
        let template = self.templates.get(span.metadata);
        span.complete(template.late_name, template.late_kind);
    }

    /// The last of an open span: its end, and into the chunk.
    #[inline]
    fn finish(&self, span: &mut OpenSpan) {
        let end = self.parts.clock.at(span.place.epoch);
        if span.is_late {
            self.complete(span);
        }
        if span.finish(end) {
            self.parts.ledger.limited();
        }
        let record = queue::Record {
            scope: span.metadata.target(),
            message: &span.record,
        };
        match queue::append(&self.parts.queue, &record) {
            Ok(()) => {}
            Err(Refused::Full) => self.parts.ledger.refuse(DropReason::QueueFull),
            Err(Refused::Closed) => self.parts.ledger.refuse(DropReason::Shutdown),
        }
    }
}

impl<S> Layer<S> for OtlpLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.config.events || metadata.is_span() {
            self.templates.get(metadata);
        }
        // Never less than always: for a plain layer, anything else would switch the callsite off for all layers.
        Interest::always()
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.home.set(dispatch);
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
        match quiet::gate() {
            Gate::Open => {}
            Gate::Quiet => return,
            Gate::TooDeep => return self.parts.ledger.refuse(DropReason::Reentrant),
        }
        let template = self.templates.get(attributes.metadata());
        if !template.passes(&self.parts.filter) {
            return;
        }
        let parent = registry::parent(self, attributes, id, &context);
        self.open(template, attributes, id, parent);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if !self.is_open() {
            return;
        }
        let Some(metadata) = self.store.update(id.into_u64(), |span, _| span.metadata) else {
            return;
        };
        let template = self.templates.get(metadata);
        scratch::with(|scratch| self.merge(template, id, values, scratch));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        if !self.is_open() {
            return;
        }
        if let Some(place) = self.store.place(follows.into_u64()) {
            self.store.update(id.into_u64(), |span, account| {
                span.add_link(&place.ids, &self.bounds, account)
            });
        }
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let gate = quiet::gate();
        if gate == Gate::Quiet || !self.config.events {
            return;
        }
        let template = self.templates.get(event.metadata());
        if !template.passes(&self.parts.filter) {
            return;
        }
        let Some((id, epoch)) = registry::span_of(self, event, &context) else {
            return;
        };
        if gate == Gate::TooDeep {
            self.store.update(id, |span, _| {
                span.dropped_events = span.dropped_events.saturating_add(1)
            });
            return;
        }
        let time = self.parts.clock.at(epoch);
        scratch::with(|scratch| self.add_event(template, event, id, time, scratch));
    }

    #[inline]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if self.mirror.takes(|| self.sees_all()) {
            self.mirror.enter(id.into_u64());
        } else {
            self.home.catch(id, &context);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if self.mirror.is_trusted() {
            self.mirror.exit(id.into_u64());
        }
    }

    #[inline]
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        // Also on a thread of ours and at any depth: what was opened is closed.
        self.store.close(id.into_u64(), |span| self.finish(span));
        self.mirror.closed(id.into_u64());
    }
}
