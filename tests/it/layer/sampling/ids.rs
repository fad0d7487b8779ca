//! Where ids come from, and what follows from how random they are.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::info_span;
use tracing_otlp::{Decision, IdGenerator, Rule, Sampler, SpanExt, SpanId, TraceId};

use super::{Spy, assert_is, caller, context_of, sampled_by};
use crate::support::layer::record_with;

/// Counts, and says whether that is random.
#[derive(Debug)]
struct Counting {
    next: AtomicU64,
    is_random: bool,
}

impl Counting {
    fn new(is_random: bool) -> Self {
        Self {
            next: AtomicU64::new(1),
            is_random,
        }
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl IdGenerator for Counting {
    fn trace_id(&self) -> TraceId {
        TraceId::from_bytes(u128::from(self.next()).to_be_bytes()).unwrap()
    }

    fn span_id(&self) -> SpanId {
        SpanId::from_bytes(self.next().to_be_bytes()).unwrap()
    }

    fn is_random(&self) -> bool {
        self.is_random
    }
}

#[test]
fn spec_4_22_ids_come_from_the_programs_generator() {
    let generator = |builder: tracing_otlp::Builder| builder.with_id_generator(Counting::new(true));
    let spans = record_with(generator, || {
        let _root = info_span!("root").entered();
        drop(info_span!("child"));
    });
    let small = |id: &[u8]| id[..id.len() - 1].iter().all(|byte| *byte == 0);
    let mut ids: Vec<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    ids.push(spans.named("root").trace_id.clone());
    assert!(ids.iter().all(|id| small(id)), "{ids:?}");
    ids.iter_mut().for_each(|id| *id = vec![id[id.len() - 1]]);
    ids.sort();
    assert_eq!(ids, [[1], [2], [3]]);
    spans.named("child").assert_child_of(spans.named("root"));
}

/// "A root sampler MAY insert an explicit randomness value", and nobody writes over one.
#[test]
fn spec_4_15_a_root_whose_trace_id_is_not_random_gets_randomness() {
    let samplers = [
        Sampler::default(),
        Sampler::parent_based(Sampler::ratio(1.0)),
        Sampler::probability(1.0),
        Spy::always(Decision::RecordAndSample).sampler(),
    ];
    for sampler in samplers {
        let settings = |builder: tracing_otlp::Builder| {
            builder
                .with_sampler(sampler)
                .with_id_generator(Counting::new(false))
        };
        let mut contexts = Vec::new();
        let spans = record_with(settings, || {
            let plain = info_span!("plain");
            let server = info_span!("server", otel.kind = "server");
            for root in [&plain, &server] {
                let child = info_span!(parent: root, "child");
                contexts.extend([context_of(root), context_of(&child)]);
            }
            let remote = info_span!("remote", otel.kind = "server");
            remote
                .set_parent(caller(1, "ot=rv:0123456789abcd,v=1"))
                .unwrap();
            assert!(
                context_of(&remote)
                    .trace_state()
                    .as_str()
                    .contains("rv:0123456789abcd")
            );
            let other = info_span!("other");
            other.set_parent(caller(1, "v=1")).unwrap();
            assert!(!context_of(&other).trace_state().as_str().contains("rv:"));
        });
        for pair in contexts.chunks(2) {
            let ot = pair[0]
                .trace_state()
                .get("ot")
                .expect("there is randomness");
            let rv = ot
                .split(';')
                .find_map(|member| member.strip_prefix("rv:"))
                .unwrap();
            let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            assert!(rv.len() == 14 && rv.bytes().all(is_digit), "{rv}");
            assert_eq!(pair[1].trace_state(), pair[0].trace_state());
            assert!(!pair[0].flags().is_random() && !pair[1].flags().is_random());
        }
        assert_ne!(contexts[0].trace_state(), contexts[2].trace_state());
        assert_is(spans.named("plain"), &contexts[0]);
        assert_is(spans.named("server"), &contexts[2]);
    }
}

#[test]
fn spec_4_18_roots_have_the_random_flag_and_others_what_they_received() {
    let rule = Rule::new().name("drop*").sampler(Sampler::always_off());
    let sampler = Sampler::parent_based(Sampler::rules([rule], Sampler::always_on()));
    sampled_by(sampler, || {
        for root in [
            info_span!("root"),
            info_span!("root", otel.kind = "server"),
            info_span!("drop"),
            info_span!("drop", otel.kind = "server"),
        ] {
            assert!(context_of(&root).flags().is_random());
            let child = info_span!(parent: &root, "child");
            assert!(context_of(&child).flags().is_random());
        }
        for flags in [0, 1, 2, 3] {
            let span = info_span!("root");
            span.set_parent(caller(flags, "")).unwrap();
            let child = info_span!(parent: &span, "child");
            for span in [span, child] {
                assert_eq!(context_of(&span).flags().bits(), flags);
            }
        }
    });
    // A generator's ids count as random only where it says so.
    for is_random in [false, true] {
        let settings =
            |builder: tracing_otlp::Builder| builder.with_id_generator(Counting::new(is_random));
        let spans = record_with(settings, || drop(info_span!("root")));
        assert_eq!(spans.only().flags, if is_random { 0x103 } else { 0x101 });
    }
}
