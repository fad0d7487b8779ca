//! Which events become span events, logs, both, or nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::field::Value;
use tracing::{Dispatch, Event, Level, Metadata, debug, error, info, info_span, warn};
use tracing_otlp::{
    Answer, Builder, DropReason, EventRule, Events, Logs, Request, Rule, Sampler, Sending, Signal,
    Transport,
};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::layer::callsite::Shape;
use crate::support::layer::{Attributed, Signals, exported_with, int, text};

fn with(events: Events) -> impl FnOnce(Builder) -> Builder {
    move |builder| builder.with_events(events)
}

#[test]
fn spec_14_11_one_switch_for_span_events_and_logs() {
    let expected = [
        (Events::SpanEvents, 1, 0),
        (Events::Logs, 0, 2),
        (Events::Both, 1, 2),
        (Events::Off, 0, 0),
    ];
    for (events, in_span, logged) in expected {
        let (spans, logs) = exported_with(with(events), || {
            info!("outside");
            info_span!("span").in_scope(|| info!("inside"));
        });
        assert_eq!(spans.only().events.len(), in_span, "{events:?}");
        assert_eq!(logs.len(), logged, "{events:?}");
    }
}

/// "Exactly one span event: name = EventName, time = Timestamp, all attributes copied; the log record still continues."
#[test]
fn spec_14_7_and_14_8_both_are_one_span_event_and_one_log() {
    let (spans, logs) = exported_with(with(Events::Both), || {
        let other = info_span!("other");
        let _span = info_span!("span").entered();
        info!(event.name = "order.placed", items = 3, "placed");
        info!(name: "order.paid", "paid");
        info!(parent: &other, "without a name");
    });
    let span = spans.named("span");
    assert_eq!(span.event_names(), ["order.placed", "order.paid"]);
    let (event, log) = (span.event("order.placed"), logs.of("placed"));
    assert_eq!(event.time_unix_nano, log.time_unix_nano);
    assert_eq!((event.value("items"), log.value("items")), (int(3), int(3)));
    // The body has no other place in a span event.
    assert_eq!(event.value("message"), text("placed"));
    assert_eq!(spans.named("other").event_names(), ["without a name"]);
    assert_eq!(logs.len(), 3);
}

#[test]
fn r10_the_first_rule_that_an_event_meets_holds() {
    let rules = |builder: Builder| {
        builder
            .with_events(Events::Both)
            .with_event_rule(EventRule::new(Events::Off).with_target("noisy*"))
            .with_event_rule(EventRule::new(Events::Logs).with_level(Level::WARN))
            .with_event_rule(EventRule::new(Events::SpanEvents).with_target("quiet"))
    };
    let (spans, logs) = exported_with(rules, || {
        let _span = info_span!("span").entered();
        error!(target: "noisy::module", "nowhere");
        warn!(target: "quiet", "log");
        info!(target: "quiet", "event");
        debug!("both");
    });
    assert_eq!(spans.only().event_names(), ["event", "both"]);
    assert_eq!(logs.texts(), ["log", "both"]);
    // What is off says nothing of its span either.
    assert_eq!(spans.only().status(), (0, ""));
}

#[test]
fn spec_8_10_the_layers_own_filter_is_about_logs_too() {
    let settings = |builder: Builder| {
        builder
            .with_events(Events::Logs)
            .with_filter(Targets::new().with_default(LevelFilter::INFO))
            .with_disabled_targets(["noisy*"])
    };
    let (_, logs) = exported_with(settings, || {
        debug!("below");
        info!("passes");
        error!(target: "noisy", "disabled");
    });
    assert_eq!(logs.texts(), ["passes"]);
}

#[test]
fn spec_8_11_records_below_the_minimum_severity_are_left_out() {
    let logs = Logs::default().with_minimum_severity(Level::WARN);
    let settings = |builder: Builder| builder.with_events(Events::Both).with_logs(logs);
    let (spans, logs) = exported_with(settings, || {
        let _span = info_span!("span").entered();
        info!("below");
        warn!("at");
        error!("above");
    });
    assert_eq!(logs.texts(), ["at", "above"]);
    assert_eq!(spans.only().events.len(), 3);
}

