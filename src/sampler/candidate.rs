//! What a sampler sees of a span (specification, `ShouldSample`).

use crate::context::SpanContext;
use crate::id::{SpanId, TraceId};
use crate::model::{SpanKind, Value};
use crate::proto::trace::{LINKS, SPAN_ATTRIBUTE};
use crate::proto::value;
use crate::proto::wire::{Content, Reader, fields};

/// A span that is about to start, as a sampler sees it. Attributes are those that the span has so far: what is recorded later
/// cannot be seen (specification, adding attributes).
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    pub(crate) parent: Option<&'a SpanContext>,
    pub(crate) trace_id: TraceId,
    /// Whether the trace id is random: it came with W3C's random flag, or was made here.
    pub(crate) is_random: bool,
    pub(crate) name: &'a str,
    pub(crate) kind: SpanKind,
    pub(crate) target: &'a str,
    /// The span's message so far, of which attributes and links are read.
    pub(crate) record: &'a [u8],
}

/// A span's parent, as far as the early decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    None,
    Local { sampled: bool },
    Remote { sampled: bool },
}

impl<'a> Candidate<'a> {
    /// The parent; `None` for a root.
    pub fn parent(&self) -> Option<&'a SpanContext> {
        self.parent
    }

    /// The trace that the span belongs to, which is its parent's.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What the span is in its trace.
    pub fn kind(&self) -> SpanKind {
        self.kind
    }

    /// The tracing target, which is the name of the span's instrumentation scope.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The attribute of this key. Nothing is allocated unless it is an array or a map.
    pub fn attribute(&self, key: &str) -> Option<Value<'a>> {
        value::attribute(self.record, SPAN_ATTRIBUTE, key)
    }

    /// All attributes, in the order in which they were set. Each is decoded as it is asked for.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        value::attributes(self.record, SPAN_ATTRIBUTE)
    }

    /// The spans that it is linked to.
    pub fn links(&self) -> impl Iterator<Item = (TraceId, SpanId)> + use<'a> {
        fields(self.record, LINKS).filter_map(link)
    }

    /// The parent, as far as the early decision needs it.
    pub(super) fn parent_kind(&self) -> Parent {
        match self.parent {
            None => Parent::None,
            Some(parent) => {
                let sampled = parent.is_sampled();
                if parent.is_remote() {
                    Parent::Remote { sampled }
                } else {
                    Parent::Local { sampled }
                }
            }
        }
    }
}

/// The message's bytes say nothing to people.
impl std::fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate")
            .field("parent", &self.parent)
            .field("trace_id", &self.trace_id)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

fn link(message: &[u8]) -> Option<(TraceId, SpanId)> {
    let (mut trace, mut span) = (None, None);
    let mut reader = Reader::new(message);
    while let Ok(Some((field, content))) = reader.next() {
        match (field, content) {
            (1, Content::Bytes(bytes)) => trace = TraceId::from_bytes(bytes.try_into().ok()?),
            (2, Content::Bytes(bytes)) => span = SpanId::from_bytes(bytes.try_into().ok()?),
            _ => {}
        }
    }
    trace.zip(span)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::{TraceFlags, TraceState};
    use crate::proto::trace::{Ids, put_encoded_link, put_link_head};
    use crate::proto::value::put_attribute;

    fn candidate(record: &[u8]) -> Candidate<'_> {
        Candidate {
            parent: None,
            trace_id: TraceId::random(),
            is_random: true,
            name: "name",
            kind: SpanKind::Server,
            target: "target",
            record,
        }
    }

    #[test]
    fn spec_4_5_a_sampler_sees_parent_trace_id_name_kind_attributes_and_links() {
        let ids = Ids {
            trace: TraceId::random(),
            span: SpanId::random(),
            flags: 0x101,
        };
        let mut record = Vec::new();
        let values: [(&str, Value<'_>); 4] = [
            ("text", "ä".into()),
            ("number", 7_i64.into()),
            ("list", [1_i64, 2].as_slice().into()),
            ("none", Value::Empty),
        ];
        crate::proto::trace::put_head(&mut record, &ids, 1);
        crate::proto::trace::put_name(&mut record, "name");
        for (key, value) in &values {
            put_attribute(&mut record, SPAN_ATTRIBUTE, key, value, &Default::default());
        }
        let mut link = Vec::new();
        put_link_head(&mut link, &ids, "");
        put_encoded_link(&mut record, &link);
        let parent = SpanContext::remote(
            ids.trace,
            ids.span,
            TraceFlags::SAMPLED,
            TraceState::default(),
        );
        let span = Candidate {
            parent: Some(&parent),
            trace_id: ids.trace,
            ..candidate(&record)
        };
        assert_eq!(span.parent(), Some(&parent));
        assert_eq!(span.trace_id(), ids.trace);
        assert_eq!(
            (span.name(), span.kind(), span.target()),
            ("name", SpanKind::Server, "target")
        );
        assert_eq!(span.attributes().collect::<Vec<_>>(), values);
        for (key, value) in &values {
            assert_eq!(span.attribute(key).as_ref(), Some(value), "{key}");
        }
        assert_eq!(span.attribute("tex"), None);
        assert_eq!(span.links().collect::<Vec<_>>(), [(ids.trace, ids.span)]);
        assert_eq!(span.parent_kind(), Parent::Remote { sampled: true });
    }

    proptest! {
        #[test]
        fn a_record_that_is_no_protobuf_does_no_harm(record: Vec<u8>, key in ".{0,4}") {
            let span = candidate(&record);
            let _ = (span.attribute(&key), span.attributes().count(), span.links().count());
        }
    }
}
