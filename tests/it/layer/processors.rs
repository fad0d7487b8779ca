//! Processors: what they see and change, in which order, and what one that misbehaves costs.

mod panics;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::Empty;
use tracing::{Level, Span, error, info, info_span};
use tracing_otlp::{
    Decision, DropReason, Processor, Record, RecordKind, Sampler, SpanContext, SpanExt, SpanId,
    SpanKind, Status, TraceFlags, TraceId, TraceState, Value,
};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, Spans, int, no_value, record_with, text, texts};

type OnRecord = Arc<dyn Fn(&mut Record<'_>) + Send + Sync>;
type OnValue = Arc<dyn Fn(&str, &mut Value<'_>) + Send + Sync>;

/// A processor made of closures.
#[derive(Clone, Default)]
struct Made {
    start: Option<OnRecord>,
    value: Option<OnValue>,
    end: Option<OnRecord>,
}

impl Processor for Made {
    fn on_start(&self, span: &mut Record<'_>) {
        if let Some(start) = &self.start {
            start(span);
        }
    }

    fn on_value(&self, key: &str, value: &mut Value<'_>) {
        if let Some(change) = &self.value {
            change(key, value);
        }
    }

    fn on_end(&self, record: &mut Record<'_>) {
        if let Some(end) = &self.end {
            end(record);
        }
    }
}

fn on_start(work: impl Fn(&mut Record<'_>) + Send + Sync + 'static) -> Made {
    Made {
        start: Some(Arc::new(work)),
        ..Made::default()
    }
}

fn on_value(work: impl Fn(&str, &mut Value<'_>) + Send + Sync + 'static) -> Made {
    Made {
        value: Some(Arc::new(work)),
        ..Made::default()
    }
}

fn on_end(work: impl Fn(&mut Record<'_>) + Send + Sync + 'static) -> Made {
    Made {
        end: Some(Arc::new(work)),
        ..Made::default()
    }
}

fn record(processors: impl IntoIterator<Item = Made>, work: impl FnOnce()) -> Spans {
    record_with(
        |builder| {
            processors
                .into_iter()
                .fold(builder, |builder, made| builder.with_processor(made))
        },
        work,
    )
}

/// As [`record`], where spans may be dropped; and how many were.
fn record_some(made: Made, work: impl FnOnce()) -> (Spans, u64) {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_processor(made));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    let (spans, stats) = pipeline.spans_and_stats();
    (spans, stats.dropped_for(DropReason::Processor))
}

#[test]
fn spec_3_23_processors_are_called_in_order_and_see_what_those_before_changed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |number: i64| {
        let seen = Arc::clone(&seen);
        let see = move |phase: &str, record: &mut Record<'_>| {
            let before = record.attribute("trail").map(|value| value.into_owned());
            seen.lock()
                .unwrap()
                .push(format!("{phase} {number} {}: {before:?}", record.name()));
            record.set_attribute("trail", number);
            record.set_name(&format!("{}{number}", record.name()));
        };
        let other = see.clone();
        Made {
            start: Some(Arc::new(move |record| see("start", record))),
            end: Some(Arc::new(move |record| other("end", record))),
            ..Made::default()
        }
    };
    let spans = record([note(1), note(2)], || {
        info_span!("s").in_scope(|| info!("e"));
    });
    let expected = [
        "start 1 s: None",
        "start 2 s1: Some(Int(1))",
        "end 1 e: None",
        "end 2 e1: Some(Int(1))",
        "end 1 s12: Some(Int(2))",
        "end 2 s121: Some(Int(1))",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
    let span = spans.only();
    assert_eq!((&*span.name, span.value("trail")), ("s1212", int(2)));
    assert_eq!(span.event("e12").value("trail"), int(2));
}

#[test]
fn a_processor_sees_what_a_span_is() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let see = move |record: &mut Record<'_>| {
        let parts = (
            record.kind(),
            record.name().to_owned(),
            record.span_kind(),
            record.target(),
            record.level(),
        );
        let ids = (record.trace_id(), record.span_id(), record.parent_span_id());
        let took = record
            .duration()
            .map(|took| took >= Duration::from_millis(2));
        let keys: Vec<_> = record.attributes().map(|(key, _)| key.to_owned()).collect();
        note.lock()
            .unwrap()
            .push((parts, ids, record.status(), took, keys));
    };
    let spans = record_with(
        |builder| {
            let made = Made {
                start: Some(Arc::new(see.clone())),
                end: Some(Arc::new(see)),
                ..Made::default()
            };
            builder.with_location(false).with_processor(made)
        },
        || {
            let parent = info_span!("parent").entered();
            let span = info_span!(target: "mine", "child", otel.kind = "client", n = 1);
            span.set_status(Status::error("why"));
            span.add_event("added", [("a", 1.into())]);
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(2) {
                std::thread::yield_now();
            }
            drop(span);
            drop(parent);
        },
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 5, "two starts, an event, two ends");
    let (parts, ids, status, took, keys) = &seen[1];
    let (parent, child) = (spans.named("parent"), spans.named("child"));
    let expected = (
        RecordKind::Span,
        "child".to_owned(),
        Some(SpanKind::Client),
        Some("mine"),
        Some(Level::INFO),
    );
    assert_eq!(*parts, expected);
    assert_eq!(ids.0.to_bytes()[..], child.trace_id);
    assert_eq!(ids.1.to_bytes()[..], child.span_id);
    assert_eq!(ids.2.unwrap().to_bytes()[..], parent.span_id);
    assert_eq!(
        (status, took, &keys[..]),
        (&Status::Unset, &None, &["n".to_owned()][..])
    );
    let ((kind, name, none, target, level), event_ids, ..) = &seen[2];
    assert_eq!((*kind, &**name), (RecordKind::Event, "added"));
    assert!(none.is_none() && target.is_none() && level.is_none());
    assert_eq!(
        (event_ids.0, event_ids.1, event_ids.2),
        (ids.0, ids.1, None)
    );
    let (_, _, status, took, _) = &seen[3];
    assert_eq!((status, took), (&Status::error("why"), &Some(true)));
}

#[test]
fn spec_3_24_what_is_set_at_the_end_is_exported() {
    let end = on_end(|record| {
        record.set_attribute("field", "replaced");
        record.set_attribute("list", [1_i64, 2].as_slice());
        record.set_attribute("", "no key");
        assert!(record.remove_attribute("gone") && !record.remove_attribute("never"));
    });
    let spans = record([end], || {
        let span = info_span!("span", field = 1, gone = 2);
        span.record("field", 3);
    });
    let span = spans.only();
    assert_eq!(span.own_keys(), ["field", "list"]);
    assert_eq!(span.value("field"), text("replaced"));
}

#[test]
fn what_is_set_at_the_start_is_replaced_by_what_is_recorded_later() {
    let start = on_start(|record| {
        record.set_attribute("late", "early");
        record.set_attribute("mine", 1);
        record.set_name("renamed");
    });
    let spans = record([start], || {
        let span = info_span!("span", late = Empty, otel.name = Empty);
        span.record("late", "recorded");
        span.set_attribute("mine", 2);
        drop(info_span!("other", otel.name = Empty));
        span.record("otel.name", "by field");
    });
    let span = spans.named("by field");
    assert_eq!(
        (span.value("late"), span.value("mine")),
        (text("recorded"), int(2))
    );
    assert_eq!(spans.named("renamed").own_keys(), ["late", "mine"]);
}

#[test]
fn a_span_that_is_discarded_is_counted_and_its_children_stay() {
    for at_start in [true, false] {
        let discard = |record: &mut Record<'_>| {
            if record.name() == "health" {
                record.discard();
            }
        };
        let made = if at_start {
            on_start(discard)
        } else {
            on_end(discard)
        };
        let (spans, dropped) = record_some(made, || {
            let health = info_span!("health").entered();
            info!("inside");
            drop(info_span!("child"));
            drop(health);
        });
        assert_eq!(
            (spans.names(), dropped),
            (vec!["child"], 1),
            "at the start: {at_start}"
        );
    }
}

