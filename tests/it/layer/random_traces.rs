//! Random traces on one to four threads, under random samplers and filters that change midway, with parents from everywhere: what
//! is exported is what a naive model says of it, and each trace holds together.

mod program;
mod run;

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::Config;
use tracing_otlp::{Decision, SpanContext};

use self::program::{Phase, Sampling, phases, sampling};
use self::run::{Known, remote, run};
use crate::support::layer::{Attributed, Exported, Logs, Spans, int, text};

/// What is exported of a run, and what the model knows of it.
struct Outcome<'a> {
    sampling: Sampling,
    known: &'a [Known],
    exported: HashMap<usize, &'a Exported>,
}

impl<'a> Outcome<'a> {
    fn new(sampling: Sampling, known: &'a [Known], spans: &'a Spans) -> Self {
        let number = |span: &Exported| {
            let is_it = |number: &usize| span.value("number") == int(*number as i64);
            (0..known.len()).find(is_it).expect("each has its number")
        };
        let exported: HashMap<_, _> = spans.iter().map(|span| (number(span), span)).collect();
        assert_eq!(exported.len(), spans.len(), "each is exported once");
        Self {
            sampling,
            known,
            exported,
        }
    }

    /// The sampler's answer; `Err` has the root whose answer cannot be foretold and is the span's own too.
    fn decision(&self, number: usize) -> Result<Decision, usize> {
        let span = &self.known[number];
        let by_parent = || match (span.remote, span.parent) {
            (Some(flags), _) => Some(Ok(flags & 1 == 1)),
            (None, Some(parent)) => {
                let decision = self.decision(parent);
                Some(decision.map(|decision| decision == Decision::RecordAndSample))
            }
            (None, None) => None,
        };
        if self.sampling.follows_parent()
            && let Some(is_sampled) = by_parent()
        {
            return is_sampled.map(|is_sampled| self.sampling.as_parent(is_sampled));
        }
        self.sampling.decide(number, span.name).ok_or(number)
    }

    fn check(&self) {
        let mut ids = std::collections::HashSet::new();
        for (number, known) in self.known.iter().enumerate() {
            let exported = self.exported.get(&number);
            if let Some(context) = known.context.as_ref().filter(|_| known.is_visible) {
                assert!(
                    ids.insert(context.span_id()),
                    "span {number} has another's id"
                );
            }
            let is_expected = match self.decision(number) {
                _ if !known.is_visible => false,
                Ok(decision) => decision == Decision::RecordAndSample,
                Err(root) => self.exported.contains_key(&root),
            };
            assert_eq!(exported.is_some(), is_expected, "span {number}: {known:?}");
            if let Some(context) = known.context.as_ref().filter(|_| known.is_visible) {
                assert_eq!(context.is_sampled(), is_expected, "span {number}");
                self.check_place(number, context.trace_id().to_bytes());
            }
            if let Some(exported) = exported {
                self.check_exported(number, exported);
            }
        }
    }

    /// The trace is that of the parent, which had a context: a span that has a child has started.
    fn check_place(&self, number: usize, trace_id: [u8; 16]) -> Option<SpanContext> {
        let known = &self.known[number];
        let parent = match (known.remote, known.parent) {
            (Some(flags), _) => remote(flags),
            (None, Some(parent)) => self.known[parent].context.clone().expect("it has started"),
            (None, None) => return None,
        };
        assert_eq!(
            trace_id,
            parent.trace_id().to_bytes(),
            "span {number}: {known:?}"
        );
        Some(parent)
    }

