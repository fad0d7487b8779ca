//! What the builder's switches add to a record.

use tracing::{Level, error, event, info, info_span, span};
use tracing_otlp::Events;

use crate::support::layer::{Attributed, int, record, record_with, text};

#[test]
fn spec_7_16_the_location_is_on_by_default() {
    let line = line!() + 2;
    let spans = record(|| {
        info_span!("span").in_scope(|| info!("event"));
    });
    let span = spans.only();
    let event = span.event("event");
    assert_eq!(
        span.keys(),
        ["code.file.path", "code.module.name", "code.line.number"]
    );
    for key in span.keys() {
        assert_eq!(span.value(key), event.value(key), "both stand on one line");
    }
    assert_eq!(span.value("code.file.path"), text(file!()));
    assert_eq!(span.value("code.module.name"), text(module_path!()));
    assert_eq!(span.value("code.line.number"), int(line.into()));
}

#[test]
fn the_location_can_be_left_out() {
    let spans = record_with(
        |builder| builder.with_location(false),
        || info_span!("span").in_scope(|| info!("event")),
    );
    assert_eq!(spans.only().keys(), [""; 0]);
    assert_eq!(spans.only().events[0].keys(), ["level", "target"]);
}

#[test]
fn target_and_level_of_spans_are_added_on_request() {
    let spans = record_with(
        |builder| builder.with_target(true).with_level(true),
        || drop(span!(target: "mine", Level::WARN, "span")),
    );
    assert_eq!(spans.only().value("target"), text("mine"));
    assert_eq!(spans.only().value("level"), text("WARN"));
}

#[test]
fn events_have_target_and_level_always() {
    let spans = record(|| {
        let _span = info_span!("span").entered();
        event!(target: "mine", Level::TRACE, "event");
        error!("error");
    });
    let span = spans.only();
    assert_eq!(span.event("event").value("target"), text("mine"));
    assert_eq!(span.event("event").value("level"), text("TRACE"));
    assert_eq!(span.event("error").value("level"), text("ERROR"));
}

#[test]
fn spec_7_17_the_thread_is_the_one_that_made_the_span() {
    let (layer, pipeline) =
        crate::support::layer::Pipeline::with(|builder| builder.with_threads(true));
    let dispatch = tracing::Dispatch::new(tracing_subscriber::layer::SubscriberExt::with(
        tracing_subscriber::registry(),
        layer,
    ));
    let open = |name: Option<&str>| {
        let mut thread = std::thread::Builder::new();
        if let Some(name) = name {
            thread = thread.name(name.to_owned());
        }
        let dispatch = dispatch.clone();
        let thread = thread.spawn(move || {
            let span = tracing::dispatcher::with_default(&dispatch, || info_span!("span"));
            (span, std::thread::current().id())
        });
        thread.unwrap().join().unwrap()
    };
    let (named, id) = open(Some("worker"));
    let (unnamed, _) = open(None);
    drop((named, unnamed));
    let spans = pipeline.spans();
    assert_eq!(spans[0].value("thread.name"), text("worker"));
    let number: String = format!("{id:?}")
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    assert_eq!(spans[0].value("thread.id"), int(number.parse().unwrap()));
    assert!(spans[1].has("thread.id") && !spans[1].has("thread.name"));
}

#[test]
fn events_can_be_left_out() {
    let spans = record_with(
        |builder| builder.with_events(Events::Off),
        || info_span!("span").in_scope(|| info!("event")),
    );
    assert_eq!(
        (spans.only().events.len(), spans.only().dropped_events_count),
        (0, 0)
    );
}

#[test]
fn spec_7_15_the_scope_is_the_target() {
    let spans = record(|| {
        for _ in 0..3 {
            drop(info_span!(target: "first", "one"));
            drop(info_span!("two"));
            drop(info_span!(target: "first", "three"));
            drop(info_span!(target: "", "four"));
            drop(info_span!(target: "second", "five"));
        }
    });
    assert_eq!(spans.len(), 15);
    let expected = ["first", module_path!(), "first", "", "second"];
    for (span, scope) in spans.iter().zip(expected.iter().cycle()) {
        assert_eq!(span.scope, *scope, "{}", span.name);
    }
}

#[test]
fn spec_7_14_every_span_has_the_resource() {
    let spans = record_with(
        |builder| {
            builder
                .with_service_name("shop")
                .with_resource_attribute("region", "north")
        },
        || (0..3).for_each(|_| drop(info_span!("span"))),
    );
    for span in spans.iter() {
        assert_eq!(span.resource.value("service.name"), text("shop"));
        assert_eq!(span.resource.value("region"), text("north"));
        assert_eq!(span.resource.value("telemetry.sdk.language"), text("rust"));
    }
}