#[test]
fn a_discarded_span_is_not_shown_again() {
    let shown = Arc::new(Mutex::new(0));
    let count = Arc::clone(&shown);
    let made = Made {
        end: Some(Arc::new(move |_| *count.lock().unwrap() += 1)),
        ..on_start(|record| record.discard())
    };
    let (_, dropped) = record_some(made, || drop(info_span!("span")));
    assert_eq!((*shown.lock().unwrap(), dropped), (0, 1));
}

#[test]
fn an_event_that_is_discarded_counts_in_its_span() {
    let end = on_end(|record| {
        if record.kind() == RecordKind::Event && record.name() != "kept" {
            record.discard();
        }
    });
    let spans = record([end], || {
        let span = info_span!("span").entered();
        info!("gone");
        error!("failed");
        span.add_event("added", []);
        info!("kept");
    });
    let span = spans.only();
    assert_eq!(
        (span.event_names(), span.dropped_events_count),
        (vec!["kept"], 3)
    );
    assert_eq!(
        span.status().0,
        2,
        "the error's event is left out, its effect is not"
    );
}

#[test]
fn values_are_changed_wherever_they_come_from() {
    let change = on_value(|key, value| match value {
        Value::Str(text) if text.contains("secret") => *value = "?".into(),
        Value::Int(7) => *value = [1_i64].as_slice().into(),
        Value::Bool(true) => *value = Value::Double(0.5),
        _ if key == "nothing" => *value = Value::Empty,
        _ => {}
    });
    let spans = record([change], || {
        let span = info_span!("span", a = "secret", b = %"a secret", c = ?"secrets", d = 7, e = true, f = 8, late = Empty, nothing = 1, otel.name = "secret").entered();
        span.record("late", "secret");
        span.set_attribute("set", "secret");
        span.set_status(Status::error("secret"));
        info!(x = 7, "the secret");
        span.add_event("secret", [("k", "secret".into())]);
    });
    let span = spans.only();
    for key in ["a", "b", "c", "late", "set"] {
        assert_eq!(span.value(key), text("?"), "{key}");
    }
    assert_eq!((&*span.name, span.status()), ("?", (2, "?")));
    assert_eq!(span.value("f"), int(8));
    assert!(format!("{:?}", span.value("d")).contains("ArrayValue"));
    assert!(format!("{:?}", span.value("e")).contains("0.5"));
    assert!(span.has("nothing") && span.value("nothing") == no_value());
    assert_eq!(span.event_names(), ["?", "?"]);
    assert_eq!(span.events[1].value("k"), text("?"));
}