    fn check_exported(&self, number: usize, span: &Exported) {
        let known = &self.known[number];
        let trace_id = span.trace_id[..].try_into().unwrap();
        if let Some(context) = &known.context {
            assert_eq!(trace_id, context.trace_id().to_bytes());
            assert_eq!(span.span_id, context.span_id().to_bytes());
            assert_eq!(span.trace_state, context.trace_state().as_str());
            assert_eq!(span.flags & 0xFF, u32::from(context.flags().bits()));
        }
        let parent = self.check_place(number, trace_id);
        let parent_id = parent.as_ref().map(|parent| parent.span_id().to_bytes());
        assert_eq!(
            span.parent_span_id,
            parent_id.as_ref().map_or(&[][..], |id| id)
        );
        assert_eq!(span.flags & 0x200 != 0, known.remote.is_some(), "{known:?}");
        assert_eq!(span.name, known.name);
        assert_eq!(span.kind, if known.is_server { 2 } else { 1 });
        self.sampling.check(number, known, span);
        let above = known.parent.filter(|_| known.remote.is_none());
        if let Some(above) = above.and_then(|parent| self.exported.get(&parent)) {
            assert!(span.start_time_unix_nano >= above.start_time_unix_nano);
        }
        let events = span.events.iter().map(|event| event.value("event"));
        let mut events: Vec<_> = events.map(|number| format!("{number:?}")).collect();
        let expected = known.events.iter().map(|number| int(*number as i64));
        let mut expected: Vec<_> = expected.map(|number| format!("{number:?}")).collect();
        events.sort();
        expected.sort();
        assert_eq!(events, expected, "events of span {number}");
        let links = span.links.iter().map(|link| &link.span_id[..]);
        for (link, to) in links.zip(&known.links) {
            let to = self.known[*to].context.as_ref().expect("it has started");
            assert_eq!(link, to.span_id().to_bytes());
        }
        assert_eq!(
            span.links.len(),
            known.links.len(),
            "links of span {number}"
        );
        if known.is_late {
            // A sampler that is asked when the span starts may replace it.
            assert!([text("late"), text("the sampler's")].contains(&span.value("late")));
        }
    }
}

/// A log has the ids of the nearest span that is recorded or would be, sampled or not.
fn check_logs(known: &[Known], logs: &Logs) {
    let contexts = known.iter().filter(|known| known.is_visible);
    for (known, context) in contexts.filter_map(|known| Some((known, known.context.as_ref()?))) {
        let inside = logs
            .iter()
            .filter(|log| log.span_id == context.span_id().to_bytes());
        let mut events = Vec::new();
        for log in inside {
            assert_eq!(log.trace_id, context.trace_id().to_bytes());
            assert_eq!(log.flags, u32::from(context.flags().bits()));
            events.push(format!("{:?}", log.value("event")));
        }
        let expected = known.events.iter().map(|number| int(*number as i64));
        let mut expected: Vec<_> = expected.map(|number| format!("{number:?}")).collect();
        events.sort();
        expected.sort();
        assert_eq!(events, expected, "{known:?}");
    }
    let inside = logs.iter().filter(|log| !log.has_no_ids()).count();
    let expected = known.iter().map(|known| known.events.len());
    assert_eq!(inside, expected.sum::<usize>());
}

proptest! {
    #![proptest_config(Config { cases: 64, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_is_exported_is_what_was_decided_and_each_trace_holds_together(
        sampling in sampling(),
        around: bool,
        phases in phases(),
    ) {
        let (known, spans, logs) = run(sampling, around, &phases);
        Outcome::new(sampling, &known, &spans).check();
        check_logs(&known, &logs);
    }
}

/// The model finds something to check.
#[test]
fn the_programs_are_rich() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = [0_usize; 6];
    for _ in 0..32 {
        let phases: Vec<Phase> = phases().new_tree(&mut runner).unwrap().current();
        let (known, spans, _) = run(Sampling::ParentAlwaysOn, false, &phases);
        seen[0] += spans.len();
        seen[1] += known.iter().filter(|span| !span.is_visible).count();
        seen[2] += known.iter().filter(|span| span.remote.is_some()).count();
        seen[3] += known.iter().filter(|span| span.parent.is_some()).count();
        seen[4] += known.iter().filter(|span| span.context.is_none()).count();
        seen[5] += known.iter().map(|span| span.events.len()).sum::<usize>();
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}
