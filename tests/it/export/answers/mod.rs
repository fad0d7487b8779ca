//! What a collector answers, and where it ends in the books, over each protocol.

mod compressed;
mod misconfigured;
mod partial;
mod retried;
mod settled;
mod too_large;
mod unread;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing_otlp::{Batch, Builder, Error, Problem, Protocol};

use crate::support::collector::Collector;
use crate::support::rig::Rig;

pub(super) const PROTOCOLS: [Protocol; 3] =
    [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];

/// Longer than any test.
pub(super) const PLENTY: Duration = Duration::from_secs(10);

/// A pipeline that sends when it is flushed alone: what is recorded before is one batch.
pub(super) fn rig(protocol: Protocol, configure: impl FnOnce(Builder) -> Builder) -> Rig {
    Rig::with(Collector::start(), |builder| {
        let batch = Batch::default().with_interval(6 * PLENTY);
        let builder = builder.with_protocol(protocol).with_batch(batch);
        configure(builder.with_timeout(PLENTY))
    })
}

/// Flushes, with plenty of time, what is not delivered in whole.
#[track_caller]
pub(super) fn flush_with_losses(rig: &Rig) -> Error {
    let error = rig.handle.flush(PLENTY).expect_err("something is lost");
    assert!(error.is_undelivered(), "{error}");
    error
}

/// What `with_on_error` was told, in its order.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<Problem>>>);

impl Heard {
    pub(super) fn listen(&self, builder: Builder) -> Builder {
        let heard = Arc::clone(&self.0);
        builder.with_on_error(move |problem| heard.lock().unwrap().push(problem.clone()))
    }

    pub(super) fn all(&self) -> Vec<Problem> {
        self.0.lock().unwrap().clone()
    }
}

/// When requests came.
#[derive(Clone, Default)]
pub(super) struct Times(Arc<Mutex<Vec<Instant>>>);

impl Times {
    pub(super) fn note(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    /// The time between each request and the next.
    pub(super) fn between(&self) -> Vec<Duration> {
        let times = self.0.lock().unwrap();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}