#[derive(Debug)]
struct Chained(u32);

impl fmt::Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {}", self.0)
    }
}

impl std::error::Error for Chained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        const NEXT: Chained = Chained(1);
        (self.0 == 0).then_some(&NEXT as _)
    }
}

#[test]
fn errors_are_changed_with_all_that_follows_from_them() {
    let change = on_value(|_, value| {
        if let Value::Str(text) = value {
            *value = text.replace("secret", "error").into();
        }
    });
    let work = || {
        let _span = info_span!("span").entered();
        error!(error = &Chained(0) as &(dyn std::error::Error + 'static));
    };
    let spans = record([change], work);
    let span = spans.only();
    assert_eq!(span.status(), (2, "error 0"));
    let event = span.event("exception");
    assert_eq!(event.value("exception.message"), text("error 0"));
    assert_eq!(event.value("exception.stacktrace"), text("error 1"));
    assert_eq!(event.value("error.chain"), texts(&["error 1"]));
}

#[test]
fn what_samplers_and_processors_set_goes_through_all_processors() {
    #[derive(Debug)]
    struct Tells;
    impl tracing_otlp::ShouldSample for Tells {
        fn should_sample(&self, _: &tracing_otlp::Candidate<'_>) -> tracing_otlp::Sampling {
            tracing_otlp::Sampling::from(Decision::RecordAndSample).with_attribute("told", "secret")
        }
        fn description(&self) -> String {
            "Tells".to_owned()
        }
    }
    let spans = record_with(
        |builder| {
            builder
                .with_sampler(Sampler::custom(Tells))
                .with_processor(on_start(|record| record.set_attribute("started", "secret")))
                .with_processor(on_end(|record| record.set_name("secret")))
                .with_processor(on_value(|_, value| {
                    if *value == "secret".into() {
                        *value = "?".into();
                    }
                }))
        },
        || {
            drop(info_span!("span"));
            drop(info_span!("span", otel.kind = "server"));
        },
    );
    assert_eq!(spans.len(), 2);
    for span in spans.iter() {
        assert_eq!(
            (span.value("told"), span.value("started"), &*span.name),
            (text("?"), text("?"), "?")
        );
    }
}

/// What a processor that panics leaves: nothing of its own, and no value that it should have looked at.
#[test]
fn a_panic_costs_its_processors_effect_only() {
    let (layer, pipeline) = Pipeline::with(|builder| {
        let half = |record: &mut Record<'_>| {
            record.set_attribute("half", 1);
            record.set_name("half");
            record.discard();
            panic!("on purpose");
        };
        let bad = Made {
            start: Some(Arc::new(half)),
            value: Some(Arc::new(|key, _| assert_ne!(key, "bad"))),
            end: Some(Arc::new(half)),
        };
        let good = Made {
            start: Some(Arc::new(|record| record.set_attribute("good", 1))),
            ..Made::default()
        };
        builder.with_processor(bad).with_processor(good)
    });
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let _span = info_span!("span", bad = "secret", fine = 2).entered();
        info!("event");
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!((stats.dropped(), stats.processor_panics()), (0, 4));
    let span = spans.named("span");
    assert_eq!(span.value("bad"), text("[processor panicked]"));
    assert_eq!((span.value("fine"), span.value("good")), (int(2), int(1)));
    assert!(!span.has("half") && span.event_names() == ["event"]);
}

#[test]
fn processors_may_record_so_deep() {
    let record_more = on_end(|_| drop(info_span!("more").entered()));
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_processor(record_more));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        drop(info_span!("span").entered());
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(spans.len(), 4, "its own level is the first: {stats}");
    assert_eq!(stats.dropped_for(DropReason::Reentrant), 1);
}

