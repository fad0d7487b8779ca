//! Heap allocations in steady state: none for a span, an event, a link or a record, at most two for a chunk. A process of its
//! own, since it changes the allocator.
//!
//! Left out are the calls that say that they allocate: `Sampler::probability` and `Sampler::composite`, which make a tracestate
//! for each span that they sample; `SpanExt::traceparent`, which makes a text; fields of the type `dyn Error`, the texts of whose
//! sources are gathered (unless neither chains nor exceptions are wanted); spans of more than 4 KiB, whose buffers are not kept; and
//! what the program itself allocates. How much memory open spans hold is in `open.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it counted"
)]

mod material;
mod open;
mod steady;

use std::error::Error;
use std::panic::{catch_unwind, resume_unwind};
use std::time::{Duration, UNIX_EPOCH};

use tracing::field::Empty;
use tracing::{Span, debug, error, info, info_span};
use tracing_otlp::{
    Builder, Candidate, Decision, Errors, Events, Limits, Logs, ParentBased, Processor, Record,
    Redaction, Request, Rule, Sampler, Sampling, Sending, ShouldSample, SpanExt, Status, Tail,
    TraceFlags, TraceState, Transport, with_remote_parent,
};
use tracing_subscriber::prelude::*;

use material::{Plain, Random, caller, other, rules, tight, trace, with_state};
use steady::{ALLOCATIONS, Discard, Steady, assert_steady, steady};

fn request() {
    let outer = info_span!(
        "request",
        method = "GET",
        path = "/users",
        status = 200,
        bytes = 1024_u64
    );
    let _outer = outer.enter();
    let inner = info_span!(
        "query",
        table = "users",
        rows = 3_usize,
        cached = false,
        cost = 0.5
    );
    let _inner = inner.enter();
    info!(rows = 3, "found");
}

fn of_crate_log() {
    let record = &mut log::Record::builder();
    let record = record
        .target("other")
        .line(Some(7))
        .file(Some("src/other.rs"));
    tracing_log::format_trace(&record.args(format_args!("hello")).build()).unwrap();
}

#[test]
fn logs_allocate_nothing() {
    let as_events =
        |name, records, events| steady(name, records).with(|builder| builder.with_events(events));
    let logs = |name, records| as_events(name, records, Events::Logs);
    logs("log", 1).assert(|| info!(rows = 3, path = "/users", "found {}", 3));
    logs("log in a span", 3).assert(request);
    logs("exception", 2).assert(|| info_span!("span").in_scope(|| error!(error = "no")));
    logs("event", 1).assert(|| info!(event.name = "order.placed", items = 3));
    logs("log of the crate log", 1).assert(of_crate_log);
    as_events("span event and log", 3, Events::Both).assert(request);
    let spans = Logs::default().with_all_span_fields();
    logs("span fields", 3)
        .with(|builder| builder.with_logs(spans))
        .assert(request);
    let never = |builder: Builder| builder.with_sampler(Sampler::always_off());
    logs("log in a span that is not sampled", 1)
        .with(never)
        .assert(request);
}

#[test]
fn spans_events_and_records_allocate_nothing() {
    assert_steady("empty", 1, || drop(info_span!("empty").entered()));
    assert_steady("request", 2, request);
    assert_steady("late record", 1, || {
        let span = info_span!("late", first = Empty, second = Empty, otel.name = Empty);
        span.record("first", 1);
        span.record("second", "two");
        span.record("first", 3);
        span.record("otel.name", "renamed");
    });
    assert_steady("display and debug", 1, || {
        let value = 5;
        let span = info_span!("formatted", shown = %value, told = ?value, wide = 7_u128);
        span.in_scope(|| info!("value {value}"));
    });
    assert_steady("special fields", 1, || {
        drop(info_span!(
            "x",
            otel.kind = "server",
            otel.name = "GET /",
            otel.status_code = "error"
        ));
    });
    assert_steady("error event", 1, || {
        info_span!("failing").in_scope(|| error!("it failed"))
    });
    assert_steady("exception", 1, || {
        let span = info_span!("failing", late = Empty);
        span.in_scope(|| error!(error = %"it failed", error.type = ?7));
    });
    assert_steady("link", 2, || {
        let cause = info_span!("cause");
        info_span!("effect").follows_from(&cause);
    });
    assert_steady("long texts", 1, || {
        let text = include_str!("main.rs").get(..200).unwrap();
        let span = info_span!("span", shown = %text, told = ?text, late = Empty);
        span.record("late", text);
        span.set_attribute("set", text);
        span.update_name(text);
        span.in_scope(|| info!(text, "{text}"));
        span.in_scope(|| error!(error = %text));
    });
    assert_steady("filtered in between", 2, || {
        let _outer = info_span!("outer").entered();
        let _hidden = tracing::debug_span!("hidden").entered();
        debug!("hidden");
        drop(info_span!(parent: &Span::current(), "inner"));
    });
    assert_steady("large", 1, || {
        drop(info_span!(
            "large",
            text = include_str!("main.rs").get(..1500)
        ))
    });
}

