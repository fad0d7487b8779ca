//! The layer inside whatever a subscriber is built of.

use tracing::dispatcher::with_default;
use tracing::field::Empty;
use tracing::{Dispatch, Subscriber, debug_span, info, info_span};
use tracing_otlp::OtlpLayer;
use tracing_subscriber::filter::{
    EnvFilter, FilterExt, LevelFilter, Targets, dynamic_filter_fn, filter_fn,
};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

use crate::support::layer::{Attributed, Everything, Pipeline, Spans, int};

/// A bit of everything; what is below INFO may be hidden.
fn work() {
    let outer = info_span!("outer", late = Empty).entered();
    let hidden = debug_span!("debug").entered();
    info!(a = 1, "in debug");
    let inner = info_span!("inner").entered();
    info!("in inner");
    inner.follows_from(&*outer);
    drop(inner);
    drop(hidden);
    outer.record("late", 2);
}

fn check(spans: &Spans, debug_is_hidden: bool) {
    let (outer, inner) = (spans.named("outer"), spans.named("inner"));
    let around = if debug_is_hidden {
        outer
    } else {
        spans.named("debug")
    };
    assert_eq!(spans.len(), if debug_is_hidden { 2 } else { 3 });
    inner.assert_child_of(around);
    assert_eq!(around.event("in debug").value("a"), int(1));
    assert_eq!(inner.event_names(), ["in inner"]);
    assert_eq!(inner.links[0].span_id, outer.span_id);
    assert_eq!(outer.value("late"), int(2));
}

/// Wraps the layer, records, checks.
fn wrapped<L>(debug_is_hidden: bool, wrap: impl FnOnce(OtlpLayer) -> L)
where
    L: Layer<BaseSubscriber> + Send + Sync,
{
    let (layer, pipeline) = Pipeline::new();
    let subscriber = tracing_subscriber::registry()
        .with(Everything)
        .with(wrap(layer));
    with_default(&Dispatch::new(subscriber), work);
    check(&pipeline.spans(), debug_is_hidden);
}

type BaseSubscriber = tracing_subscriber::layer::Layered<Everything, Registry>;

#[test]
fn it_works_inside_any_wrapper() {
    wrapped(false, |layer| layer);
    wrapped(false, Some);
    wrapped(false, |layer| {
        Box::new(layer) as Box<dyn Layer<BaseSubscriber> + Send + Sync>
    });
    wrapped(false, |layer| vec![layer]);
    wrapped(false, |layer| Some(vec![Some(layer).boxed()]));
    wrapped(false, |layer| layer.and_then(Everything));
    wrapped(false, |layer| Everything.and_then(layer));
    wrapped(false, |layer| reload::Layer::new(layer).0);
}

#[test]
fn it_works_behind_any_filter() {
    let info = || LevelFilter::INFO;
    let is_info = |metadata: &tracing::Metadata<'_>| *metadata.level() <= tracing::Level::INFO;
    wrapped(true, |layer| layer.with_filter(info()));
    wrapped(true, |layer| {
        layer.with_filter(Targets::new().with_default(info()))
    });
    wrapped(true, |layer| layer.with_filter(EnvFilter::new("info")));
    wrapped(true, |layer| layer.with_filter(filter_fn(is_info)));
    wrapped(true, |layer| {
        layer.with_filter(dynamic_filter_fn(move |metadata, _| is_info(metadata)))
    });
    wrapped(true, |layer| {
        layer.with_filter(reload::Layer::new(info()).0)
    });
    wrapped(true, |layer| {
        layer.with_filter(info().and(LevelFilter::TRACE))
    });
    wrapped(true, |layer| {
        layer.with_filter(LevelFilter::TRACE.not().or(info()))
    });
    wrapped(true, |layer| layer.with_filter(Some(info())));
    wrapped(true, |layer| {
        layer.with_filter(info()).with_filter(LevelFilter::TRACE)
    });
    wrapped(true, |layer| {
        layer.with_filter(LevelFilter::TRACE).with_filter(info())
    });
}

#[test]
fn it_works_inside_any_wrapper_behind_a_filter() {
    wrapped(true, |layer| Some(layer.with_filter(LevelFilter::INFO)));
    wrapped(true, |layer| Some(layer).with_filter(LevelFilter::INFO));
    wrapped(true, |layer| vec![layer.with_filter(LevelFilter::INFO)]);
    wrapped(true, |layer| vec![layer].with_filter(LevelFilter::INFO));
    wrapped(true, |layer| layer.with_filter(LevelFilter::INFO).boxed());
    wrapped(true, |layer| layer.boxed().with_filter(LevelFilter::INFO));
    wrapped(true, |layer| {
        layer.and_then(Everything).with_filter(LevelFilter::INFO)
    });
}

#[test]
fn an_env_filter_may_look_at_spans() {
    let (layer, pipeline) = Pipeline::new();
    let layer = layer.with_filter(EnvFilter::new("info,[wanted{id=7}]=debug"));
    let subscriber = tracing_subscriber::registry().with(Everything).with(layer);
    with_default(&Dispatch::new(subscriber), || {
        for id in [6, 7] {
            let _wanted = info_span!("wanted", id).entered();
            let _debug = debug_span!("debug", id).entered();
            tracing::debug!("event");
        }
    });
    let spans = pipeline.spans();
    assert_eq!((spans.len(), spans.named("debug").value("id")), (3, int(7)));
    assert_eq!(spans.named("debug").event_names(), ["event"]);
    spans
        .named("debug")
        .assert_child_of(spans.all_named("wanted")[1]);
}

