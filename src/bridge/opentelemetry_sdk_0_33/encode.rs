//! From their records to a record's bytes, held to the limits of a pipeline.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{Event, Link, Status};
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;

use crate::bridge::opentelemetry_0_33::api::convert::value;
use crate::bridge::opentelemetry_0_33::{kind, span_context, span_id, trace_id};
use crate::clock::unix_nanos;
use crate::config::Limits;
use crate::context::SpanContext;
use crate::layer::Processors;
use crate::model::Value;
use crate::proto::logs;
use crate::proto::trace::{self, Code, Dropped, HAS_IS_REMOTE, IS_REMOTE, Ids};
use crate::proto::value::{self, ValueBounds, fitting};

/// More than the tags and lengths of an attribute with a text.
const FRAME: usize = 24;
/// More than what stands behind all that is cut: times, counts, a status without its text.
const END: usize = 64;

type Pairs<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

#[derive(Clone, Debug)]
pub(super) struct Encoder {
    pub(super) spans: Limits,
    pub(super) logs: Limits,
    pub(super) processors: Option<Processors>,
}

/// An encoded record, and what it lacks.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub(super) message: Vec<u8>,
    /// Values that were cut for want of room.
    pub(super) truncated: u32,
    /// Whether a limit left anything out.
    pub(super) is_limited: bool,
}

impl Encoder {
    /// `None` for one without ids, which OTLP does not have.
    pub(super) fn span(&self, span: &SpanData) -> Option<Encoded> {
        let context = span_context(&span.span_context)?;
        let ids = ids(&context, span.parent_span_is_remote);
        let mut pen = Pen::new(self, &self.spans);
        trace::put_head(pen.out(), &ids, unix_nanos(span.start_time));
        if let Some(parent) = span_id(span.parent_span_id) {
            trace::put_parent(pen.out(), parent);
        }
        trace::put_trace_state(pen.out(), context.trace_state().as_str());
        let name = pen.text("otel.name", &span.name);
        trace::put_name(pen.out(), &name);
        trace::put_kind(pen.out(), kind(Some(&span.span_kind)));
        let own = pen.attributes(
            trace::SPAN_ATTRIBUTE,
            pairs(&span.attributes),
            self.spans.attributes,
        );
        let events = pen.several(
            span.events.iter(),
            self.spans.events,
            Self::event,
            trace::put_event,
        );
        let links = pen.several(
            span.links.iter(),
            self.spans.links,
            Self::link,
            trace::put_encoded_link,
        );
        trace::put_dropped(
            pen.out(),
            &Dropped {
                attributes: own.saturating_add(span.dropped_attributes_count),
                events: events.saturating_add(span.events.dropped_count),
                links: links.saturating_add(span.links.dropped_count),
            },
        );
        pen.status(&span.status);
        trace::put_end(pen.out(), unix_nanos(span.end_time.max(span.start_time)));
        Some(pen.encoded)
    }

    fn event(&self, event: &Event, room: usize) -> Option<Encoded> {
        let mut pen = Pen::within(self, &self.spans, room);
        trace::put_event_time(pen.out(), unix_nanos(event.timestamp));
        let name = pen.text("message", &event.name);
        trace::put_event_name(pen.out(), &name);
        let dropped = pen.attributes(
            trace::EVENT_ATTRIBUTE,
            pairs(&event.attributes),
            self.spans.attributes_per_event,
        );
        trace::put_event_dropped(
            pen.out(),
            dropped.saturating_add(event.dropped_attributes_count),
        );
        Some(pen.encoded)
    }

    fn link(&self, link: &Link, room: usize) -> Option<Encoded> {
        let to = span_context(&link.span_context)?;
        let mut pen = Pen::within(self, &self.spans, room);
        let ids = ids(&to, to.is_remote());
        trace::put_link_head(pen.out(), &ids, to.trace_state().as_str());
        let dropped = pen.attributes(
            trace::LINK_ATTRIBUTE,
            pairs(&link.attributes),
            self.spans.attributes_per_link,
        );
        trace::put_link_dropped(
            pen.out(),
            dropped.saturating_add(link.dropped_attributes_count),
        );
        Some(pen.encoded)
    }

    pub(super) fn log(&self, log: &SdkLogRecord) -> Encoded {
        let mut pen = Pen::new(self, &self.logs);
        let observed = log.observed_timestamp().unwrap_or_else(SystemTime::now);
        logs::put_times_apart(
            pen.out(),
            log.timestamp().map(unix_nanos),
            unix_nanos(observed),
        );
        let ids = log.trace_context().and_then(|context| {
            Some(Ids {
                trace: trace_id(context.trace_id)?,
                span: span_id(context.span_id)?,
                flags: context.trace_flags.map_or(0, |flags| flags.to_u8().into()),
            })
        });
        if let Some(ids) = ids {
            logs::put_ids(pen.out(), &ids);
        }
        if let Some(severity) = log.severity_number() {
            logs::put_severity_number(pen.out(), severity as u8);
        }
        if let Some(text) = log.severity_text() {
            let text = pen.fitting(text);
            logs::put_severity_text(pen.out(), text);
        }
        if let Some(name) = log.event_name() {
            let name = pen.text("event.name", name);
            logs::put_event_name(pen.out(), &name);
        }
        if let Some(body) = log.body() {
            pen.body(any(body));
        }
        let pairs = log.attributes_iter();
        let pairs = pairs.map(|(key, value)| (key.as_str().into(), any(value)));
        let dropped = pen.attributes(logs::LOG_ATTRIBUTE, pairs.collect(), self.logs.attributes);
        logs::put_dropped(pen.out(), dropped);
        pen.encoded
    }
}

