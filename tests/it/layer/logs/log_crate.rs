//! Records of the crate `log`, as `tracing-log` hands them on (`LogTracer` calls what is called here).

use log::{Level, Record};
use tracing::info_span;
use tracing_otlp::{Builder, EventRule, Events};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::support::layer::{Attributed, exported_with, int, text};

fn log(level: Level, target: &str, message: &str) {
    tracing_log::format_trace(
        &Record::builder()
            .level(level)
            .target(target)
            .args(format_args!("{message}"))
            .file(Some("src/other.rs"))
            .line(Some(7))
            .module_path(Some("other::module"))
            .build(),
    )
    .unwrap();
}

fn both(builder: Builder) -> Builder {
    builder.with_events(Events::Both)
}

#[test]
fn a_record_has_its_own_target_and_place() {
    let (spans, logs) = exported_with(both, || {
        let _span = info_span!("span").entered();
        log(Level::Warn, "other", "hello");
    });
    let log = logs.only();
    assert_eq!(
        (log.text(), &*log.scope, log.severity_number),
        ("hello", "other", 13)
    );
    log.assert_in(spans.only());
    assert_eq!(log.event_name, "");
    let event = spans.only().event("hello");
    assert_eq!(event.value("target"), text("other"));
    assert_eq!(event.value("level"), text("WARN"));
    let place: [&dyn Fn(&str) -> _; 2] = [&|key| log.value(key), &|key| event.value(key)];
    for value in place {
        assert_eq!(value("code.file.path"), text("src/other.rs"));
        assert_eq!(value("code.line.number"), int(7));
        assert_eq!(value("code.module.name"), text("other::module"));
    }
    assert_eq!((log.keys().len(), event.keys().len()), (3, 5));
}

#[test]
fn a_record_without_a_place_has_none() {
    let (_, logs) = exported_with(both, || {
        let builder = &mut Record::builder();
        tracing_log::format_trace(&builder.args(format_args!("bare")).build()).unwrap();
    });
    let log = logs.only();
    assert_eq!((log.text(), &*log.scope), ("bare", ""));
    assert_eq!(log.keys(), [""; 0]);
}

#[test]
fn the_place_is_left_out_where_no_place_is_wanted() {
    let settings = |builder: Builder| both(builder).with_location(false);
    let (_, logs) = exported_with(settings, || log(Level::Info, "other", "hello"));
    assert_eq!(logs.only().keys(), [""; 0]);
}

#[test]
fn rules_and_filters_see_a_records_own_target() {
    let settings = |builder: Builder| {
        builder
            .with_events(Events::Off)
            .with_event_rule(EventRule::new(Events::Logs).with_target("wanted*"))
            .with_filter(Targets::new().with_target("wanted", LevelFilter::INFO))
            .with_disabled_targets(["wanted::not"])
    };
    let (_, logs) = exported_with(settings, || {
        log(Level::Info, "wanted::a", "a");
        log(Level::Debug, "wanted::a", "below");
        log(Level::Error, "wanted::not", "disabled");
        log(Level::Error, "other", "no rule");
        log(Level::Info, "wanted::a", "again");
    });
    assert_eq!(logs.texts(), ["a", "again"]);
    assert!(logs.iter().all(|log| log.scope == "wanted::a"));
}

/// A program may make targets while it runs: what is one too many is under the bridge's own.
#[test]
fn targets_without_end_do_no_harm() {
    let (_, logs) = exported_with(both, || {
        for number in 0..6_000 {
            log(Level::Info, &format!("made::{number}"), "made");
        }
        log(Level::Info, &"long".repeat(100), "long");
    });
    assert_eq!(logs.len(), 6_001);
    let own = logs.iter().filter(|log| log.scope.starts_with("made::"));
    assert!((1_000..=2_048).contains(&own.count()));
    assert_eq!(logs.of("long").scope, "log");
}

/// A scope's name is kept for as long as the process lives, so not each is; what is not is still told.
#[test]
fn a_target_that_is_too_long_for_a_scope_is_an_attribute() {
    let long = "x".repeat(300);
    let (spans, logs) = exported_with(both, || {
        let _span = info_span!("span").entered();
        log(Level::Warn, &long, "hello");
    });
    assert_eq!(logs.only().value("log.target"), text(&long));
    let event = spans.only().event("hello");
    assert_eq!(event.value("log.target"), text(&long));
}
