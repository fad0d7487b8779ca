//! The base line: a Registry that keeps spans, and a layer that ignores them.

use tracing_subscriber::Layer;

use super::{Base, Running, Settings, install_layer};

struct NoOp;

impl Layer<Base> for NoOp {}

pub(super) fn install(settings: &Settings) -> Box<dyn Running> {
    install_layer(NoOp, settings);
    Box::new(NoOp)
}

impl Running for NoOp {
    fn flush(&self) {}

    fn finish(&self, _made: u64) {}
}
