//! The core against a virtual clock: years pass in a moment, and a model destination answers by script.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::proto::request;

const SECOND: Nanos = 1_000_000_000;
const INTERVAL: Duration = Duration::from_secs(5);
const RECORD_BYTES: usize = 400;

const TUNING: Tuning = Tuning {
    signal: Signal::Traces,
    // A record takes ten bytes and its run's head; a request has a hundred of them.
    size: Size {
        bytes: 100_000,
        records: 100,
    },
    first_bytes: 100_000,
    is_adaptive: true,
    concurrency: Concurrency::Fixed(1),
    rate: RateLimit::NONE,
    bytes_in_flight: 10_000_000,
    timeout: Duration::from_secs(10),
    interval: INTERVAL,
    record_bytes: RECORD_BYTES,
    hold_on_config_error: false,
};

/// A core, the chunks that lie in lanes and ring for it, and the books.
struct World {
    core: Core,
    now: Nanos,
    random: f64,
    waiting: Vec<Rc<Sealed>>,
    owing: usize,
    closed: bool,
    requests: Vec<(Nanos, u64)>,
    /// The requests in flight and their records, in the order in which they were begun.
    in_flight: Vec<(u64, Vec<Span>)>,
    /// How many there may be.
    most_in_flight: usize,
    /// How often each record was sent.
    sent: BTreeMap<u64, u32>,
    /// Records whose requests were answered for good, and those that were not taken.
    answered: BTreeSet<u64>,
    released: BTreeSet<u64>,
    chunks: u64,
    reports: Vec<(u64, Report, Nanos)>,
    outcomes: Vec<Outcome>,
    stopped: bool,
    accepted: u64,
    delivered: u64,
    rejected: u64,
    dropped: u64,
    dropped_for: Vec<(DropReason, u64)>,
}

/// A record's number, which is its span id.
fn number(span: &Span) -> u64 {
    u64::from_be_bytes(span.span_id[..].try_into().unwrap())
}

impl World {
    fn new() -> Self {
        Self::with(TUNING)
    }

    fn with(tuning: Tuning) -> Self {
        Self {
            core: Core::new(tuning, Vec::new(), 0),
            now: 0,
            random: 0.5,
            waiting: Vec::new(),
            owing: 0,
            closed: false,
            requests: Vec::new(),
            in_flight: Vec::new(),
            most_in_flight: tuning.concurrency.most(),
            sent: BTreeMap::new(),
            answered: BTreeSet::new(),
            released: BTreeSet::new(),
            chunks: 0,
            reports: Vec::new(),
            outcomes: Vec::new(),
            stopped: false,
            accepted: 0,
            delivered: 0,
            rejected: 0,
            dropped: 0,
            dropped_for: Vec::new(),
        }
    }

    fn record(&mut self, records: u32) {
        self.record_sized(&vec![0; records as usize]);
    }

    /// A chunk of spans with events of so many bytes, in two runs where there are several.
    fn record_sized(&mut self, sizes: &[usize]) {
        let mut bytes = Vec::new();
        let (first, second) = sizes.split_at(sizes.len() / 2);
        for (scope, sizes) in [("first", first), ("second", second)] {
            if sizes.is_empty() {
                continue;
            }
            let start = bytes.len();
            request::begin_run(&mut bytes, scope.as_bytes());
            for size in sizes {
                let event = opentelemetry_proto::tonic::trace::v1::span::Event {
                    name: "e".repeat(*size),
                    ..Default::default()
                };
                let span = Span {
                    span_id: self.accepted.to_be_bytes().to_vec(),
                    events: if *size == 0 { Vec::new() } else { vec![event] },
                    ..Span::default()
                };
                self.accepted += 1;
                request::put_record(&mut bytes, &span.encode_to_vec(), []);
            }
            request::end_run(&mut bytes, start);
        }
        self.waiting.push(Rc::new(Sealed {
            bytes: Bytes::from(bytes),
            records: sizes.len() as u32,
            number: self.chunks,
            charge: 0,
        }));
        self.chunks += 1;
    }

    fn feed(&mut self, event: Event) {
        let settled = self.core.on(self.now, event, self.random);
        settled.into_iter().for_each(|settled| self.book(settled));
        self.act();
    }

    fn book(&mut self, Settled { outcome, chunks }: Settled) {
        for chunk in chunks {
            self.release(&chunk);
        }
        match &outcome {
            Outcome::Delivered {
                records, rejected, ..
            } => {
                self.delivered += records;
                self.rejected += rejected;
            }
            Outcome::Rejected { records, .. } => self.rejected += records,
            Outcome::Panicked { records } => self.dropped += records,
            Outcome::Dropped {
                records, reason, ..
            } => {
                self.dropped += records;
                self.dropped_for.push((*reason, *records));
            }
            _ => {}
        }
        self.outcomes.push(outcome);
    }

