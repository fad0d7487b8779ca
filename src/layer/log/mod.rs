//! An event on its way to a log record, and from there straight into the thread's chunk of the logs.

mod span_fields;

use std::sync::Arc;

use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

pub(super) use self::span_fields::SpanFields;
use super::OtlpLayer;
use super::callsite::Template;
use super::ext;
use super::failure::put_panic_attributes;
use super::log_crate;
use super::processor::{Draft, Form};
use super::registry;
use super::route::Route;
use super::scratch::{self, Scratch};
use super::span::Place;
use super::visit::{Bounds, Fields};
use super::written::Written;
use crate::clock;
use crate::config::{self, LogSettings};
use crate::model::Severity;
use crate::proto::logs;
use crate::proto::trace::{Ids, SAMPLED};
use crate::proto::value::ValueBounds;
use crate::queue::{self, Scope, Stream};
use crate::quiet::Gate;
use crate::rate::Limiter;
use crate::stats::DropReason;

/// The name of an event that is an exception.
const EXCEPTION: &str = "exception";

/// What a layer has for log records.
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) stream: Stream,
    pub(super) bounds: Bounds,
    pub(super) value: ValueBounds,
    /// Whether a span's values may exceed what those of a log are held to.
    pub(super) is_stricter: bool,
    /// Whether what belongs to a trace that is not sampled is left out.
    pub(super) is_trace_based: bool,
    /// What is recorded a second, where that is limited.
    limiter: Option<Arc<Limiter>>,
    /// The attributes of the spans around, where they are wanted.
    pub(super) span_fields: Option<SpanFields>,
}

/// An event with what is known of its surroundings.
struct Happening<'a> {
    event: &'a Event<'a>,
    time: u64,
    /// The span that it belongs to.
    span: Option<u64>,
    place: &'a Place,
    gate: Gate,
}

impl OtlpLayer {
    /// An event that is not, or not only, a span event.
    #[inline(never)]
    pub(super) fn on_routed_event<S>(
        &self,
        template: &Template,
        event: &Event<'_>,
        context: &Context<'_, S>,
        gate: Gate,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let template = match &template.route {
            Route::Foreign(rest) => log_crate::template(&self.templates, event, rest),
            _ => template,
        };
        if matches!(template.route, Route::Off) || !template.passes(&self.parts.filter) {
            return;
        }
        if self.is_surrounded() && self.is_suppressed() {
            return;
        }
        let mut place = Place::NOWHERE;
        let span = registry::span_of(self, event, context, &mut place);
        if span.is_none() {
            place.epoch = self.parts.clock.epoch();
        }
        let happening = Happening {
            event,
            time: self.parts.clock.at(place.epoch),
            span,
            place: &place,
            gate,
        };
        if let (Some(log), Some(logs)) = (template.log(), &self.logs) {
            match self.sheds_log(template) {
                Some(reason) => logs.stream.ledger.refuse(reason),
                None => self.on_log(logs, log, &happening, context),
            }
        }
        if template.has_span_event()
            && let Some(id) = span
            && place.is_recorded
        {
            self.on_span_event(template, event, id, &place, happening.time, gate);
        }
    }

    fn on_log<S>(
        &self,
        logs: &Logs,
        template: &Template,
        happening: &Happening<'_>,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let ids = happening.ids();
        if logs.is_trace_based && ids.is_some_and(|ids| ids.flags & SAMPLED == 0) {
            return;
        }
        if happening.gate == Gate::TooDeep {
            return logs.stream.ledger.refuse(DropReason::Reentrant);
        }
        let mut scratch = scratch::take();
        let mut written = self.write_log(logs, template, happening, ids.as_ref(), &mut scratch);
        if let Some(wanted) = &logs.span_fields
            && let Some(id) = happening.span
        {
            registry::each_ancestor(id, context, |id| {
                self.add_span_fields(logs, wanted, id, &mut written, &mut scratch);
            });
        }
        let is_exception = scratch.noted.is_exception && self.config.errors.exceptions;
        logs.put_name(template, &written, is_exception, &mut scratch);
        if self.keeps_log(logs, template, ids.as_ref(), &mut written, &mut scratch) {
            logs.finish(template, &written, &mut scratch);
        } else {
            logs.stream.ledger.refuse(DropReason::Processor);
        }
        // A span event tells its span itself.
        if matches!(template.route, Route::Log)
            && let Some(id) = happening.span
            && happening.place.is_recorded
        {
            self.tell_span(template, id, &scratch);
        }
        scratch::put_back(scratch);
    }

    /// Writes what the event itself says.
    fn write_log(
        &self,
        logs: &Logs,
        template: &Template,
        happening: &Happening<'_>,
        ids: Option<&Ids>,
        scratch: &mut Scratch,
    ) -> Written {
        logs::put_times(&mut scratch.record, happening.time);
        if let Some(ids) = ids {
            logs::put_ids(&mut scratch.record, ids);
        }
        scratch.record.extend_from_slice(&template.constants);
        let written = Written::new(template);
        let mut fields = Fields::<false>::new(template, scratch, written, logs.bounds);
        if self.is_hooked {
            self.visit(&mut fields, |visitor| happening.event.record(visitor));
        } else {
            happening.event.record(&mut fields);
        }
        if fields.scratch.noted.is_exception {
            fields.complete_exception();
        }
        fields.written
    }

