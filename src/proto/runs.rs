//! The runs that a chunk consists of, cut between two records. No record is copied: a run that is cut in two gets two small
//! heads of its own (tag, length, scope), and its records stay where they are.

use bytes::Bytes;

use super::request::{RUN_HEAD, SCOPE, SCOPE_SPANS, SPANS};
use super::wire::{self, Content, LEN, Malformed, PADDED_MAX, Reader, padded_varint, tag};

/// ScopeSpans.schema_url.
pub(super) const SCHEMA_URL: u8 = tag(3, LEN);

/// Neighbouring records of a chunk.
#[derive(Clone, Debug)]
pub(crate) enum Stretch {
    /// Runs as they are.
    Runs(Bytes),
    /// Some records of one run, behind a head of their own.
    Cut { head: Bytes, records: Bytes },
}

/// A run in a buffer, by its places there.
struct Run {
    start: usize,
    /// Where its scope ends and its records begin; the scope may take no bytes.
    scope: usize,
    records: usize,
    end: usize,
}

impl Stretch {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Runs(bytes) => bytes.len(),
            Self::Cut { head, records } => head.len() + records.len(),
        }
    }

    /// Its bytes, in their order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Bytes> {
        let (first, second) = match self {
            Self::Runs(bytes) => (bytes, None),
            Self::Cut { head, records } => (head, Some(records)),
        };
        std::iter::once(first).chain(second).cloned()
    }

    /// Appends the first `wanted` records to `front` and the others to `back`; gives the number of those in front.
    fn split(&self, wanted: u64, front: &mut Vec<Self>, back: &mut Vec<Self>) -> Option<u64> {
        match self {
            Self::Runs(bytes) => split_runs(bytes, wanted, front, back),
            Self::Cut { head, records } => {
                let (at, taken) = walk(records, wanted)?;
                if at == records.len() {
                    front.push(self.clone());
                } else {
                    let scope = head.get(RUN_HEAD..)?;
                    front.push(Self::cut(scope, records.slice(..at))?);
                    back.push(Self::cut(scope, records.slice(at..))?);
                }
                Some(taken)
            }
        }
    }

    fn cut(scope: &[u8], records: Bytes) -> Option<Self> {
        let head = Bytes::from(head(scope, records.len())?);
        Some(Self::Cut { head, records })
    }
}

/// Cuts behind the first `count` records. `None` where that leaves nothing on either side, or what is there are no runs.
pub(crate) fn split(stretches: &[Stretch], count: u64) -> Option<(Vec<Stretch>, Vec<Stretch>)> {
    let (mut front, mut back) = (Vec::new(), Vec::new());
    let mut wanted = count;
    for stretch in stretches {
        if wanted == 0 {
            back.push(stretch.clone());
        } else {
            wanted -= stretch.split(wanted, &mut front, &mut back)?;
        }
    }
    (wanted == 0 && !front.is_empty() && !back.is_empty()).then_some((front, back))
}

/// The scope, as a field with its tag, and the message of a record that is alone.
pub(crate) fn only_record(stretch: &Stretch) -> Option<(&[u8], &[u8])> {
    let (scope, records) = match stretch {
        Stretch::Runs(bytes) => {
            let run = next_run(bytes, 0).ok()??;
            if run.end != bytes.len() {
                return None;
            }
            (
                bytes.get(run.scope..run.records)?,
                bytes.get(run.records..run.end)?,
            )
        }
        Stretch::Cut { head, records } => (head.get(RUN_HEAD..)?, &records[..]),
    };
    let mut reader = Reader::new(records);
    match reader.next() {
        Ok(Some((field, Content::Bytes(record))))
            if field == u32::from(SPANS >> 3) && reader.remaining() == 0 =>
        {
            Some((scope, record))
        }
        _ => None,
    }
}