    fn release(&mut self, chunk: &Sealed) {
        assert!(self.released.insert(chunk.number), "a chunk is free once");
    }

    fn collect(&mut self) {
        let chunks = std::mem::take(&mut self.waiting);
        self.feed(Event::Chunks {
            chunks,
            owing: self.owing,
        });
    }

    fn act(&mut self) {
        while let Some(action) = self.core.act(self.now) {
            match action {
                Action::Sweep { close } => {
                    self.closed |= close;
                    let chunks = std::mem::take(&mut self.waiting);
                    let settled = self.core.on(
                        self.now,
                        Event::Chunks {
                            chunks,
                            owing: self.owing,
                        },
                        self.random,
                    );
                    assert!(settled.is_empty());
                    self.core.swept();
                }
                Action::Send { id, request } => self.send(id, &request),
                Action::Resolve { id, report } => self.reports.push((id, report, self.now)),
                Action::Book(settled) => self.book(settled),
                Action::Stop => self.stopped = true,
            }
        }
    }

    fn send(&mut self, id: u64, request: &Request) {
        assert!(
            self.in_flight.len() < self.most_in_flight,
            "no more requests at a time"
        );
        self.requests.push((self.now, request.records()));
        let decoded = ExportTraceServiceRequest::decode(&request.to_vec()[..]).unwrap();
        let runs = decoded
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans);
        let spans: Vec<Span> = runs.flat_map(|run| run.spans).collect();
        assert_eq!(spans.len() as u64, request.records());
        for span in &spans {
            let number = number(span);
            assert!(!self.answered.contains(&number), "{number} was resolved");
            assert!(!self.is_in_flight(number), "{number} is in flight");
            *self.sent.entry(number).or_default() += 1;
        }
        self.in_flight.push((id, spans));
    }

    fn is_in_flight(&self, number: u64) -> bool {
        let spans = self.in_flight.iter().flat_map(|(_, spans)| spans);
        spans.map(self::number).any(|other| other == number)
    }

    fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// The records of the request that was begun first.
    fn spans(&self) -> &[Span] {
        self.in_flight.first().map_or(&[], |(_, spans)| spans)
    }

    fn answer(&mut self, answer: Result<Answer, Failure>) {
        self.answer_at(0, answer);
    }

    /// Answers one of the requests in flight, by its place among them.
    fn answer_at(&mut self, at: usize, answer: Result<Answer, Failure>) {
        let (id, spans) = self.in_flight.remove(at);
        let answered = Event::Answered { id, answer };
        let settled = self.core.on(self.now, answered, self.random);
        for settled in settled {
            if matches!(
                settled.outcome,
                Outcome::Delivered { .. } | Outcome::Rejected { .. } | Outcome::Dropped { .. }
            ) {
                self.answered.extend(spans.iter().map(number));
            }
            self.book(settled);
        }
        self.act();
    }

    fn panic(&mut self) {
        let (id, spans) = self.in_flight.remove(0);
        self.answered.extend(spans.iter().map(number));
        self.feed(Event::Panicked { id });
    }

    fn evict(&mut self) -> u64 {
        let Some((records, chunk)) = self.core.evict() else {
            return 0;
        };
        if let Some(chunk) = chunk {
            self.release(&chunk);
        }
        self.dropped += records;
        records
    }

    fn flush(&mut self, id: u64, timeout: Nanos) {
        let deadline = self.now + timeout;
        self.feed(Event::Flush { id, deadline });
    }

    fn shut_down(&mut self, id: u64, timeout: Nanos) {
        let deadline = self.now + timeout;
        self.feed(Event::Shutdown { id, deadline });
    }

    /// Lets time pass up to the next thing that the core waits for, at most to `until`.
    fn sleep(&mut self, until: Nanos) {
        self.now = self.core.next_wake().clamp(self.now, until);
        self.act();
    }

    /// Lets so much time pass. The core does not keep the exporter busy meanwhile.
    fn pass(&mut self, time: Nanos) {
        let until = self.now + time;
        for _ in 0..1_000 {
            if self.now == until || self.stopped {
                return;
            }
            self.sleep(until);
        }
        panic!("it wakes for nothing");
    }

    /// Lets time pass up to the next request, if none is in flight.
    fn sleep_to_request(&mut self) {
        self.sleep_to_request_beside(0);
    }

    /// Lets time pass until more than so many requests are in flight.
    fn sleep_to_request_beside(&mut self, in_flight: usize) {
        for _ in 0..10_000 {
            if self.in_flight.len() > in_flight {
                return;
            }
            self.sleep(u64::MAX);
        }
        panic!("nothing is sent");
    }

    fn resolved(&self) -> u64 {
        self.delivered + self.rejected + self.dropped
    }

    fn assert_balanced(&self) {
        let waiting = self.waiting.iter().map(|chunk| u64::from(chunk.records));
        let held = self.core.holds() + waiting.sum::<u64>();
        assert_eq!(self.accepted, self.resolved() + held);
        if held == 0 {
            assert_eq!(
                self.released.len() as u64,
                self.chunks,
                "all memory is free"
            );
        }
    }
}

