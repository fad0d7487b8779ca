//! What the tests of bridges need: a pipeline into memory, and how its spans hang together.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a helper of tests fails its test"
)]

mod collector;
mod process;

use std::ops::Deref;
use std::time::Duration;

use tracing_otlp::testing::{InMemory, Span};
use tracing_otlp::{Builder, Guard, Handle, OtlpLayer};
use tracing_subscriber::prelude::*;

pub use self::collector::{Collector, Received, attribute};
pub use self::process::{Process, serve};

/// Long enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Pipeline {
    memory: InMemory,
    guard: Guard,
}

impl Pipeline {
    pub fn new() -> (OtlpLayer, Self) {
        Self::with(|builder| builder)
    }

    pub fn with(settings: impl FnOnce(Builder) -> Builder) -> (OtlpLayer, Self) {
        let memory = InMemory::new();
        let builder = tracing_otlp::layer()
            .with_service_name("test")
            .with_transport(memory.clone());
        let (layer, guard) = settings(builder).build().unwrap();
        (layer, Self { memory, guard })
    }

    pub fn handle(&self) -> Handle {
        self.guard.handle()
    }

    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.spans();
        self.memory.requests()
    }

    /// Everything that was exported. Nothing was dropped, and the books balance.
    pub fn spans(&self) -> Spans {
        self.handle().flush(PATIENCE).unwrap();
        let stats = self.handle().stats();
        assert!(stats.is_balanced(), "{stats}");
        assert_eq!((stats.held(), stats.dropped(), stats.rejected()), (0, 0, 0));
        Spans(self.memory.spans())
    }
}

/// What becomes of the spans that `work` makes, under a Registry with the layer and nothing else.
pub fn record(work: impl FnOnce(&Handle)) -> Spans {
    record_with(|builder| builder, work)
}

/// As [`record`], with settings.
pub fn record_with(settings: impl FnOnce(Builder) -> Builder, work: impl FnOnce(&Handle)) -> Spans {
    let (layer, pipeline) = Pipeline::with(settings);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || work(&pipeline.handle()));
    pipeline.spans()
}

#[derive(Debug)]
pub struct Spans(Vec<Span>);

impl Deref for Spans {
    type Target = [Span];

    fn deref(&self) -> &[Span] {
        &self.0
    }
}

impl Spans {
    /// The one span of this name.
    #[track_caller]
    pub fn named(&self, name: &str) -> &Span {
        let found: Vec<_> = self.iter().filter(|span| span.name == name).collect();
        match found[..] {
            [span] => span,
            _ => panic!("{} spans {name:?} in {:?}", found.len(), self.names()),
        }
    }

    pub fn names(&self) -> Vec<&str> {
        self.iter().map(|span| &*span.name).collect()
    }

    /// The first is in the trace of the second, and its child.
    #[track_caller]
    pub fn assert_child(&self, child: &str, parent: &str) {
        let (child, parent) = (self.named(child), self.named(parent));
        let of = |span: &Span| span.name.clone();
        assert_eq!(
            child.trace_id,
            parent.trace_id,
            "{} and {}",
            of(child),
            of(parent)
        );
        assert_eq!(
            child.parent_span_id,
            Some(parent.span_id),
            "{} and {}",
            of(child),
            of(parent)
        );
    }

    #[track_caller]
    pub fn assert_root(&self, name: &str) {
        assert_eq!(self.named(name).parent_span_id, None, "{name}");
    }
}

/// The page on migration, whose programs are compiled.
#[doc = include_str!("../../../docs/migrate.md")]
pub mod migrate {}
