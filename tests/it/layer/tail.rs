//! Local tail sampling: which traces are kept, and what becomes of the others.

mod random;

use std::thread;
use std::time::Duration;

use tracing::field::Empty;
use tracing::{Dispatch, Span, debug_span, error, info, info_span};
use tracing_otlp::{
    Batch, Builder, DropReason, Errors, Processor, Record, Rule, Sampler, SpanContext, SpanExt,
    SpanId, SpanKind, Stats, Status, Tail, TraceFlags, TraceId, TraceState,
};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Pipeline, Spans};

const NEVER: Duration = Duration::from_secs(3_600);

/// What is exported of `work`, and the books, when all is over.
fn sample_with(
    settings: impl FnOnce(Builder) -> Builder,
    work: impl FnOnce(&Pipeline),
) -> (Spans, Stats) {
    let (layer, pipeline) = Pipeline::with(settings);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || work(&pipeline));
    pipeline.shut_down()
}

fn sample(tail: Tail, work: impl FnOnce()) -> (Spans, Stats) {
    sample_with(|builder| builder.with_tail_sampling(tail), |_| work())
}

#[track_caller]
fn assert_kept((spans, stats): &(Spans, Stats), names: &[&str]) {
    let (mut found, mut names) = (spans.names(), names.to_vec());
    found.sort_unstable();
    names.sort_unstable();
    assert_eq!(found, names, "{stats}");
    assert_eq!(stats.dropped(), stats.dropped_for(DropReason::TailSampled));
}

/// A trace of four spans; `inside` is called in the innermost.
fn trace(inside: impl FnOnce()) {
    info_span!("root").in_scope(|| {
        info_span!("first").in_scope(|| info!("well"));
        info_span!("second").in_scope(|| info_span!("inner").in_scope(inside));
    });
}

const ALL: [&str; 4] = ["root", "first", "second", "inner"];

#[test]
fn a_trace_that_went_well_is_dropped_and_counted() {
    let (spans, stats) = sample(Tail::default(), || trace(|| ()));
    assert!(spans.is_empty());
    assert_eq!(stats.dropped_for(DropReason::TailSampled), 4, "{stats}");
    assert!(stats.to_string().contains("tail_sampled 4"), "{stats}");
}

#[test]
fn a_trace_that_failed_is_kept_in_whole() {
    let outcome = sample(Tail::default(), || {
        trace(|| error!("it failed"));
        trace(|| ());
    });
    assert_kept(&outcome, &ALL);
    assert_eq!(outcome.1.dropped(), 4);
    let (spans, root) = (&outcome.0, outcome.0.named("root"));
    spans.named("first").assert_child_of(root);
    spans.named("inner").assert_child_of(spans.named("second"));
}

#[test]
fn an_error_is_an_error_whatever_becomes_of_the_status() {
    let without_status = |builder: Builder| {
        let errors = Errors::default().with_status(false).with_panics(false);
        let builder = builder.with_errors(errors);
        builder.with_tail_sampling(Tail::default())
    };
    let an_exception = || Span::current().add_event("exception", []);
    let an_ok_before = || {
        Span::current().set_status(Status::Ok);
        error!("it failed");
    };
    let a_panic = || panic!("inside of a span");
    let inside: [&dyn Fn(); 4] = [
        &|| error!("it failed"),
        &an_exception,
        &an_ok_before,
        &|| {
            // Behind a reference, a function that never returns is one that returns nothing.
            a_panic()
        },
    ];
    for (number, inside) in inside.iter().enumerate() {
        let outcome = sample_with(without_status, |_| {
            let work = std::panic::AssertUnwindSafe(|| trace(inside));
            assert_eq!(std::panic::catch_unwind(work).is_err(), number == 3);
        });
        assert_kept(&outcome, &ALL);
    }
}