/// Writes one record, or a part of it.
struct Pen<'e> {
    encoder: &'e Encoder,
    bounds: ValueBounds,
    /// No more than about so many bytes are written.
    end: usize,
    encoded: Encoded,
}

impl<'e> Pen<'e> {
    fn new(encoder: &'e Encoder, limits: &Limits) -> Self {
        Self::within(encoder, limits, limits.record_bytes)
    }

    fn within(encoder: &'e Encoder, limits: &Limits, room: usize) -> Self {
        Self {
            encoder,
            bounds: limits.value(),
            end: room.saturating_sub(END),
            encoded: Encoded::default(),
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.encoded.message
    }

    fn room(&self) -> usize {
        self.end.saturating_sub(self.encoded.message.len() + FRAME)
    }

    /// What fits of a text that is no value.
    fn fitting<'t>(&self, text: &'t str) -> &'t str {
        fitting(text, self.room())
    }

    /// A text as processors want it, and what fits of it.
    fn text<'t>(&mut self, key: &str, text: &'t str) -> Cow<'t, str> {
        let text = match &self.encoder.processors {
            Some(processors) => processors.text(key, text, self.room()),
            None => Cow::Borrowed(text),
        };
        let fitting = self.fitting(&text).len();
        if fitting == text.len() {
            return text;
        }
        self.encoded.truncated += 1;
        Cow::Owned(text.get(..fitting).unwrap_or_default().to_owned())
    }

    fn status(&mut self, status: &Status) {
        match status {
            Status::Unset => {}
            Status::Ok => trace::put_status(self.out(), Code::Ok, ""),
            Status::Error { description } => {
                let description = self.text("otel.status_description", description);
                trace::put_status(self.out(), Code::Error, &description);
            }
        }
    }

    fn body(&mut self, mut body: Value<'_>) {
        if let Some(processors) = &self.encoder.processors {
            processors.value("message", &mut body, self.bounds.bytes);
        }
        let bounds = self.bounds_here();
        let is_cut = value::put_value(self.out(), logs::BODY, &body, &bounds);
        self.encoded.truncated += u32::from(is_cut);
    }

    fn bounds_here(&self) -> ValueBounds {
        ValueBounds {
            bytes: self.room(),
            ..self.bounds
        }
    }

    /// Gives the number of those that there was no room for. "The keys of attributes are unique"; theirs need not be.
    fn attributes(&mut self, tag: u8, mut pairs: Pairs<'_>, most: u32) -> u32 {
        if let Some(processors) = &self.encoder.processors {
            for (key, value) in &mut pairs {
                processors.value(key, value, self.bounds.bytes);
            }
        }
        let (mut count, mut dropped) = (0, 0);
        for (key, value) in value::distinct(&pairs) {
            let bounds = self.bounds_here();
            if count == most || bounds.bytes < key.len() {
                dropped += 1;
                continue;
            }
            count += 1;
            let is_cut = value::put_attribute(self.out(), tag, key, value, &bounds);
            self.encoded.truncated += u32::from(is_cut);
        }
        self.encoded.is_limited |= dropped > 0;
        dropped
    }

    /// Writes the parts of a record that are messages themselves. Gives the number of those that there was no room for.
    fn several<'p, T: 'p>(
        &mut self,
        parts: impl Iterator<Item = &'p T>,
        most: u32,
        encode: fn(&Encoder, &T, usize) -> Option<Encoded>,
        put: fn(&mut Vec<u8>, &[u8]),
    ) -> u32 {
        let (mut count, mut dropped) = (0, 0);
        for part in parts {
            let room = self.room();
            if count == most || room <= END {
                dropped += 1;
                continue;
            }
            let Some(part) = encode(self.encoder, part, room) else {
                continue;
            };
            if part.message.len() > room {
                dropped += 1;
                continue;
            }
            count += 1;
            put(self.out(), &part.message);
            self.encoded.truncated += part.truncated;
            self.encoded.is_limited |= part.is_limited;
        }
        self.encoded.is_limited |= dropped > 0;
        dropped
    }
}

/// Of a span the flags say whether its parent is remote, of a link whether what it leads to is.
fn ids(of: &SpanContext, is_remote: bool) -> Ids {
    let is_remote = if is_remote { IS_REMOTE } else { 0 };
    Ids {
        trace: of.trace_id(),
        span: of.span_id(),
        flags: HAS_IS_REMOTE | is_remote | u32::from(of.flags().bits()),
    }
}

fn pairs(theirs: &[KeyValue]) -> Pairs<'_> {
    let pairs = theirs.iter();
    pairs
        .map(|pair| (pair.key.as_str().into(), value(&pair.value)))
        .collect()
}

fn any(theirs: &AnyValue) -> Value<'_> {
    match theirs {
        AnyValue::Int(value) => (*value).into(),
        AnyValue::Double(value) => (*value).into(),
        AnyValue::String(text) => text.as_str().into(),
        AnyValue::Boolean(value) => (*value).into(),
        AnyValue::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
        AnyValue::ListAny(values) => Value::Array(values.iter().map(any).collect()),
        AnyValue::Map(pairs) => {
            let pair = pairs
                .iter()
                .map(|(key, value)| (key.as_str().into(), any(value)));
            Value::Map(pair.collect())
        }
        // It may not grow within this version.
        other => format!("{other:?}").into(),
    }
}
