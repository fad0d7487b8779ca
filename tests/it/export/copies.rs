//! What is sent again is the same memory: no attempt and no half copies a record.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_otlp::testing::InMemory;
use tracing_otlp::{Failure, Request, Sending, Transport};
use tracing_subscriber::prelude::*;

const PLENTY: Duration = Duration::from_secs(10);

/// Where the pieces of a request lie.
type Places = Vec<Range<usize>>;

/// Answers the first requests as it is told, and takes the others.
struct Watching {
    memory: InMemory,
    answers: Mutex<Vec<Failure>>,
    seen: Arc<Mutex<Vec<Places>>>,
}

impl Transport for Watching {
    fn send(&self, request: Request) -> Sending {
        // The first piece is the header, which is made for each request.
        let pieces = request.parts().iter().skip(1);
        let places = pieces.map(|piece| {
            let start = piece.as_ptr() as usize;
            start..start + piece.len()
        });
        self.seen.lock().unwrap().push(places.collect());
        match self.answers.lock().unwrap().pop() {
            Some(failure) => Box::pin(async move { Err(failure) }),
            None => self.memory.send(request),
        }
    }
}

/// Sends 100 spans, and gives where the pieces of each request lay.
fn places(answers: Vec<Failure>) -> Vec<Places> {
    let seen = Arc::default();
    let transport = Watching {
        memory: InMemory::new(),
        answers: Mutex::new(answers),
        seen: Arc::clone(&seen),
    };
    let memory = transport.memory.clone();
    let (layer, guard) = tracing_otlp::layer()
        .with_transport(transport)
        .build()
        .expect("a pipeline");
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        // Enough that a swept chunk is not taken for a nearly empty one.
        for number in 0..100 {
            drop(tracing::info_span!("work", number, text = "x".repeat(250)));
        }
    });
    let flushed = guard.handle().flush(PLENTY);
    let stats = guard.handle().stats();
    assert!(flushed.is_ok() && stats.is_balanced(), "{stats}");
    assert_eq!((stats.delivered(), memory.spans().len()), (100, 100));
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[test]
fn a_retry_copies_nothing() {
    let seen = places(vec![Failure::retry("once more"), Failure::retry("later")]);
    let different: HashSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), different.len()), (3, 1), "{seen:?}");
}

#[test]
fn f14_the_halves_of_a_request_lie_in_its_memory() {
    let seen = places(vec![Failure::too_large("half of it")]);
    assert_eq!(seen.len(), 3);
    let whole: Vec<_> = seen[0].clone();
    let within = |piece: &&Range<usize>| {
        whole
            .iter()
            .any(|place| place.start <= piece.start && piece.end <= place.end)
    };
    let length = |places: &[Range<usize>]| places.iter().map(Range::len).sum::<usize>();
    let halves: Vec<_> = seen[1..].concat();
    let (inside, new): (Vec<_>, Vec<_>) = halves.iter().partition(within);
    let inside: Vec<_> = inside.into_iter().cloned().collect();
    let new: Vec<_> = new.into_iter().cloned().collect();
    assert!(length(&inside) > length(&whole) * 99 / 100, "{halves:?}");
    assert!(length(&new) < 200, "only heads of runs are new: {new:?}");
}