#[test]
fn a_status_of_error_keeps_a_trace() {
    let by_field = || drop(info_span!("failed", otel.status_code = "ERROR"));
    let outcome = sample(Tail::default(), || trace(by_field));
    assert_kept(&outcome, &["root", "first", "second", "inner", "failed"]);
    let by_name = || Span::current().set_status(Status::Error("bad".into()));
    assert_kept(&sample(Tail::default(), || trace(by_name)), &ALL);
    let well = || Span::current().set_status(Status::Ok);
    assert_kept(&sample(Tail::default(), || trace(well)), &[]);
}

#[test]
fn a_slow_trace_is_kept() {
    // Whatever takes time at all is slow, or nothing is.
    let slow = Tail::default().with_slower_than(Duration::ZERO);
    assert_kept(&sample(slow, || trace(|| ())), &ALL);
    let fast = Tail::default().with_slower_than(NEVER);
    assert_kept(&sample(fast, || trace(|| ())), &[]);
}

#[test]
fn a_rule_sees_all_that_a_span_turned_out_to_be() {
    let work = || {
        let span = info_span!("root", otel.name = Empty, otel.kind = Empty, user = Empty);
        span.in_scope(|| info_span!(target: "db::pool", "query", rows = 7).in_scope(|| ()));
        span.record("otel.name", "GET /users");
        span.record("otel.kind", "server");
        span.record("user", "ada");
    };
    let rule = Rule::new;
    let holding = [
        rule(),
        rule().name("GET /*"),
        rule().kind(SpanKind::Server),
        rule().field("user", "a?a"),
        rule().name("query").target("db::*").field("rows", 7),
    ];
    for rule in holding {
        let outcome = sample(Tail::default().with_rule(rule), work);
        assert_kept(&outcome, &["GET /users", "query"]);
    }
    let not_holding = [
        rule().name("root"),
        rule().kind(SpanKind::Client),
        rule().field("user", "bob"),
        rule().name("GET /users").field("rows", 7),
    ];
    for rule in not_holding {
        assert_kept(&sample(Tail::default().with_rule(rule), work), &[]);
    }
}

fn is_chosen(id: TraceId, ratio: f64) -> bool {
    let bits = u128::from_be_bytes(id.to_bytes()) as u64 >> 1;
    (bits as f64) < ratio * (1_u64 << 63) as f64
}

#[test]
fn the_ratio_chooses_by_the_trace_id_as_the_sampler_does() {
    for ratio in [0.0, 0.25, 0.75, 1.0] {
        let mut ids = Vec::new();
        let (spans, stats) = sample(Tail::default().with_ratio(ratio), || {
            for _ in 0..200 {
                let root = info_span!("root");
                root.in_scope(|| drop(info_span!("child")));
                ids.extend(root.context().span().map(SpanContext::trace_id));
            }
        });
        let expected: Vec<_> = ids.into_iter().filter(|id| is_chosen(*id, ratio)).collect();
        let kept = spans.all_named("root");
        let kept: Vec<_> = kept.iter().map(|span| &span.trace_id[..]).collect();
        let expected: Vec<_> = expected.iter().map(|id| id.to_bytes()).collect();
        assert_eq!(kept, expected);
        assert_eq!(spans.all_named("child").len(), kept.len());
        assert_eq!(stats.dropped(), 400 - 2 * kept.len() as u64);
    }
}

#[test]
fn a_flush_decides_nothing_and_a_shutdown_decides_all() {
    let outcome = sample_with(
        |builder| builder.with_tail_sampling(Tail::default()),
        |pipeline| {
            let root = info_span!("root").entered();
            drop((info_span!("first"), info_span!("second")));
            pipeline.handle().flush(NEVER).unwrap();
            let stats = pipeline.handle().stats();
            assert_eq!((stats.accepted(), stats.held()), (2, 2), "{stats}");
            assert!(stats.is_balanced());
            pipeline.handle().shutdown(NEVER).unwrap();
            let stats = pipeline.handle().stats();
            assert_eq!(stats.dropped_for(DropReason::TailSampled), 2, "{stats}");
            // From now on nothing is held.
            drop(info_span!("late"));
            drop(root);
        },
    );
    let stats = outcome.1;
    assert_eq!(stats.dropped_for(DropReason::Shutdown), 1, "{stats}");
    assert_eq!(stats.dropped_for(DropReason::TailSampled), 3, "{stats}");
}