/// Without another layer that wants them, hidden spans do not exist at all, and the current one is their parent's.
#[test]
fn a_filter_for_everybody_hides_spans_from_the_registry_too() {
    let (layer, pipeline) = Pipeline::new();
    let subscriber = tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(layer);
    with_default(&Dispatch::new(subscriber), work);
    check(&pipeline.spans(), true);
}

#[test]
fn it_stands_beside_other_layers() {
    let (layer, pipeline) = Pipeline::new();
    let formatted = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let subscriber = tracing_subscriber::registry()
        .with(formatted.with_filter(LevelFilter::WARN))
        .with(layer.with_filter(LevelFilter::INFO))
        .with(EnvFilter::new("trace"));
    with_default(&Dispatch::new(subscriber), work);
    check(&pipeline.spans(), true);
}

#[test]
fn one_vector_holds_several() {
    let (all, all_pipeline) = Pipeline::new();
    let (some, some_pipeline) = Pipeline::new();
    let layers = vec![
        all.boxed(),
        some.with_filter(LevelFilter::INFO).boxed(),
        Everything.boxed(),
    ];
    with_default(
        &Dispatch::new(tracing_subscriber::registry().with(layers)),
        work,
    );
    check(&all_pipeline.spans(), false);
    check(&some_pipeline.spans(), true);
}

#[test]
fn an_absent_layer_records_nothing() {
    let subscriber = tracing_subscriber::registry()
        .with(Everything)
        .with(None::<OtlpLayer>);
    with_default(&Dispatch::new(subscriber), work);
}

/// A layer in a subscriber of which only the traits are known.
#[test]
fn any_subscriber_with_a_registry_below_will_do() {
    fn add<S>(subscriber: S, layer: OtlpLayer) -> Dispatch
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        Dispatch::new(subscriber.with(layer))
    }
    let (layer, pipeline) = Pipeline::new();
    with_default(
        &add(
            tracing_subscriber::registry()
                .with(Everything)
                .with(Everything),
            layer,
        ),
        work,
    );
    check(&pipeline.spans(), false);
}

/// Runs `work` three times: with everything, with nothing below WARN, with everything again. The first "open" spans all of
/// them, the second one was opened while hidden.
fn change_midway(dispatch: &Dispatch, pipeline: &Pipeline, change: impl Fn(LevelFilter)) {
    with_default(dispatch, || {
        let open = info_span!("open", late = Empty).entered();
        info!("first");
        change(LevelFilter::WARN);
        let hidden = info_span!("hidden").entered();
        info!("hidden");
        drop(info_span!("hidden"));
        change(LevelFilter::TRACE);
        info!("second");
        drop(info_span!("child"));
        drop(hidden);
        open.record("late", 1);
    });
    let spans = pipeline.spans();
    assert_eq!(spans.len(), 2);
    let open = spans.named("open");
    assert_eq!(open.event_names(), ["first", "second"]);
    assert_eq!(open.value("late"), int(1));
    spans.named("child").assert_child_of(open);
}

#[test]
fn a_reloaded_filter_counts_from_the_next_span_and_event() {
    let (layer, pipeline) = Pipeline::new();
    let (filter, handle) = reload::Layer::new(LevelFilter::TRACE);
    let subscriber = tracing_subscriber::registry()
        .with(Everything)
        .with(layer.with_filter(filter));
    change_midway(&Dispatch::new(subscriber), &pipeline, |level| {
        handle.reload(level).unwrap()
    });
}

#[test]
fn its_own_filter_counts_from_the_next_span_and_event() {
    let (layer, pipeline) = Pipeline::new();
    let subscriber = tracing_subscriber::registry().with(layer);
    let handle = pipeline.handle();
    change_midway(&Dispatch::new(subscriber), &pipeline, |level| {
        handle.set_filter(Targets::new().with_default(level));
    });
}

#[test]
fn its_own_filter_is_nobody_elses() {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_filter(Targets::new()));
    let (other, other_pipeline) = Pipeline::new();
    with_default(
        &Dispatch::new(tracing_subscriber::registry().with(layer).with(other)),
        work,
    );
    assert_eq!(pipeline.spans().len(), 0);
    check(&other_pipeline.spans(), false);
}

#[test]
fn its_own_filter_goes_by_target_and_level() {
    let targets = "quiet=error,loud=trace,info".parse::<Targets>().unwrap();
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_filter(targets));
    with_default(
        &Dispatch::new(tracing_subscriber::registry().with(layer)),
        || {
            drop(info_span!(target: "quiet", "quiet"));
            drop(tracing::error_span!(target: "quiet::inside", "quiet error"));
            drop(tracing::trace_span!(target: "loud::inside", "loud"));
            drop(info_span!("info"));
            drop(debug_span!("debug"));
        },
    );
    assert_eq!(pipeline.spans().names(), ["quiet error", "loud", "info"]);
}