    /// Shows a log that is complete, but for its counts, to the processors; says whether it is kept.
    fn keeps_log(
        &self,
        logs: &Logs,
        template: &Template,
        ids: Option<&Ids>,
        written: &mut Written,
        scratch: &mut Scratch,
    ) -> bool {
        let Some(processors) = &self.parts.processors else {
            return true;
        };
        let Scratch { record, spare, .. } = scratch;
        let is_kept = processors.end(Draft {
            form: Form::LOG,
            metadata: Some(template.metadata),
            ids: ids.copied().unwrap_or(Place::NOWHERE.ids),
            end: None,
            message: record,
            written,
            attributes: logs.bounds.attributes,
            bytes: logs.bounds.bytes,
            value: logs.value,
            spare,
        });
        spare.keep_small();
        is_kept
    }

    /// The exception of a panic that leaves a span, where exceptions of its target are log records.
    pub(super) fn log_panic(
        &self,
        of_span: &Template,
        ids: &Ids,
        time: u64,
        scratch: &mut Scratch,
    ) {
        let Some(logs) = &self.logs else { return };
        let is_left_out = logs.is_trace_based && ids.flags & SAMPLED == 0;
        if !matches!(of_span.route, Route::Log | Route::Both(_)) || is_left_out {
            return;
        }
        let record = &mut scratch.record;
        logs::put_times(record, time);
        logs::put_ids(record, ids);
        logs::put_severity(record, Severity::ERROR, Level::ERROR.as_str());
        let (most, length) = (logs.bounds.attributes, logs.value.length);
        let dropped = put_panic_attributes(record, logs::LOG_ATTRIBUTE, most, length);
        logs::put_event_name(record, EXCEPTION);
        logs.append(of_span.target, dropped, record);
    }

    /// What an event that is no span event says of its span.
    fn tell_span(&self, template: &Template, id: u64, scratch: &Scratch) {
        if scratch.is_touched || *template.metadata.level() == Level::ERROR {
            self.store.update(id, |span, account| {
                self.remark(template, span, &scratch.noted, account);
            });
        }
    }
}

impl Happening<'_> {
    /// Of the span that it belongs to; outside of any, of the one in another process that is attached to the thread.
    fn ids(&self) -> Option<Ids> {
        if self.span.is_some() {
            return Some(self.place.ids);
        }
        if !ext::is_remote_parent_attached() {
            return None;
        }
        let parent = ext::remote_parent()?;
        let parent = parent.span()?;
        Some(Ids {
            trace: parent.trace_id(),
            span: parent.span_id(),
            flags: u32::from(parent.flags().bits()),
        })
    }
}

impl Logs {
    pub(super) fn new(
        stream: Stream,
        limiter: Option<Arc<Limiter>>,
        settings: &LogSettings,
        of_spans: &config::Limits,
        record: &config::Record,
    ) -> Self {
        let limits = &settings.limits;
        let (value, theirs) = (limits.value(), of_spans.value());
        Self {
            stream,
            bounds: Bounds {
                attributes: limits.attributes,
                bytes: limits.record_bytes,
            },
            value,
            is_stricter: value.length < theirs.length || value.depth < theirs.depth,
            is_trace_based: settings.is_trace_based,
            limiter,
            span_fields: settings
                .span_fields
                .as_ref()
                .map(|keys| SpanFields::new(keys, record)),
        }
    }

    /// Writes the event's name, unless a field has given it.
    fn put_name(
        &self,
        template: &Template,
        written: &Written,
        is_exception: bool,
        scratch: &mut Scratch,
    ) {
        // "The event name SHOULD be `<operation>.exception`, or `exception`" (semantic conventions, exceptions in logs).
        let name = template
            .event_name
            .or(is_exception.then_some(EXCEPTION))
            .filter(|_| !written.name);
        if let Some(name) = name {
            logs::put_event_name(&mut scratch.record, name);
        }
    }

    /// Writes the end, and appends the record to the thread's chunk.
    fn finish(&self, template: &Template, written: &Written, scratch: &mut Scratch) {
        let record = &mut scratch.record;
        if written.truncated > 0 {
            self.stream.ledger.truncated(written.truncated.into());
        }
        self.append(template.target, written.dropped, record);
    }

    fn append(&self, scope: &'static str, dropped: u32, record: &mut Vec<u8>) {
        if dropped > 0 {
            logs::put_dropped(record, dropped);
            self.stream.ledger.limited();
        }
        if let Some(limiter) = &self.limiter {
            limiter.charge(clock::monotonic(), record.len());
        }
        let message = &**record;
        let scope = Scope::named(scope);
        self.stream.append(&queue::Record { scope, message });
    }
}
