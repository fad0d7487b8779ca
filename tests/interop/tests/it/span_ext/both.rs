//! Two versions of the trait on the same spans.

use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_0_32::baggage::BaggageExt as _;
use opentelemetry_0_32::trace::TraceContextExt as _;
use tracing::{Dispatch, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as Newer;
use tracing_opentelemetry_0_33::{OpenTelemetrySpanExt as Older, SetParentError};
use tracing_otlp::{
    Baggage, Processor, SpanContext, SpanExt, SpanId, TraceFlags, TraceId, TraceState, Value,
};
use tracing_subscriber::prelude::*;

use interop::{Pipeline, record, record_with};

/// Long enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(30);

fn caller() -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([2; 8]).unwrap(),
        TraceFlags::SAMPLED,
        TraceState::default(),
    )
}

fn ours() -> tracing_otlp::Context {
    tracing_otlp::Context::from(caller()).with_baggage(Baggage::default().with("user", "7"))
}

#[test]
fn what_either_says_is_said_of_one_span() {
    for is_entered in [true, false] {
        let spans = record(|_| {
            let span = info_span!("span");
            Older::set_parent(&span, (&ours()).into()).unwrap();
            Older::set_attribute(&span, "older", 1);
            Newer::set_attribute(&span, "newer", 2);
            Newer::add_event(&span, "event", Vec::new());
            if is_entered {
                span.in_scope(|| info_span!("child").in_scope(|| {}));
            }
            let older = Older::context(&span);
            let newer = Newer::context(&span);
            let seen = [
                tracing_otlp::Context::from(&older),
                tracing_otlp::Context::from(&newer),
            ];
            for context in seen {
                assert_eq!(
                    context.span(),
                    SpanExt::context(&span).span(),
                    "{is_entered}"
                );
            }
            assert_eq!(
                older.span().span_context().trace_id().to_bytes(),
                newer.span().span_context().trace_id().to_bytes()
            );
            Newer::set_attribute(&span, "late", 3);
            Older::set_attribute(&span, "later", 4);
        });
        let span = spans.named("span");
        assert_eq!(span.parent_span_id, Some(caller().span_id()));
        assert_eq!(span.trace_id, caller().trace_id());
        for (key, value) in [("older", 1), ("newer", 2), ("late", 3), ("later", 4)] {
            assert_eq!(span.attribute(key), Some(&value.into()), "{key}");
        }
        assert_eq!(span.events.len(), 1);
    }
}

/// The one that is asked first starts the span, and the other has said something before.
#[test]
fn a_parent_that_one_sets_is_seen_by_the_other() {
    let spans = record(|_| {
        let span = info_span!("by the older");
        Older::set_parent(&span, (&ours()).into()).unwrap();
        let context = tracing_otlp::Context::from(&Newer::context(&span));
        assert_eq!(context.span().unwrap().trace_id(), caller().trace_id());

        let span = info_span!("by the newer");
        Newer::set_parent(&span, (&ours()).into()).unwrap();
        let context = tracing_otlp::Context::from(&Older::context(&span));
        assert_eq!(context.span().unwrap().trace_id(), caller().trace_id());
        assert!(matches!(
            Older::set_parent(&span, (&ours()).into()),
            Err(SetParentError::AlreadyStarted)
        ));
    });
    for span in spans.iter() {
        assert_eq!(
            span.parent_span_id,
            Some(caller().span_id()),
            "{}",
            span.name
        );
    }
}

/// Each holds a lock of its own while it starts the span, and has to hear what the other knows. Here both are in the middle of it at once.
#[test]
fn threads_that_start_a_span_by_either_do_not_wait_for_each_other() {
    struct Meeting(Barrier);
    impl Processor for Meeting {
        fn on_value(&self, key: &str, _: &mut Value<'_>) {
            if key == "older" || key == "newer" {
                self.0.wait();
            }
        }
    }
    let (layer, pipeline) =
        Pipeline::with(|builder| builder.with_processor(Meeting(Barrier::new(2))));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    for number in 0..100 {
        let span = tracing::dispatcher::with_default(&dispatch, || info_span!("span"));
        Older::set_attribute(&span, "older", number);
        Older::add_event(&span, "by the older", Vec::new());
        Newer::set_parent(&span, (&ours()).into()).unwrap();
        Newer::set_attribute(&span, "newer", number);
        Newer::add_event(&span, "by the newer", Vec::new());
        let (sender, contexts) = mpsc::channel();
        let (other, of_other) = (span.clone(), sender.clone());
        let ask_the_older = move || {
            let context = Older::context(&other);
            of_other.send(tracing_otlp::Context::from(&context))
        };
        let ask_the_newer =
            move || sender.send(tracing_otlp::Context::from(&Newer::context(&span)));
        let threads = [thread::spawn(ask_the_older), thread::spawn(ask_the_newer)];
        for _ in 0..2 {
            let context = contexts.recv_timeout(PATIENCE).unwrap();
            assert_eq!(context.span().unwrap().trace_id(), caller().trace_id());
        }
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    }
    let spans = pipeline.spans();
    assert_eq!(spans.len(), 100);
    for span in spans.iter() {
        assert_eq!(span.parent_span_id, Some(caller().span_id()));
        for key in ["older", "newer"] {
            assert!(span.attribute(key).is_some(), "{key}");
        }
        assert_eq!(span.events.len(), 2);
    }
}

/// Nothing is their current context, from which children get it with theirs.
#[test]
fn baggage_goes_down_to_where_it_is_asked_for() {
    for activates in [true, false] {
        record_with(
            |builder| builder.with_context_activation(activates),
            |_| {
                let span = info_span!("server");
                SpanExt::set_parent(&span, ours()).unwrap();
                let _entered = span.entered();
                let client = info_span!("client");
                let older = Older::context(&client);
                let user = older.baggage().get("user").map(ToString::to_string);
                assert_eq!(user.as_deref(), Some("7"));
                let newer = tracing_otlp::Context::from(&Newer::context(&client));
                assert_eq!(newer.baggage().get("user"), Some("7"));
            },
        );
    }
}