/// Says something of each span.
struct Adds;

impl Processor for Adds {
    fn on_start(&self, span: &mut Record<'_>) {
        span.set_attribute("started", 1);
    }

    fn on_end(&self, record: &mut Record<'_>) {
        if record.attribute("started").is_some() {
            record.set_attribute("ended", "well");
            record.set_name("named");
        }
    }
}

#[test]
fn processors_that_replace_nothing_allocate_nothing() {
    let redacted =
        |name, spans| steady(name, spans).with(|builder| builder.with_processor(Redaction::new()));
    redacted("redacted request", 2).assert(request);
    redacted("redacted texts", 1).assert(|| {
        let text = "to a.person, who has 4 numbers: 1234 5678";
        let span = info_span!("span", shown = %text, told = ?text, late = Empty);
        span.record("late", text);
        span.set_attribute("set", text);
        span.update_name(text);
        span.add_event(text, [("text", text.into())]);
        span.in_scope(|| info!(text, "{text}"));
        span.set_status(Status::Ok);
    });
    steady("processed request", 2)
        .with(|builder| builder.with_processor(Adds))
        .assert(request);
    steady("discarded", 0)
        .with(|builder| builder.with_processor(Discards))
        .assert(request);
}

/// Wants no span.
struct Discards;

impl Processor for Discards {
    fn on_end(&self, record: &mut Record<'_>) {
        record.discard();
    }
}

#[test]
fn what_is_said_to_a_span_allocates_nothing() {
    assert_steady("attributes", 1, || {
        let span = info_span!("span", field = Empty);
        span.set_attribute("first", 1);
        span.set_attribute("first", "again");
        span.set_attribute("field", true);
        span.record("field", 2);
    });
    assert_steady("events", 1, || {
        let span = info_span!("span");
        span.add_event("empty", []);
        span.add_event("event", [("text", "a".into()), ("number", 1.into())]);
    });
    assert_steady("links", 2, || {
        let cause = info_span!("cause");
        let context = cause.context();
        if let Some(to) = context.span() {
            info_span!("effect").add_link(to, [("place", 1.into())]);
        }
    });
    assert_steady("status and name", 1, || {
        let span = info_span!("span");
        span.set_status(Status::error("it failed"));
        span.update_name("another");
        span.set_status(Status::Ok);
    });
    assert_steady("ids", 1, || {
        let span = info_span!("span").entered();
        assert!(span.trace_id().is_some() && span.span_id().is_some());
        assert!(Span::none().context().span().is_some());
        let context = span.context();
        with_remote_parent(&context, || ());
    });
}

#[test]
fn a_record_with_every_feature_used_costs_no_allocation_in_steady_state() {
    let caller = caller(TraceFlags::SAMPLED);
    let cause = other(3);
    let all = steady("every feature", 4).with(|builder| {
        builder
            .with_location(true)
            .with_target(true)
            .with_level(true)
            .with_threads(true)
            .with_busy_and_idle(true)
            .with_end_at_last_exit(true)
            .with_id_generator(Random)
            .with_sampler(Sampler::parent_based(rules()))
            .with_limits(tight())
    });
    all.assert(|| {
        let first = info_span!("first");
        let span = info_span!(
            "serve",
            otel.kind = "server",
            late = Empty,
            otel.name = Empty
        );
        span.set_parent(caller.clone()).unwrap();
        span.follows_from(&first);
        span.add_link(&cause, [("place", 1.into()), ("why", "because".into())]);
        let _entered = span.enter();
        say_all(&span);
        let child = info_span!("child", text = "more than the limit has", number = 7).entered();
        say_all(&child);
        fail();
        with_remote_parent(&caller, || {
            drop(info_span!(parent: None, "root", http.route = "/checkout/1").entered());
        });
    });
}

/// All that can be said to a span that has started.
fn say_all(span: &Span) {
    span.record("late", 1);
    span.record("late", "again");
    span.record("otel.name", "GET /users");
    span.set_attribute("set", 1);
    span.set_attribute("set", "more than the limit has");
    span.update_name("another name");
    info!(rows = 3, "found");
    span.add_event("event", [("text", "a".into()), ("number", 1.into())]);
    span.add_event_at("earlier", UNIX_EPOCH + Duration::from_secs(1), []);
    span.set_status(Status::error("it failed"));
    assert!(span.context().span().is_some() && span.trace_id().is_some());
}