/// A run with this record alone; `scope` is a field with its tag.
pub(crate) fn of_one(scope: &[u8], record: &[u8]) -> Option<Stretch> {
    let mut run = head(scope, wire::len_field_len(record.len()))?;
    wire::put_len(&mut run, SPANS, record);
    Some(Stretch::Runs(Bytes::from(run)))
}

fn head(scope: &[u8], records: usize) -> Option<Vec<u8>> {
    let len = scope.len() + records;
    if len > PADDED_MAX {
        return None;
    }
    let mut head = Vec::with_capacity(RUN_HEAD + scope.len());
    head.push(SCOPE_SPANS);
    head.extend_from_slice(&padded_varint(len));
    head.extend_from_slice(scope);
    Some(head)
}

fn split_runs(
    bytes: &Bytes,
    wanted: u64,
    front: &mut Vec<Stretch>,
    back: &mut Vec<Stretch>,
) -> Option<u64> {
    let (mut at, mut taken) = (0, 0);
    while taken < wanted {
        let Some(run) = next_run(bytes, at).ok()? else {
            break;
        };
        let records = bytes.get(run.records..run.end)?;
        let (cut, more) = walk(records, wanted - taken)?;
        taken += more;
        if cut < records.len() {
            let scope = bytes.get(run.scope..run.records)?;
            let cut = run.records + cut;
            push_runs(front, bytes.slice(..run.start));
            front.push(Stretch::cut(scope, bytes.slice(run.records..cut))?);
            back.push(Stretch::cut(scope, bytes.slice(cut..run.end))?);
            push_runs(back, bytes.slice(run.end..));
            return Some(taken);
        }
        at = run.end;
    }
    push_runs(front, bytes.slice(..at));
    push_runs(back, bytes.slice(at..));
    Some(taken)
}

fn push_runs(stretches: &mut Vec<Stretch>, bytes: Bytes) {
    if !bytes.is_empty() {
        stretches.push(Stretch::Runs(bytes));
    }
}

/// The run that begins at `start`; `None` at the end.
fn next_run(bytes: &[u8], start: usize) -> Result<Option<Run>, Malformed> {
    let mut reader = Reader::new(bytes.get(start..).ok_or(Malformed)?);
    let content = match reader.next()? {
        None => return Ok(None),
        Some((field, Content::Bytes(content))) if field == u32::from(SCOPE_SPANS >> 3) => content,
        Some(_) => return Err(Malformed),
    };
    let end = bytes.len() - reader.remaining();
    let scope = end - content.len();
    let mut inner = Reader::new(content);
    let mut records = scope;
    // The scope and its schema stand before the records.
    let is_head = |field: u32| {
        [SCOPE, SCHEMA_URL]
            .map(|tag| u32::from(tag >> 3))
            .contains(&field)
    };
    while let Some((field, Content::Bytes(_))) = inner.next()?
        && is_head(field)
    {
        records = end - inner.remaining();
    }
    Ok(Some(Run {
        start,
        scope,
        records,
        end,
    }))
}