#[test]
fn a_shutdown_keeps_what_has_been_held_so_long_that_it_is_slow() {
    let tail = Tail::default().with_slower_than(Duration::ZERO);
    let outcome = sample_with(
        |builder| builder.with_tail_sampling(tail),
        |pipeline| {
            let _root = info_span!("root").entered();
            drop(info_span!("first"));
            pipeline.handle().shutdown(NEVER).unwrap();
        },
    );
    assert_eq!(outcome.0.names(), ["first"]);
}

#[test]
fn what_the_sampler_leaves_out_is_not_held_and_counts_for_nothing() {
    let only_children = Sampler::rules(
        [
            Rule::new().name("root").sampler(Sampler::always_off()),
            Rule::new()
                .name("first")
                .sampler(Sampler::always_record(Sampler::always_off())),
        ],
        Sampler::always_on(),
    );
    let settings = |builder: Builder| {
        let builder = builder.with_sampler(only_children);
        builder.with_tail_sampling(Tail::default())
    };
    let outcome = sample_with(settings, |_| {
        let root = info_span!("root");
        root.in_scope(|| {
            // Not exported, so its error is nobody's.
            info_span!("first").in_scope(|| error!("not to be seen"));
            info_span!("second").in_scope(|| drop(info_span!("inner")));
            info_span!("third").in_scope(|| info_span!("innermost").in_scope(|| error!("seen")));
        });
    });
    // Below a root that is not recorded, each child begins a local trace.
    assert_kept(&outcome, &["third", "innermost"]);
    assert_eq!(outcome.1.dropped(), 2);
}

#[test]
fn a_root_that_is_only_recorded_decides_about_its_children() {
    let record_root = Sampler::rules(
        [Rule::new()
            .name("root")
            .sampler(Sampler::always_record(Sampler::always_off()))],
        Sampler::always_on(),
    );
    for (is_slow, kept) in [(false, &[][..]), (true, &["first", "second", "inner"])] {
        let threshold = if is_slow { Duration::ZERO } else { NEVER };
        let tail = Tail::default().with_slower_than(threshold);
        let sampler = record_root.clone();
        let settings = |builder: Builder| builder.with_sampler(sampler).with_tail_sampling(tail);
        assert_kept(&sample_with(settings, |_| trace(|| ())), kept);
    }
}

fn remote() -> SpanContext {
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    let span = SpanId::from_bytes([8; 8]).unwrap();
    SpanContext::remote(trace, span, TraceFlags::SAMPLED, TraceState::default())
}

#[test]
fn what_has_a_remote_parent_is_a_local_trace_and_kept_on_request() {
    for keeps in [false, true] {
        let tail = Tail::default().with_remote_kept(keeps);
        let outcome = sample(tail, || {
            let root = info_span!("below");
            root.set_parent(remote()).unwrap();
            root.in_scope(|| info_span!("child").in_scope(|| drop(info_span!("grandchild"))));
            drop(root);
            trace(|| ());
        });
        let all = ["below", "child", "grandchild"];
        assert_kept(&outcome, if keeps { &all } else { &[] });
    }
}

#[test]
fn local_traces_of_one_trace_are_decided_each_by_itself() {
    let outcome = sample(Tail::default(), || {
        let parent = remote();
        let calls = ["one", "two"].map(|fails| {
            let root = info_span!("call", fails);
            root.set_parent(parent.clone()).unwrap();
            root
        });
        // Both are open at once.
        calls[0].in_scope(|| info_span!("well").in_scope(|| ()));
        calls[1].in_scope(|| info_span!("failed").in_scope(|| error!("it failed")));
    });
    assert_kept(&outcome, &["call", "failed"]);
}