fn fail() {
    error!("it failed");
    error!(error = %"it failed again", error.type = ?7);
}

#[test]
fn samplers_allocate_nothing_whatever_they_say() {
    #[derive(Debug)]
    struct Own(Decision);
    impl ShouldSample for Own {
        fn should_sample(&self, span: &Candidate<'_>) -> Sampling {
            assert!(!span.name().is_empty() && span.attribute("none").is_none());
            self.0.into()
        }

        fn description(&self) -> String {
            "Own".to_owned()
        }
    }
    let (on, off) = (Sampler::always_on, Sampler::always_off);
    let below = |root| Sampler::parent_based(root);
    let samplers = [
        ("always on", Some(5), on()),
        ("always off", Some(0), off()),
        ("roots on", Some(5), below(on())),
        ("roots off", Some(0), below(off())),
        ("ratio 0", Some(0), below(Sampler::ratio(0.0))),
        ("ratio a half", None, below(Sampler::ratio(0.5))),
        ("ratio 1", Some(5), below(Sampler::ratio(1.0))),
        ("ratio of each span", None, Sampler::ratio(0.5)),
        ("record only", Some(0), Sampler::always_record(off())),
        ("no tokens", Some(0), below(Sampler::rate_limited(0.0))),
        ("many tokens", Some(5), Sampler::rate_limited(1e9)),
        ("rules", Some(5), below(rules())),
        ("own, drops", Some(0), Sampler::custom(Own(Decision::Drop))),
        (
            "own, records",
            Some(0),
            Sampler::custom(Own(Decision::RecordOnly)),
        ),
        (
            "own, samples",
            Some(5),
            Sampler::custom(Own(Decision::RecordAndSample)),
        ),
        (
            "by the kind of parent",
            Some(4),
            ParentBased::new(off())
                .with_local_parent_not_sampled(on())
                .into(),
        ),
    ];
    for (name, spans, sampler) in samplers {
        let steady = Steady {
            spans,
            ..steady(name, 0).with(|builder| builder.with_sampler(sampler))
        };
        steady.assert(trace);
    }
}

#[test]
fn parents_in_other_processes_allocate_nothing() {
    let no_sampler = Sampler::parent_based(Sampler::always_off());
    for (name, spans, flags) in [
        ("caller sampled", 7, TraceFlags::SAMPLED),
        ("caller not sampled", 0, TraceFlags::default()),
    ] {
        let caller = caller(flags);
        let steady = steady(name, spans).with(|builder| builder.with_sampler(no_sampler.clone()));
        steady.assert(|| {
            let server = info_span!("server", otel.kind = "server");
            server.set_parent(caller.clone()).unwrap();
            server.in_scope(trace);
            // One that was not likely to get such a parent.
            let plain = info_span!("plain", number = 1);
            plain.set_parent(caller.clone()).unwrap();
            assert!(!plain.context().baggage().is_empty());
            assert!(plain.set_parent(caller.clone()).is_err());
        });
    }
    let caller = caller(TraceFlags::SAMPLED);
    assert_steady("attached", 5, || with_remote_parent(&caller, trace));
}

#[test]
fn links_with_attributes_allocate_nothing() {
    let state = TraceState::parse("rojo=00f067aa0ba902b7").unwrap();
    let message = with_state(2, TraceFlags::SAMPLED, state);
    assert_steady("links with attributes", 1, || {
        let span = info_span!("process");
        span.add_link(&message, [("place", 1.into()), ("queue", "orders".into())]);
        span.add_link(&message, [("place", 2.into()), ("place", 3.into())]);
    });
}

