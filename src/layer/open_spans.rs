//! The spans that are open, for whoever asks, and records of those that stay open for long.
//!
//! A shard's lock is held while bytes are copied; they are decoded afterwards.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing_core::Metadata;

use super::span::OpenSpan;
use super::store::Store;
use crate::clock::{Clock, nanos};
use crate::id::{SpanId, TraceId};
use crate::model::{SpanKind, Value};
use crate::proto::trace::{self, Ids, SAMPLED, SPAN_ATTRIBUTE};
use crate::proto::value;
use crate::queue::{self, Stream};

/// An open span at one moment, as [`Handle::open_spans`](crate::Handle::open_spans) gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanSnapshot {
    ids: Ids,
    parent: Option<SpanId>,
    name: String,
    kind: SpanKind,
    target: &'static str,
    start: u64,
    age: Duration,
    attributes: Vec<(String, Value<'static>)>,
}

impl SpanSnapshot {
    /// The span's name so far.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is in its trace.
    pub fn kind(&self) -> SpanKind {
        self.kind
    }

    /// The tracing target of its callsite.
    pub fn target(&self) -> &'static str {
        self.target
    }

    /// The trace that it belongs to. A root may still get a parent from another process.
    pub fn trace_id(&self) -> TraceId {
        self.ids.trace
    }

    /// The span's id.
    pub fn span_id(&self) -> SpanId {
        self.ids.span
    }

    /// Its parent; `None` for a root.
    pub fn parent_span_id(&self) -> Option<SpanId> {
        self.parent
    }

    /// Whether it will be exported when it ends.
    pub fn is_sampled(&self) -> bool {
        self.ids.flags & SAMPLED != 0
    }

    /// When it began.
    pub fn started(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.start)
    }

    /// How long it has been open.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Its attributes so far, in the order in which they were recorded.
    pub fn attributes(&self) -> &[(String, Value<'static>)] {
        &self.attributes
    }

    /// The attribute of this key.
    pub fn attribute(&self, key: &str) -> Option<&Value<'static>> {
        let found = self.attributes.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value)
    }

    fn of(copy: &Copied, record: &[u8], clock: &Clock) -> Self {
        let (name, kind) = trace::name_and_kind(record);
        let owned = |(key, value): (&str, Value<'_>)| (key.to_owned(), value.into_owned());
        Self {
            ids: copy.ids,
            parent: trace::parent_of(record),
            name: name.unwrap_or(copy.metadata.name()).to_owned(),
            kind,
            target: copy.metadata.target(),
            start: trace::start_of(record),
            age: copy.age(record, clock),
            attributes: value::attributes(record, SPAN_ATTRIBUTE)
                .map(owned)
                .collect(),
        }
    }
}

impl fmt::Display for SpanSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ids: Ids { trace, span, .. },
            name,
            target,
            age,
            ..
        } = self;
        write!(
            f,
            "{name:?} of {target} is open for {age:?}, trace {trace}, span {span}"
        )
    }
}

/// Copies of spans that were open.
#[derive(Debug, Default)]
pub(super) struct Copies {
    spans: Vec<Copied>,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Copied {
    ids: Ids,
    epoch: u64,
    metadata: &'static Metadata<'static>,
    record: Range<usize>,
}

impl Copied {
    fn age(&self, record: &[u8], clock: &Clock) -> Duration {
        let now = clock.at(self.epoch);
        Duration::from_nanos(now.saturating_sub(trace::start_of(record)))
    }
}

impl Copies {
    /// To be called with the shard's lock.
    pub(super) fn push(&mut self, span: &OpenSpan) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&span.record);
        self.spans.push(Copied {
            ids: span.place.ids,
            epoch: span.place.epoch,
            metadata: span.metadata,
            record: start..self.bytes.len(),
        });
    }

    /// Whether there is no room for so many spans yet. Room is made before the lock, so that nothing is allocated under it.
    pub(super) fn lacks(&self, spans: usize, bytes: usize) -> bool {
        self.spans.capacity() < spans || self.bytes.capacity() < bytes
    }

    /// Room for so many spans, and for some that come meanwhile.
    pub(super) fn reserve(&mut self, spans: usize, bytes: usize) {
        self.spans.reserve(spans + spans / 8);
        self.bytes.reserve(bytes + bytes / 8);
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.bytes.clear();
    }

    fn iter(&self) -> impl Iterator<Item = (&Copied, &[u8])> {
        let record = |copy: &Copied| self.bytes.get(copy.record.clone()).unwrap_or_default();
        self.spans.iter().map(move |copy| (copy, record(copy)))
    }
}

/// The open spans of a pipeline.
#[derive(Clone, Debug)]
pub(crate) struct OpenSpans {
    store: Store,
    clock: Arc<Clock>,
}

impl OpenSpans {
    pub(super) fn new(store: &Store, clock: &Arc<Clock>) -> Self {
        Self {
            store: store.clone(),
            clock: Arc::clone(clock),
        }
    }

    /// The memory limit was lowered: what is kept for spans to come is given up.
    pub(crate) fn trim(&self) {
        self.store.trim();
    }

    /// All that are recorded, the oldest first.
    pub(crate) fn snapshots(&self) -> Vec<SpanSnapshot> {
        let (mut snapshots, mut copies) = (Vec::new(), Copies::default());
        for shard in 0..Store::SHARDS {
            copies.clear();
            self.store.copy(shard, &mut copies);
            let decoded = copies.iter();
            snapshots
                .extend(decoded.map(|(copy, record)| SpanSnapshot::of(copy, record, &self.clock)));
        }
        snapshots.sort_by_key(|span| span.start);
        snapshots
    }

    /// Appends a record of each span that has been open for so long, once. To be called from time to time, on one thread.
    pub(crate) fn tell_of_long(&self, bound: Duration, traces: &Stream) {
        let bound = nanos(bound);
        let is_long = |span: &OpenSpan| {
            let age = self
                .clock
                .at(span.place.epoch)
                .saturating_sub(trace::start_of(&span.record));
            age >= bound && span.place.ids.flags & SAMPLED != 0
        };
        let (mut copies, mut message) = (Copies::default(), Vec::new());
        for shard in 0..Store::SHARDS {
            let mut at = 0;
            while let Some(next) = self.store.copy_long(shard, at, is_long, &mut copies) {
                at = next;
                for (copy, record) in copies.iter() {
                    self.put_long(copy, record, &mut message);
                    traces.append(&queue::Record {
                        scope: queue::Scope::named(copy.metadata.target()),
                        message: &message,
                    });
                    message.clear();
                }
                copies.clear();
            }
        }
    }

    /// A span of its own below the one that is open, with its attributes and as long as that has lasted so far.
    fn put_long(&self, copy: &Copied, record: &[u8], out: &mut Vec<u8>) {
        let ids = Ids {
            span: SpanId::random(),
            ..copy.ids
        };
        trace::put_head(out, &ids, trace::start_of(record));
        trace::put_parent(out, copy.ids.span);
        let name = trace::name_and_kind(record)
            .0
            .unwrap_or(copy.metadata.name());
        trace::put_name(out, &format!("still open: {name}"));
        trace::put_kind(out, SpanKind::Internal);
        trace::copy_attributes(out, record);
        trace::put_end(out, self.clock.at(copy.epoch));
    }
}
