//! An event on its way to a log record, and from there straight into the thread's chunk of the logs.

mod span_fields;

use std::sync::Arc;

use tracing_core::{Event, Level, Metadata};

pub(super) use self::span_fields::SpanFields;
use super::OtlpLayer;
use super::callsite::Template;
use super::event::{Ancestors, Happening};
use super::failure::put_panic_attributes;
use super::processor::{Draft, Form};
use super::route::Route;
use super::scratch::{self, Scratch};
use super::visit::{Bounds, Fields};
use super::written::Written;
use crate::clock;
use crate::config::{self, LogSettings};
use crate::model::Severity;
use crate::proto::logs;
use crate::proto::trace::{Ids, SAMPLED};
use crate::proto::value::ValueBounds;
use crate::queue::{self, Scope, Stream};
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
    /// Whether any of this, or a processor, has a say: a record needs more than to be written.
    is_choosy: bool,
}

impl OtlpLayer {
    /// An event that is a span event and a log record.
    #[inline(never)]
    pub(super) fn on_both(&self, template: &Template, happening: &mut Happening<'_>) {
        if let Some(log) = template.log() {
            self.on_log(log, happening);
        }
        if happening.place.is_recorded {
            self.on_span_event(template, happening);
        }
    }

    /// An event that is a log record.
    pub(super) fn on_log(&self, template: &Template, happening: &mut Happening<'_>) {
        let Some(logs) = &self.logs else { return };
        let has_ids = happening.has_ids();
        let is_plain = happening.is_plain && !logs.is_choosy;
        if !is_plain && !self.takes_log(logs, template, happening, has_ids) {
            return;
        }
        let mut scratch = scratch::take();
        let record = &mut scratch.record;
        logs::put_times(record, happening.time);
        if has_ids {
            logs::put_ids(record, &happening.place.ids);
        }
        record.extend_from_slice(&template.constants);
        let written = Written::new(template);
        let mut fields = Fields::<false>::new(template, &mut scratch, written, logs.bounds);
        if logs.is_choosy {
            self.visit_event(&mut fields, happening.event);
        } else {
            happening.event.record(&mut fields);
        }
        let mut written = fields.written;
        let has_more = logs.is_choosy || scratch.is_touched || template.has_more;
        let is_whole = !has_more && written.dropped == 0 && written.truncated == 0;
        if is_whole || self.complete_log(logs, template, happening, &mut written, &mut scratch) {
            logs.append(template.target, &scratch.record);
        }
        scratch::put_back(scratch);
    }

    /// Whether an event becomes a record, where that is not plain.
    #[cold]
    fn takes_log(
        &self,
        logs: &Logs,
        template: &Template,
        happening: &Happening<'_>,
        has_ids: bool,
    ) -> bool {
        let is_sampled = happening.place.ids.flags & SAMPLED != 0;
        if let Some(reason) = self.sheds_log(template) {
            logs.stream.ledger.refuse(reason);
            return false;
        }
        if logs.is_trace_based && has_ids && !is_sampled {
            return false;
        }
        if happening.is_too_deep() {
            logs.stream.ledger.refuse(DropReason::Reentrant);
            return false;
        }
        true
    }

    #[cold]
    fn visit_event(&self, fields: &mut Fields<'_, false>, event: &Event<'_>) {
        self.visit(fields, |visitor| event.record(visitor));
    }

    /// Writes what is not the event's fields, and what they tell: of the spans around, of an exception, its name, and its counts. Says
    /// whether the record is kept.
    #[cold]
    fn complete_log(
        &self,
        logs: &Logs,
        template: &Template,
        happening: &Happening<'_>,
        written: &mut Written,
        scratch: &mut Scratch,
    ) -> bool {
        if scratch.noted.is_exception {
            let mut fields = Fields::<false>::new(template, scratch, *written, logs.bounds);
            fields.complete_exception();
            *written = fields.written;
        }
        if let Some(wanted) = &logs.span_fields {
            happening.each_span_around(|id| {
                self.add_span_fields(logs, wanted, id, written, scratch);
            });
        }
        let is_exception = scratch.noted.is_exception && self.config.errors.exceptions;
        logs.put_name(template, written, is_exception, scratch);
        let metadata = Some(template.metadata);
        let is_kept = self.keeps_log(logs, metadata, &happening.place.ids, written, scratch);
        if is_kept {
            logs.count(written, &mut scratch.record);
            logs.charge(&scratch.record);
        } else {
            logs.stream.ledger.refuse(DropReason::Processor);
        }
        // A span event tells its span itself.
        if matches!(template.route, Route::Log)
            && let Some(id) = happening.span
            && happening.place.is_recorded
        {
            self.tell_span(template, id, scratch);
        }
        is_kept
    }

    /// Shows a log that is complete, but for its counts, to the processors; says whether it is kept.
    fn keeps_log(
        &self,
        logs: &Logs,
        metadata: Option<&'static Metadata<'static>>,
        ids: &Ids,
        written: &mut Written,
        scratch: &mut Scratch,
    ) -> bool {
        let Some(processors) = &self.parts.processors else {
            return true;
        };
        let Scratch { record, spare, .. } = scratch;
        let is_kept = processors.end(Draft {
            form: Form::LOG,
            metadata,
            ids: *ids,
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
        id: u64,
        ancestors: &Ancestors<'_>,
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
        let mut written = put_panic_attributes(record, logs::LOG_ATTRIBUTE, most, length);
        if let Some(wanted) = &logs.span_fields {
            ancestors(id, &mut |id| {
                self.add_span_fields(logs, wanted, id, &mut written, scratch)
            });
        }
        logs::put_event_name(&mut scratch.record, EXCEPTION);
        written.name = true;
        if !self.keeps_log(logs, None, ids, &mut written, scratch) {
            return logs.stream.ledger.refuse(DropReason::Processor);
        }
        let record = &mut scratch.record;
        logs.count(&written, record);
        logs.charge(record);
        logs.append(of_span.target, record);
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

impl Logs {
    pub(super) fn new(
        stream: Stream,
        limiter: Option<Arc<Limiter>>,
        settings: &LogSettings,
        of_spans: &config::Limits,
        record: &config::Record,
        is_hooked: bool,
    ) -> Self {
        let limits = &settings.limits;
        let (value, theirs) = (limits.value(), of_spans.value());
        let has_rules = settings.is_trace_based || limiter.is_some();
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
            is_choosy: is_hooked || has_rules || settings.span_fields.is_some(),
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

    /// Counts what a limit has left out or cut.
    fn count(&self, written: &Written, record: &mut Vec<u8>) {
        if written.truncated > 0 {
            self.stream.ledger.truncated(written.truncated.into());
        }
        self.count_dropped(written.dropped, record);
    }

    fn count_dropped(&self, dropped: u32, record: &mut Vec<u8>) {
        if dropped > 0 {
            logs::put_dropped(record, dropped);
            self.stream.ledger.limited();
        }
    }

    fn charge(&self, record: &[u8]) {
        if let Some(limiter) = &self.limiter {
            limiter.charge(clock::monotonic(), record.len());
        }
    }

    /// Appends a record to the thread's chunk.
    #[inline]
    fn append(&self, scope: &'static str, message: &[u8]) {
        let scope = Scope::named(scope);
        self.stream.append(&queue::Record { scope, message });
    }
}