#[test]
fn a_span_that_gets_another_parent_leaves_its_local_trace() {
    let outcome = sample(Tail::default(), || {
        let root = info_span!("root").entered();
        let moved = info_span!("moved");
        moved.set_parent(remote()).unwrap();
        moved.in_scope(|| info_span!("below").in_scope(|| error!("it failed")));
        drop(moved);
        drop(root);
    });
    assert_kept(&outcome, &["moved", "below"]);
}

#[test]
fn a_root_is_decided_about_after_its_last_child() {
    let outcome = sample(Tail::default(), || {
        let root = info_span!("root");
        let child = info_span!(parent: &root, "child");
        drop(root);
        child.in_scope(|| error!("it failed"));
    });
    assert_kept(&outcome, &["root", "child"]);
}

#[test]
fn a_hidden_span_passes_its_trace_on() {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_tail_sampling(Tail::default()));
    let layer = layer.with_filter(tracing_subscriber::filter::LevelFilter::INFO);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        info_span!("root").in_scope(|| {
            drop(info_span!("first"));
            debug_span!("hidden").in_scope(|| info_span!("inner").in_scope(|| error!("it failed")));
        });
    });
    assert_kept(&pipeline.shut_down(), &["root", "first", "inner"]);
}

/// "As soon as one of these is known, what is held of the trace goes to the exporter, and so does what ends later."
#[test]
fn a_trace_that_failed_early_is_kept_in_whole_however_long_it_goes_on() {
    let tail = Tail::default().with_max_age(Duration::from_millis(20));
    let batch = Batch::default().with_interval(Duration::from_millis(10));
    let settings = |builder: Builder| builder.with_tail_sampling(tail).with_batch(batch);
    let outcome = sample_with(settings, |_| {
        info_span!("root").in_scope(|| {
            info_span!("failed").in_scope(|| error!("it failed"));
            thread::sleep(Duration::from_millis(500));
            drop(info_span!("late"));
        });
    });
    assert_kept(&outcome, &["root", "failed", "late"]);
}

/// Many threads work on traces of each other's, half of which fail somewhere.
#[test]
fn children_close_on_other_threads_while_their_root_does() {
    const TRACES: usize = 300;
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_tail_sampling(Tail::default()));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    thread::scope(|scope| {
        for thread in 0..4 {
            let dispatch = &dispatch;
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    (thread..TRACES)
                        .step_by(4)
                        .for_each(|number| spread(dispatch, number));
                });
            });
        }
    });
    drop(dispatch);
    let (spans, stats) = pipeline.shut_down();
    let failed = (TRACES / 2) as u64;
    assert_eq!(
        (stats.delivered(), stats.dropped()),
        (5 * failed, 5 * failed)
    );
    assert_eq!(spans.all_named("root").len() as u64, failed);
}

/// A trace of five spans, whose handles are dropped on two threads at once.
fn spread(dispatch: &Dispatch, number: usize) {
    let root = info_span!("root");
    let children: Vec<Span> = (0..4).map(|_| info_span!(parent: &root, "child")).collect();
    thread::scope(|scope| {
        for (at, child) in children.into_iter().enumerate() {
            let work = move || {
                if number.is_multiple_of(2) && at == number / 2 % 4 {
                    child.in_scope(|| error!("it failed"));
                }
                drop(child);
            };
            if at % 2 == 0 {
                scope.spawn(move || tracing::dispatcher::with_default(dispatch, work));
            } else {
                work();
            }
        }
        drop(root);
    });
}

