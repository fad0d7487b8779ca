//! The attributes of the spans around a log.

use tracing::field::Empty;
use tracing::{error, info, info_span};
use tracing_otlp::{Builder, Events, Limits, Logs, Sampler, SpanExt};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Everything, Signals, exported_with, int, text};

/// With the attributes of spans, none of which are named.
fn all(builder: Builder) -> Builder {
    with(builder, Logs::default().with_all_span_fields())
}

fn with(builder: Builder, logs: Logs) -> Builder {
    builder.with_events(Events::Logs).with_logs(logs)
}

#[test]
fn r10_inner_spans_win_over_outer_ones_and_the_log_over_all() {
    let (_, logs) = exported_with(all, || {
        let _root = info_span!("root", a = 1, b = 1, c = 1, d = 1).entered();
        let _child = info_span!("child", b = 2, c = 2).entered();
        info!(c = 3, "here");
    });
    let log = logs.only();
    assert_eq!(log.own_keys(), ["c", "b", "a", "d"]);
    let values = ["a", "b", "c", "d"].map(|key| log.value(key));
    assert_eq!(values, [int(1), int(2), int(3), int(1)]);
    // The place is the log's own.
    assert_eq!(log.keys().len(), 7);
}

#[test]
fn what_was_recorded_or_set_later_counts() {
    let (_, logs) = exported_with(all, || {
        let span = info_span!("span", late = Empty, first = 1);
        span.record("late", "recorded");
        span.record("first", 2);
        span.set_attribute("set", 3);
        let _entered = span.entered();
        info!("here");
    });
    let log = logs.only();
    assert_eq!(log.value("late"), text("recorded"));
    assert_eq!((log.value("first"), log.value("set")), (int(2), int(3)));
}

#[test]
fn only_the_keys_that_are_wanted() {
    let wanted = Logs::default().with_span_fields(["b", "code.line.number"]);
    let settings = |builder: Builder| with(builder, wanted);
    let (_, logs) = exported_with(settings, || {
        let _span = info_span!("span", a = 1, b = 2).entered();
        info!("here");
    });
    assert_eq!(logs.only().own_keys(), ["b"]);
}

#[test]
fn off_by_default_and_for_span_events() {
    let (_, logs) = exported_with(
        |builder| builder.with_events(Events::Logs),
        || {
            info_span!("span", a = 1).in_scope(|| info!("here"));
        },
    );
    assert_eq!(logs.only().own_keys(), [""; 0]);
    let both = |builder: Builder| all(builder).with_events(Events::Both);
    let (spans, logs) = exported_with(both, || {
        info_span!("span", a = 1).in_scope(|| info!("here"));
    });
    assert_eq!(logs.only().own_keys(), ["a"]);
    assert_eq!(spans.only().event("here").own_keys(), [""; 0]);
}

/// What the layer writes on spans by itself is not what the program said of them.
#[test]
fn what_the_layer_writes_itself_is_left_out() {
    let settings = |builder: Builder| {
        all(builder)
            .with_level(true)
            .with_target(true)
            .with_threads(true)
    };
    let (spans, logs) = exported_with(settings, || {
        let _span = info_span!("span", a = 1).entered();
        error!("fails it");
        info!("after");
    });
    assert_eq!(spans.only().value("error.type"), text("_OTHER"));
    assert_eq!(logs.of("after").own_keys(), ["a"]);
}

#[test]
fn spec_5_9_the_limits_of_logs_hold_for_them() {
    let limits = Limits::default().with_attributes(5).with_value_length(2);
    let logs = Logs::default().with_limits(limits).with_all_span_fields();
    let settings = |builder: Builder| with(builder, logs);
    let (spans, logs) = exported_with(settings, || {
        let _root = info_span!("root", outer = "long").entered();
        let _span = info_span!("span", inner = "l\u{f6}ng").entered();
        info!(own = "value", "a long body");
    });
    let log = logs.only();
    assert_eq!(log.text(), "a long body");
    // Three of them are the place, which is text but for the line.
    assert_eq!(log.value("code.file.path"), text("te"));
    assert_eq!(log.value("own"), text("va"));
    assert_eq!(log.value("inner"), text("l\u{f6}"));
    assert_eq!((log.attributes.len(), log.dropped_attributes_count), (5, 1));
    assert_eq!(spans.named("span").value("inner"), text("l\u{f6}ng"));
}

#[test]
fn spans_that_a_filter_hides_or_that_are_not_recorded_give_nothing() {
    let (layer, signals) = Signals::with(all);
    let registry = tracing_subscriber::registry().with(Everything);
    let subscriber = registry.with(layer.with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        let _root = info_span!("root", a = 1).entered();
        let _hidden = tracing::debug_span!("hidden", b = 2).entered();
        info!("here");
    });
    let (_, logs) = signals.exported();
    assert_eq!(logs.only().own_keys(), ["a"]);
    let never = |builder: Builder| all(builder).with_sampler(Sampler::always_off());
    let (_, logs) = exported_with(never, || {
        info_span!("span", a = 1).in_scope(|| info!("here"));
    });
    assert_eq!(logs.only().own_keys(), [""; 0]);
}

/// Spans of any size do not make a log larger than it may be.
#[test]
fn a_log_is_no_larger_than_a_record_may_be() {
    let limits = Limits::default().with_record_bytes(1 << 10);
    let logs = Logs::default().with_limits(limits).with_all_span_fields();
    let settings = |builder: Builder| with(builder, logs);
    let large = "x".repeat(5_000);
    let (_, logs) = exported_with(settings, || {
        let _span = info_span!("span", large, small = 1).entered();
        info!("here");
        info!("{}", "y".repeat(5_000));
    });
    assert_eq!(logs.of("here").own_keys(), ["small"]);
    let body = logs[1].text();
    assert!(body.len() <= 1 << 10 && body.len() > 500, "{}", body.len());
}