#[test]
fn a_processor_may_ask_and_change_the_current_span() {
    let meddle = |_: &mut Record<'_>| {
        let span = Span::current();
        span.set_attribute("meddled", true);
        let _ = (span.trace_id(), info_span!("inner", of = 1));
        span.record("late", 1);
    };
    let made = Made {
        start: Some(Arc::new(meddle)),
        end: Some(Arc::new(|_| {
            Span::current().set_attribute("meddled", true);
        })),
        value: Some(Arc::new(|_, _| Span::current().update_name("other"))),
    };
    // What matters is that it ends, without a deadlock and without a panic.
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_processor(made));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let _outer = info_span!("outer", late = Empty).entered();
        let _span = info_span!("span", late = 1).entered();
        info!(a = 1, "event");
    });
    let (_, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.processor_panics(), 0);
}

#[test]
fn limits_hold_for_what_processors_set() {
    let set = |record: &mut Record<'_>| {
        for key in ["a", "b", "c"] {
            record.set_attribute(key, "12345");
        }
    };
    let spans = record_with(
        |builder| {
            let limits = tracing_otlp::Limits::default()
                .with_attributes(3)
                .with_attributes_per_event(4)
                .with_value_length(3);
            builder
                .with_limits(limits)
                .with_location(false)
                .with_processor(on_end(set))
        },
        || {
            let _span = info_span!("span", field = 1).entered();
            info!("event");
        },
    );
    let span = spans.only();
    assert_eq!(
        (span.keys(), span.dropped_attributes_count),
        (vec!["field", "a", "b"], 1)
    );
    assert_eq!(span.value("a"), text("123"));
    let event = span.event("event");
    assert_eq!(
        (event.keys(), event.dropped_attributes_count),
        (vec!["level", "target", "a", "b"], 1)
    );
}

#[test]
fn what_is_not_sampled_or_filtered_is_not_shown() {
    let shown = Arc::new(Mutex::new(0));
    let count = Arc::clone(&shown);
    let made = on_start(move |_| *count.lock().unwrap() += 1);
    let spans = record_with(
        |builder| {
            builder
                .with_sampler(Sampler::always_off())
                .with_processor(made)
        },
        || drop(info_span!("span", otel.name = "x").entered()),
    );
    assert_eq!((spans.len(), *shown.lock().unwrap()), (0, 0));
}

/// What values are recorded makes no difference where processors change nothing.
#[test]
fn a_processor_that_does_nothing_changes_nothing() {
    let work = || {
        let span = info_span!("span", a = 1, b = "two", c = ?[1, 2], d = 1.5, e = u64::MAX, f = true, g = i128::MIN, otel.kind = "server", otel.status_code = "ok", late = Empty).entered();
        span.record("late", f64::NAN);
        span.set_attribute("set", b"bytes".as_slice());
        span.add_event("added", [("k", "v".into())]);
        info!(n = 1, "event {}", 1);
        error!(error = &Chained(0) as &(dyn std::error::Error + 'static));
        info_span!("renamed", otel.name = "other").update_name("third");
    };
    let shape = |spans: &Spans| -> Vec<String> {
        spans
            .iter()
            .map(|span| {
                let events: Vec<_> = span
                    .events
                    .iter()
                    .map(|event| (&event.name, event.encoded().len(), event.own_keys()))
                    .collect();
                let values: Vec<_> = span
                    .own_keys()
                    .into_iter()
                    .map(|key| span.value(key))
                    .collect();
                format!(
                    "{} {:?} {:?} {values:?} {events:?}",
                    span.name,
                    span.status(),
                    span.own_keys()
                )
            })
            .collect()
    };
    let with = record([Made::default()], work);
    let without = record([], work);
    assert_eq!(shape(&with), shape(&without));
}

/// A root that the sampler dropped begins for the processors when its caller has sampled it.
#[test]
fn a_span_that_is_recorded_since_it_got_a_parent_begins_then() {
    let made = on_start(|record| {
        record.set_attribute("started", 1);
        if record.name() == "gone" {
            record.discard();
        }
    });
    let (layer, pipeline) = Pipeline::with(|builder| {
        let sampler = Sampler::parent_based(Sampler::always_off());
        builder.with_sampler(sampler).with_processor(made)
    });
    let ids = TraceId::from_bytes([1; 16]).zip(SpanId::from_bytes([2; 8]));
    let (trace, span) = ids.unwrap();
    let caller = SpanContext::remote(trace, span, TraceFlags::SAMPLED, TraceState::default());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for span in [info_span!("kept"), info_span!("gone")] {
            span.set_parent(caller.clone()).unwrap();
            drop(span.entered());
        }
        drop(info_span!("dropped").entered());
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.dropped_for(DropReason::Processor), 1);
    let span = spans.only();
    assert_eq!((&*span.name, span.value("started")), ("kept", int(1)));
    assert_eq!(span.trace_id, trace.to_bytes());
}