#[test]
fn errors_and_panics_allocate_nothing_of_ours() {
    assert_steady("errors", 1, || {
        let span = info_span!("failing", error.type = Empty);
        span.in_scope(fail);
        span.record("error.type", "timeout");
        span.set_status(Status::Ok);
    });
    let as_text = Errors::default().with_chains(false).with_exceptions(false);
    let of_type_error = steady("errors of their own type, as texts", 1);
    of_type_error
        .with(|builder| builder.with_errors(as_text))
        .assert(|| {
            let error = &Plain as &(dyn Error + 'static);
            info_span!("failing", error).in_scope(|| error!(error));
        });
    // What a panic itself allocates.
    let before = ALLOCATIONS.get();
    assert!(catch_unwind(|| resume_unwind(Box::new(()))).is_err());
    let theirs = ALLOCATIONS.get() - before;
    let panics = Steady {
        theirs,
        ..steady("panics", 2)
    };
    panics.assert(|| {
        let unwound = catch_unwind(|| {
            let _outer = info_span!("outer").entered();
            let _inner = info_span!("inner").entered();
            resume_unwind(Box::new(()))
        });
        assert!(unwound.is_err());
    });
}

#[test]
fn limits_that_are_reached_allocate_nothing() {
    let limited = |name, limits| steady(name, 1).with(|builder| builder.with_limits(limits));
    let long = "x".repeat(3_000);
    limited("value length", Limits::default().with_value_length(32)).assert(|| {
        let span = info_span!("span", text = &*long, shown = %long, told = ?long, late = Empty);
        span.record("late", &*long);
        span.set_attribute("set", &*long);
        span.add_event("event", [("text", (&*long).into())]);
        span.in_scope(|| error!(error = %long));
    });
    let none = Limits::default()
        .with_attributes(1)
        .with_events(1)
        .with_links(1)
        .with_attributes_per_event(1)
        .with_attributes_per_link(1);
    let link = other(2);
    limited("numbers", none).assert(|| {
        let span = info_span!("span", first = 1, second = 2, third = Empty);
        span.record("third", 3);
        span.set_attribute("fourth", 4);
        span.add_link(&link, [("first", 1.into()), ("second", 2.into())]);
        span.add_link(&link, []);
        span.in_scope(|| info!(first = 1, second = 2, "first"));
        span.add_event("second", [("first", 1.into()), ("second", 2.into())]);
        span.in_scope(fail);
    });
    let small = Limits::default().with_record_bytes(1 << 10);
    limited("record, by fields", small).assert(|| {
        let span = info_span!("span", text = &*long, shown = %long, late = Empty);
        span.record("late", &*long);
        span.in_scope(|| info!(text = &*long, "event"));
    });
    limited("record, by attributes", small).assert(|| {
        let span = info_span!("span");
        span.set_attribute("set", &*long);
        span.set_attribute("set", &*long);
    });
    limited("record, by events and links", small).assert(|| {
        let span = info_span!("span");
        span.add_link(&link, [("text", (&*long).into())]);
        span.add_event("event", [("text", (&*long).into())]);
        span.add_event(&long, []);
        span.update_name(&long);
        span.in_scope(fail);
    });
}

#[test]
fn busy_and_idle_times_allocate_nothing() {
    let timed = |name| steady(name, 2).with(|builder| builder.with_busy_and_idle(true));
    let work = || {
        let _outer = info_span!("outer", number = 1).entered();
        let inner = info_span!("inner");
        inner.in_scope(|| inner.in_scope(|| ()));
    };
    timed("busy and idle").assert(work);
    let at_last_exit = timed("end at last exit");
    at_last_exit
        .with(|builder| builder.with_end_at_last_exit(true))
        .assert(work);
}

/// A collector hangs, and the memory is used up: what a span costs then is chunks alone, as ever.
#[test]
fn memory_that_is_used_up_costs_no_allocation() {
    struct Silent;
    impl Transport for Silent {
        fn send(&self, _: Request) -> Sending {
            Box::pin(std::future::pending())
        }
    }
    let (otlp, guard) = tracing_otlp::layer()
        .with_transport(Silent)
        .with_memory_limit(4 << 20)
        .with_shutdown_timeout(Duration::from_millis(1))
        .build()
        .unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(otlp), || {
        while guard.handle().stats().dropped() == 0 {
            request();
        }
        (0..2_000).for_each(|_| request());
        let before = ALLOCATIONS.get();
        (0..4_000).for_each(|_| request());
        let allocations = ALLOCATIONS.get() - before;
        assert!(allocations < 400, "{allocations} for 8,000 spans");
    });
}

#[test]
fn traces_that_are_held_allocate_nothing() {
    let tail = Tail::default().with_rule(Rule::new().field("status", 500));
    let held =
        |name, spans| steady(name, spans).with(|builder| builder.with_tail_sampling(tail.clone()));
    held("held and dropped", 0).assert(request);
    held("held and kept", 3).assert(|| {
        info_span!("root").in_scope(|| {
            drop(info_span!("well"));
            info_span!("failing").in_scope(|| error!("it failed"));
        });
    });
    held("kept by a rule", 3).assert(|| {
        let _root = info_span!("root", status = 500).entered();
        request();
    });
}

#[test]
fn a_traceparent_is_one_allocation() {
    let (otlp, _guard) = tracing_otlp::layer()
        .with_transport(Discard::default())
        .build()
        .unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(otlp), || {
        let span = info_span!("span");
        assert!(span.traceparent().is_some());
        let before = ALLOCATIONS.get();
        let traceparent = span.traceparent();
        assert_eq!(ALLOCATIONS.get() - before, 1);
        drop(traceparent);
    });
}