/// Where the first `wanted` records end, or all of them if there are fewer, and how many that are.
fn walk(records: &[u8], wanted: u64) -> Option<(usize, u64)> {
    let mut reader = Reader::new(records);
    let mut taken = 0;
    while taken < wanted {
        match reader.next().ok()? {
            Some((field, Content::Bytes(_))) if field == u32::from(SPANS >> 3) => taken += 1,
            Some(_) => return None,
            None => break,
        }
    }
    Some((records.len() - reader.remaining(), taken))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
    use proptest::prelude::*;
    use prost::Message;

    use super::super::request::{begin_run, end_run, put_record};
    use super::*;

    /// Runs of spans: the scope's name and the length of each span's name.
    fn chunk(runs: &[(u8, Vec<u16>)]) -> Bytes {
        let mut out = Vec::new();
        let mut number = 0_u64;
        for (name, spans) in runs {
            let start = out.len();
            begin_run(&mut out, format!("scope-{name}").as_bytes());
            // Some have a schema.
            if name % 2 == 1 {
                wire::put_len(&mut out, SCHEMA_URL, b"schema");
            }
            for len in spans {
                number += 1;
                let span = Span {
                    span_id: number.to_be_bytes().to_vec(),
                    name: "x".repeat(usize::from(*len)),
                    ..Span::default()
                };
                put_record(&mut out, &span.encode_to_vec(), []);
            }
            end_run(&mut out, start);
        }
        Bytes::from(out)
    }

    /// Each span with the name of its scope.
    fn decode(stretches: &[Stretch]) -> Vec<(String, Span)> {
        let bytes: Vec<u8> = stretches
            .iter()
            .flat_map(Stretch::pieces)
            .flatten()
            .collect();
        assert_eq!(
            bytes.len(),
            stretches.iter().map(Stretch::len).sum::<usize>()
        );
        let decoded = ResourceSpans::decode(&bytes[..]).unwrap();
        let runs = decoded.scope_spans.into_iter();
        runs.flat_map(|run| {
            let scope = run.scope.unwrap().name + &run.schema_url;
            run.spans.into_iter().map(move |span| (scope.clone(), span))
        })
        .collect()
    }

    fn within(part: &Bytes, whole: &Bytes) -> bool {
        let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
        whole.start <= part.start && part.end <= whole.end
    }

    proptest! {
        /// F14: the halves, and their halves down to single records, are the whole, and no record is copied.
        #[test]
        fn f_14_halves_are_the_whole(
            runs in proptest::collection::vec((any::<u8>(), proptest::collection::vec(0_u16..300, 1..12)), 1..6),
            at: proptest::sample::Index,
        ) {
            let whole = chunk(&runs);
            let mut rest = vec![vec![Stretch::Runs(whole.clone())]];
            let mut singles = Vec::new();
            let all = decode(&rest[0]);
            while let Some(stretches) = rest.pop() {
                let decoded = decode(&stretches);
                if decoded.len() == 1 {
                    prop_assert!(split(&stretches, 1).is_none(), "nothing is left on the other side");
                    let (scope, record) = only_record(&stretches[0]).unwrap();
                    prop_assert_eq!(&Span::decode(record).unwrap(), &decoded[0].1);
                    prop_assert_eq!(&decode(&[of_one(scope, record).unwrap()]), &decoded);
                    singles.extend(decoded);
                    continue;
                }
                prop_assert!(stretches.len() > 1 || only_record(&stretches[0]).is_none());
                let count = 1 + at.index(decoded.len() - 1);
                let (front, back) = split(&stretches, count as u64).unwrap();
                prop_assert_eq!(decode(&front), &decoded[..count]);
                prop_assert_eq!(decode(&back), &decoded[count..]);
                for stretch in front.iter().chain(&back) {
                    let (Stretch::Runs(records) | Stretch::Cut { records, .. }) = stretch;
                    prop_assert!(within(records, &whole));
                }
                rest.extend([back, front]);
            }
            prop_assert_eq!(singles, all);
        }

        #[test]
        fn any_bytes_do_no_harm(bytes: Vec<u8>, head: Vec<u8>, count: u64, flip: proptest::sample::Index, to: u8) {
            let mut damaged = chunk(&[(1, vec![3, 5]), (2, vec![200])]).to_vec();
            let flip = flip.index(damaged.len());
            damaged[flip] = to;
            for bytes in [bytes, damaged] {
                let bytes = Bytes::from(bytes);
                let cut = Stretch::Cut { head: Bytes::from(head.clone()), records: bytes.clone() };
                for stretch in [Stretch::Runs(bytes), cut] {
                    let _ = only_record(&stretch);
                    for count in [count, 1, 2] {
                        let _ = split(std::slice::from_ref(&stretch), count);
                    }
                }
            }
        }
    }
}