#[test]
fn wrong_values_are_errors_of_the_configuration() {
    let wrong = [
        (Tail::default().with_ratio(1.5), "Tail::with_ratio(1.5)"),
        (
            Tail::default().with_max_age(Duration::ZERO),
            "Tail::with_max_age(0ns)",
        ),
        (
            Tail::default().with_max_bytes(17 << 20),
            "Tail::with_max_bytes(17825792)",
        ),
        (
            Tail::default().with_max_bytes(1_000),
            "Tail::with_max_bytes(1000)",
        ),
    ];
    for (tail, text) in wrong {
        let error = tracing_otlp::layer()
            .with_tail_sampling(tail)
            .build()
            .unwrap_err();
        assert!(
            error.is_config() && error.to_string().contains(text),
            "{error}"
        );
    }
}

#[test]
fn what_holds_is_explained() {
    let tail = Tail::default()
        .with_slower_than(Duration::from_secs(1))
        .with_rule(Rule::new().name("GET /*"))
        .with_ratio(0.01)
        .with_remote_kept(true);
    let (_layer, pipeline) = Pipeline::with(|builder| builder.with_tail_sampling(tail));
    let explanation = pipeline.handle().explain().to_string();
    let line = explanation
        .lines()
        .find(|line| line.contains("tail_sampling"));
    let expected = "errors, slower than 1s, [name=GET /*], ratio 0.010000, below a remote parent; held for 30s at most, in 8388608 bytes";
    assert!(line.is_some_and(|line| line.contains(expected)), "{line:?}");
}

#[test]
fn a_processor_speaks_first() {
    struct Editor;
    impl Processor for Editor {
        fn on_end(&self, record: &mut Record<'_>) {
            match record.name() {
                "root" | "first" => record.discard(),
                "second" => record.set_attribute("checked", true),
                _ => {}
            }
        }
    }
    let rule = Rule::new().field("checked", true);
    for (tail, kept) in [
        (Tail::default().with_rule(rule), &["second", "inner"][..]),
        // The root is discarded, and all the same its end is that of its trace.
        (Tail::default(), &[]),
    ] {
        let settings = |builder: Builder| builder.with_processor(Editor).with_tail_sampling(tail);
        let (spans, stats) = sample_with(settings, |_| trace(|| ()));
        let mut names = spans.names();
        names.sort_unstable();
        let mut expected = kept.to_vec();
        expected.sort_unstable();
        assert_eq!(names, expected, "{stats}");
        assert_eq!(stats.dropped_for(DropReason::Processor), 2, "{stats}");
        let sampled_out = stats.dropped_for(DropReason::TailSampled);
        assert_eq!(sampled_out, 2 - kept.len() as u64, "{stats}");
    }
}

/// Threads make more than there is room for, in traces that stay open for a while: what is dropped is counted, nothing is half
/// counted, and what fails while its trace is still held is there.
#[test]
fn where_the_room_is_used_up_the_books_balance_and_the_limit_holds() {
    const THREADS: u64 = 4;
    const TRACES: u64 = 100;
    const SPANS: u64 = 20;
    let tail = Tail::default().with_max_bytes(64 << 10);
    let (layer, pipeline) =
        Pipeline::with(|builder| builder.with_tail_sampling(tail).with_memory_limit(1 << 20));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    for number in 0..TRACES {
                        let root = info_span!("root");
                        for _ in 1..SPANS {
                            let payload = "x".repeat(1_000);
                            drop(info_span!(parent: &root, "child", payload));
                        }
                        if number.is_multiple_of(10) {
                            root.in_scope(|| error!("it failed"));
                        }
                    }
                });
            });
        }
    });
    drop(dispatch);
    let (spans, stats) = pipeline.shut_down();
    assert_eq!(stats.accepted(), THREADS * TRACES * SPANS, "{stats}");
    assert!(stats.dropped_for(DropReason::TailOverflow) > 0, "{stats}");
    // The memory limit is small as well, and full queues drop too.
    let refused = stats.dropped_for(DropReason::QueueFull) + stats.dropped_for(DropReason::Evicted);
    let failed = spans.all_named("root").len() as u64;
    assert!(failed + refused >= THREADS * TRACES / 10, "{stats}");
}