#[test]
fn spec_8_11_trace_based_leaves_out_what_is_not_sampled() {
    let logs = Logs::default().with_trace_based(true);
    let rules = Sampler::rules(
        [Rule::new().name("never").sampler(Sampler::always_off())],
        Sampler::always_on(),
    );
    let settings = |builder: Builder| {
        builder
            .with_events(Events::Logs)
            .with_logs(logs)
            .with_sampler(rules)
    };
    let (_, logs) = exported_with(settings, || {
        info!("outside");
        info_span!("always").in_scope(|| info!("sampled"));
        info_span!("never").in_scope(|| info!("unsampled"));
    });
    assert_eq!(logs.texts(), ["outside", "sampled"]);
}

fn panics() {
    let work = || info_span!(target: "shop", "span").in_scope(|| std::panic::panic_any(()));
    assert!(std::panic::catch_unwind(work).is_err());
}

#[test]
fn spec_14_3_the_exception_of_a_panic_goes_where_exceptions_go() {
    for (events, in_span, logged) in [
        (Events::SpanEvents, 1, 0),
        (Events::Logs, 0, 1),
        (Events::Both, 1, 1),
        (Events::Off, 0, 0),
    ] {
        let (spans, logs) = exported_with(with(events), panics);
        let span = spans.only();
        assert_eq!(
            (span.events.len(), logs.len()),
            (in_span, logged),
            "{events:?}"
        );
        assert_eq!(span.status(), (2, "panicked"));
        for log in logs.iter() {
            log.assert_in(span);
            assert_eq!((&*log.event_name, log.severity_number), ("exception", 17));
            assert_eq!(
                (&*log.scope, log.value("exception.type")),
                ("shop", text("panic"))
            );
            assert!(log.has("exception.message"));
        }
    }
}

/// A value that records while it is written, deeper than four levels: what is too deep is counted as dropped.
#[test]
fn a_log_inside_of_too_many_others_is_counted() {
    struct Deep<'a>(u8, &'static Metadata<'static>, &'a Dispatch);
    impl Deep<'_> {
        fn log(&self) {
            let value = tracing::field::debug(self);
            let values = [Some(&value as &dyn Value)];
            let values = self.1.fields().value_set_all(&values);
            // Straight to the dispatcher, which is hidden from macros while it dispatches.
            self.2.event(&Event::new(self.1, &values));
        }
    }
    impl std::fmt::Debug for Deep<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            if self.0 > 0 {
                Deep(self.0 - 1, self.1, self.2).log();
            }
            f.write_str("deep")
        }
    }
    let (layer, signals) = Signals::with(with(Events::Logs));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let metadata = Shape::with_fields("", ["deep"]).event();
    Deep(6, metadata, &dispatch).log();
    let handle = signals.handle();
    handle.flush(Duration::from_secs(60)).unwrap();
    let stats = handle.stats_of(Signal::Logs);
    assert!(stats.is_balanced(), "{stats}");
    assert_eq!(stats.dropped_for(DropReason::Reentrant), stats.dropped());
    assert_eq!((stats.delivered(), stats.dropped()), (4, 1));
    assert_eq!(handle.stats_of(Signal::Traces).accepted(), 0);
}

/// F31 for logs: what the exporter's own thread says is not recorded.
#[test]
fn f_31_a_log_of_the_exporters_own_thread_is_not_recorded() {
    struct Talking(Arc<OnceLock<Dispatch>>);
    impl Transport for Talking {
        fn send(&self, _: Request) -> Sending {
            if let Some(dispatch) = self.0.get() {
                tracing::dispatcher::with_default(dispatch, || info!("sending"));
            }
            Box::pin(async { Ok(Answer::delivered()) })
        }
    }
    let known = Arc::new(OnceLock::new());
    let builder = tracing_otlp::layer().with_transport(Talking(Arc::clone(&known)));
    let (layer, guard) = with(Events::Logs)(builder).build().unwrap();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    known.set(dispatch.clone()).unwrap();
    let handle = guard.handle();
    for round in 1..=3 {
        tracing::dispatcher::with_default(&dispatch, || info!("the program's"));
        handle.flush(Duration::from_secs(60)).unwrap();
        assert_eq!(handle.stats_of(Signal::Logs).accepted(), round);
    }
}
