//! A pipeline that exports into memory.

use std::cell::Cell;
use std::time::Duration;

use tracing::{Dispatch, Subscriber};
use tracing_otlp::testing::InMemory;
use tracing_otlp::{Builder, Guard, Handle, OtlpLayer, Stats};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use super::exported::{Spans, decode};
use super::{same, valid};

/// Long enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Pipeline {
    memory: InMemory,
    guard: Guard,
    /// Spans that were decoded and forgotten.
    forgotten: Cell<u64>,
}

impl Pipeline {
    pub(crate) fn new() -> (OtlpLayer, Self) {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(Builder) -> Builder) -> (OtlpLayer, Self) {
        let memory = InMemory::new();
        let builder = tracing_otlp::layer()
            .with_service_name("test")
            .with_transport(memory.clone());
        let (layer, guard) = settings(builder).build().unwrap();
        let pipeline = Self {
            memory,
            guard,
            forgotten: Cell::new(0),
        };
        (layer, pipeline)
    }

    pub(crate) fn handle(&self) -> Handle {
        self.guard.handle()
    }

    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.memory.requests()
    }

    /// Everything that was exported. Nothing was dropped.
    pub(crate) fn spans(&self) -> Spans {
        let (spans, stats) = self.spans_and_stats();
        assert_eq!(stats.dropped(), 0, "{stats}");
        spans
    }

    /// As [`Pipeline::spans`], where something may be dropped.
    pub(crate) fn spans_and_stats(&self) -> (Spans, Stats) {
        self.handle().flush(PATIENCE).unwrap();
        self.settled()
    }

    /// As [`Pipeline::spans_and_stats`], by a shutdown.
    pub(crate) fn shut_down(&self) -> (Spans, Stats) {
        self.handle().shutdown(PATIENCE).unwrap();
        self.settled()
    }

    /// Everything that was exported: valid OTLP, the same for prost and for `InMemory`, and as many spans as the ledger
    /// says.
    pub(crate) fn settled(&self) -> (Spans, Stats) {
        let requests = self.memory.requests();
        let spans = decode(&requests);
        valid::check(&requests);
        same::check(&spans, &self.memory.spans());
        let stats = self.handle().stats();
        assert!(stats.is_balanced(), "{stats}");
        assert_eq!((stats.held(), stats.rejected(), stats.panics()), (0, 0, 0));
        assert_eq!(
            stats.delivered(),
            self.forgotten.get() + spans.len() as u64,
            "{stats}"
        );
        (spans, stats)
    }

    /// As [`Pipeline::spans_and_stats`]; the next one begins anew.
    pub(crate) fn take_with_stats(&self) -> (Spans, Stats) {
        let (spans, stats) = self.spans_and_stats();
        self.forgotten
            .set(self.forgotten.get() + spans.len() as u64);
        self.memory.clear();
        (spans, stats)
    }
}

/// What becomes of the spans that `work` makes, under a Registry with the layer and nothing else.
pub(crate) fn record(work: impl FnOnce()) -> Spans {
    record_with(|builder| builder, work)
}

/// As [`record`], with settings.
pub(crate) fn record_with(settings: impl FnOnce(Builder) -> Builder, work: impl FnOnce()) -> Spans {
    let (layer, pipeline) = Pipeline::with(settings);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    pipeline.spans()
}

/// A layer that wants everything, so that a span exists also where a filter hides it from ours.
pub(crate) struct Everything;

impl<S: Subscriber> Layer<S> for Everything {}

/// The ways to hide what is below INFO from the layer, but from nobody else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hiding {
    /// `Layer::with_filter`
    PerLayer,
    /// `Builder::with_filter`
    Own,
}

impl Hiding {
    const ALL: [Self; 2] = [Self::PerLayer, Self::Own];

    fn build(self) -> (Dispatch, Pipeline) {
        let registry = tracing_subscriber::registry().with(Everything);
        match self {
            Self::PerLayer => {
                let (layer, pipeline) = Pipeline::new();
                let layer = layer.with_filter(LevelFilter::INFO);
                (Dispatch::new(registry.with(layer)), pipeline)
            }
            Self::Own => {
                let targets = Targets::new().with_default(LevelFilter::INFO);
                let (layer, pipeline) = Pipeline::with(|builder| builder.with_filter(targets));
                (Dispatch::new(registry.with(layer)), pipeline)
            }
        }
    }
}

/// Runs `work` where spans and events below INFO are hidden from the layer, in each way, and shows `check` what came out.
/// `work` may use the dispatch on further threads.
pub(crate) fn hiding_debug(work: impl Fn(&Dispatch), check: impl Fn(&Spans)) {
    for way in Hiding::ALL {
        let (dispatch, pipeline) = way.build();
        tracing::dispatcher::with_default(&dispatch, || work(&dispatch));
        drop(dispatch);
        let spans = pipeline.spans();
        check(&spans);
    }
}
