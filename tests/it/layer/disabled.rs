//! Targets that are disabled, as if there were no tracer for them; and what stands for asking whether there is one.

use tracing::{Dispatch, info, info_span};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Everything, Pipeline, Spans, record_with};

/// A span of each of three targets, one inside the other, with an event of each target in the innermost.
fn work() {
    let _app = info_span!(target: "app", "app").entered();
    let _noisy = info_span!(target: "noisy::inner", "noisy").entered();
    let _db = info_span!(target: "db", "db").entered();
    info!(target: "app", "app event");
    info!(target: "noisy::inner", "noisy event");
    info!(target: "db", "db event");
}

fn names(spans: &Spans) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

#[test]
fn spec_4_24_a_disabled_target_behaves_as_if_there_were_no_tracer() {
    for pattern in ["noisy::inner", "noisy*", "noisy::?nner", "*::*"] {
        let spans = record_with(|builder| builder.with_disabled_targets([pattern]), work);
        assert_eq!(names(&spans), ["db", "app"], "{pattern}");
        let (app, db) = (spans.named("app"), spans.named("db"));
        assert_eq!(db.parent_span_id, app.span_id, "the context goes through");
        assert_eq!(db.trace_id, app.trace_id);
        let events: Vec<_> = db.events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(events, ["app event", "db event"]);
    }
    for pattern in ["noisy", "Noisy*", "noisy::?inner", "inner"] {
        let spans = record_with(|builder| builder.with_disabled_targets([pattern]), work);
        assert_eq!(names(&spans), ["db", "noisy", "app"], "{pattern}");
    }
}

#[test]
fn spec_4_24_of_several_patterns_and_the_filter_each_may_say_no() {
    let spans = record_with(
        |builder| {
            let filter = Targets::new()
                .with_target("app", LevelFilter::INFO)
                .with_target("db", LevelFilter::INFO);
            builder
                .with_filter(filter)
                .with_disabled_targets(["d?", "x"])
        },
        work,
    );
    assert_eq!(names(&spans), ["app"]);
}

#[test]
fn spec_4_24_disabled_targets_change_while_the_program_runs() {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_disabled_targets(["noisy*"]));
    let handle = pipeline.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, || {
        work();
        handle.set_disabled_targets(["app", "db"]);
        work();
        handle.set_filter(Targets::new().with_default(LevelFilter::INFO));
        work();
        handle.set_disabled_targets([""; 0]);
        work();
    });
    let expected = ["db", "app", "noisy", "noisy", "db", "noisy", "app"];
    assert_eq!(names(&pipeline.spans()), expected);
}

/// `Tracer.Enabled` is a question to the subscriber, of which other layers are parts too.
#[test]
fn spec_4_23_the_layer_says_no_to_nobody_elses_callsites() {
    let enabled = |settings: fn(tracing_otlp::Builder) -> tracing_otlp::Builder| {
        let (layer, _pipeline) = Pipeline::with(settings);
        let subscriber = tracing_subscriber::registry().with(Everything).with(layer);
        tracing::subscriber::with_default(subscriber, || tracing::enabled!(tracing::Level::INFO))
    };
    assert!(enabled(|builder| builder.with_disabled_targets(["*"])));
    assert!(enabled(|builder| builder.with_disabled(true)));
}

#[test]
fn spec_4_23_without_an_exporter_nothing_is_recorded() {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_disabled(true));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    assert_eq!(pipeline.handle().stats().accepted(), 0);
}

#[test]
fn spec_4_22_ids_are_random_by_default() {
    let spans = record_with(
        |builder| builder,
        || (0..200).for_each(|_| drop(info_span!("root"))),
    );
    assert_eq!(spans.len(), 200);
    let bits = |ids: Vec<&[u8]>| {
        let len = ids[0].len();
        let fold = |with: fn(u8, u8) -> u8, start: u8| {
            let mut bytes = vec![start; len];
            for id in &ids {
                bytes
                    .iter_mut()
                    .zip(*id)
                    .for_each(|(to, from)| *to = with(*to, *from));
            }
            bytes
        };
        (fold(|a, b| a | b, 0), fold(|a, b| a & b, 0xFF))
    };
    let ids = |of: fn(&crate::support::layer::Exported) -> &[u8]| spans.iter().map(of).collect();
    // Each bit is set in some ids, and not in others.
    assert_eq!(
        bits(ids(|span| &span.trace_id)),
        (vec![0xFF; 16], vec![0; 16])
    );
    assert_eq!(bits(ids(|span| &span.span_id)), (vec![0xFF; 8], vec![0; 8]));
}

#[test]
fn a_filter_that_is_set_later_does_not_switch_it_on() {
    let (layer, guard) = tracing_otlp::layer().with_disabled(true).build().unwrap();
    guard
        .handle()
        .set_filter(Targets::new().with_default(LevelFilter::TRACE));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = tracing::info_span!("span").entered();
        assert_eq!(tracing_otlp::SpanExt::span_id(&*span), None);
    });
    assert_eq!(guard.handle().stats().accepted(), 0);
}