#[test]
fn spec_3_5_records_wait_for_the_interval_or_a_full_batch() {
    let mut world = World::new();
    world.record(10);
    world.collect();
    assert!(world.requests.is_empty(), "neither full nor due");
    world.sleep(u64::MAX);
    assert_eq!(world.requests, [(5 * SECOND, 10)]);
    world.answer(Ok(Answer::delivered()));
    (0..11).for_each(|_| world.record(10));
    world.collect();
    assert_eq!(
        world.requests[1..],
        [(5 * SECOND, 100)],
        "a full batch goes at once, and the rest waits"
    );
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.core.holds(), 10);
    world.assert_balanced();
}

#[test]
fn p11_an_outage_of_a_week_loses_nothing_that_memory_holds() {
    let mut world = World::new();
    let week = 7 * 86_400 * SECOND;
    world.record(50);
    let mut attempts = 0_u64;
    while world.now < week {
        world.sleep(week);
        if world.is_busy() {
            attempts += 1;
            world.answer(Err(Failure::retry("connection refused")));
        }
    }
    world.assert_balanced();
    assert_eq!(world.core.holds(), 50);
    assert!(
        (15_000..50_000).contains(&attempts),
        "{attempts} attempts: one in 22 seconds on average"
    );
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.delivered, 50);
}

#[test]
fn what_the_server_asks_for_is_waited_for() {
    let mut world = World::new();
    world.record(1);
    world.sleep(u64::MAX);
    let asked = Duration::from_secs(120);
    world.answer(Err(Failure::retry_after(asked, "busy")));
    world.sleep_to_request();
    let waited = world.now - 5 * SECOND;
    assert!((120 * SECOND..=132 * SECOND).contains(&waited), "{waited}");
}

#[test]
fn the_oldest_goes_first_when_memory_is_short() {
    let mut world = World::new();
    world.record(100);
    world.record(1);
    world.record(2);
    world.collect();
    assert!(world.is_busy(), "the batch of 100 is on its way and stays");
    assert_eq!([world.evict(), world.evict(), world.evict()], [1, 2, 0]);
    world.assert_balanced();
}

#[test]
fn a_panic_costs_one_batch() {
    let mut world = World::new();
    world.record(100);
    world.record(100);
    world.collect();
    world.panic();
    assert_eq!(world.dropped, 100);
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.delivered, 100);
    world.assert_balanced();
}

#[test]
fn p11_a_dead_collector_is_called_seldom() {
    let mut world = World::new();
    world.random = 0.0;
    world.record(1);
    let hour = 3600 * SECOND;
    let mut attempts = 0;
    while world.now < hour {
        world.sleep(hour);
        if world.is_busy() {
            attempts += 1;
            world.answer(Err(Failure::unanswered(false, "connection refused")));
        }
    }
    assert!((200..=260).contains(&attempts), "{attempts}");
    world.assert_balanced();
}

mod destinations {
    mod tests;
}
mod flow {
    mod tests;
}
mod flushes {
    mod tests;
}
mod rates {
    mod tests;
}
mod recovery {
    mod tests;
}
mod sequences {
    mod tests;
}
mod several {
    mod tests;
}
mod simulation {
    pub(super) mod tests;
}
mod verdicts {
    mod tests;
}

#[test]
fn without_an_interval_there_is_time_for_more_than_sweeps() {
    let tuning = Tuning {
        interval: Duration::ZERO,
        ..TUNING
    };
    let mut core = Core::new(tuning, Vec::new(), 0);
    let actions = std::iter::from_fn(|| core.act(0));
    assert_eq!(actions.take(10).count(), 0);
    assert!(core.next_wake() > 0);
    assert!(
        core.act(core.next_wake())
            .is_some_and(|action| matches!(action, Action::Sweep { .. }))
    );
}
