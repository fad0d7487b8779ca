//! What an answer means for the batch in flight, and for what is sent next.

use super::super::batch::Batch;
use super::backlog::Age;
use super::{Answer, Breaker, Core, DropReason, Failure, Flight, Kind, Nanos, Outcome, Settled};

/// So often OUT_OF_RANGE is taken at its word, as the specification asks; then it means "too large".
const DOUBTS: u8 = 5;

/// Refusals of a request "for now" after which it is tried with half of it.
const REFUSALS: u32 = 2;

impl Core {
    pub(super) fn answered(
        &mut self,
        now: Nanos,
        id: u64,
        answer: Result<Answer, Failure>,
        random: f64,
    ) -> Vec<Settled> {
        let Some(flight) = self.flights.land(id) else {
            return Vec::new();
        };
        match answer {
            Ok(answer) => self.delivered(now, flight, answer),
            Err(failure) => {
                let is_asked = failure.after.is_some();
                self.pace.throttle(now, failure.after, random);
                let settled = self.failed(now, flight, failure, random);
                if is_asked {
                    self.pace.probe(self.flights.next());
                }
                settled
            }
        }
    }

    /// A transport that panics costs the batch, and is not called again at once.
    pub(super) fn panicked(&mut self, now: Nanos, id: u64, random: f64) -> Vec<Settled> {
        let Some(flight) = self.flights.land(id) else {
            return Vec::new();
        };
        self.pace.fail(now, id, self.flights.next(), random);
        let records = flight.batch.records();
        self.tally.dropped += records;
        vec![Settled {
            outcome: Outcome::Panicked { records },
            chunks: flight.batch.release(),
        }]
    }

    fn delivered(&mut self, now: Nanos, flight: Flight, answer: Answer) -> Vec<Settled> {
        let records = flight.batch.records();
        // The server is not trusted to count.
        let rejected = answer.rejected.min(records);
        self.tally.delivered += records - rejected;
        self.tally.rejected += rejected;
        let (sample, next) = (flight.sample(now), self.flights.next());
        if sample.bytes >= self.size().bytes / 8 * 7 {
            self.crowd.taken(sample, next);
        }
        self.sizing.taken(sample, next);
        let outcome = Outcome::Delivered {
            records: records - rejected,
            rejected,
            message: answer.message,
            odd: answer.odd,
            sent: answer.sent.unwrap_or(flight.bytes),
        };
        self.decided(flight.id, outcome, Some(flight.batch))
    }

    fn failed(
        &mut self,
        now: Nanos,
        mut flight: Flight,
        failure: Failure,
        random: f64,
    ) -> Vec<Settled> {
        let (hold, next) = (self.tuning.hold_on_config_error, self.flights.next());
        match failure.kind {
            Kind::Unanswered { .. } | Kind::Busy => self.retry(now, flight, failure, random),
            Kind::OutOfRange if flight.batch.doubts < DOUBTS => {
                flight.batch.doubts += 1;
                self.retry(now, flight, failure, random)
            }
            Kind::OutOfRange | Kind::TooLarge => {
                let settled = self.too_large(flight, failure.message);
                let times = self.sizing.hopeless();
                self.pace.slow_down(now, times, next, random);
                settled
            }
            Kind::Misconfigured | Kind::NoPipeline if hold => {
                self.pace.hold(now, next);
                let records = flight.batch.records();
                self.flights.wait(flight);
                let message = failure.message;
                vec![undecided(Outcome::Held { records, message })]
            }
            Kind::NoPipeline => self.no_pipeline(now, flight, failure),
            Kind::Refused | Kind::Misconfigured => {
                let outcome = self.reject(&flight.batch, failure);
                self.decided(flight.id, outcome, Some(flight.batch))
            }
        }
    }

    fn retry(&mut self, now: Nanos, flight: Flight, failure: Failure, random: f64) -> Vec<Settled> {
        let next = self.flights.next();
        let delay = self.pace.fail(now, flight.id, next, random);
        let records = flight.batch.records();
        self.send_again(now, flight, failure.kind);
        vec![undecided(Outcome::Retry {
            records,
            message: failure.message,
            delay,
            ambiguous: failure.kind == Kind::Unanswered { ambiguous: true },
            asked: failure.after.is_some(),
        })]
    }

    /// The batch is sent again: in halves, where it may have failed for its size.
    fn send_again(&mut self, now: Nanos, mut flight: Flight, kind: Kind) {
        let (sample, next) = (flight.sample(now), self.flights.next());
        let is_late = self.sizing.is_late(sample) && matches!(kind, Kind::Unanswered { .. });
        flight.refusals += u32::from(kind == Kind::Busy);
        if is_late || kind == Kind::Busy {
            self.crowd.refused(sample.id, next);
        }
        if !(is_late || flight.refusals >= REFUSALS) || !self.sizing.troubled(sample, next) {
            return self.flights.wait(flight);
        }
        match flight.batch.split() {
            Ok((front, back)) => {
                self.flights.wait(Flight::new(flight.age, back));
                self.flights.wait(Flight::new(flight.age, front));
            }
            Err(batch) => self.flights.wait(Flight { batch, ..flight }),
        }
    }

    /// The halves are new requests, which the specification does not forbid; else one wrong limit would lose everything.
    fn too_large(&mut self, flight: Flight, message: String) -> Vec<Settled> {
        let Flight { batch, age, id, .. } = flight;
        self.sizing.too_large(batch.bytes(), self.flights.next());
        let batch = match batch.split() {
            Ok((front, back)) => {
                self.backlog.put_back(age, back);
                self.backlog.put_back(age, front);
                let limit = self.sizing.size().bytes;
                return self.decided(id, Outcome::Split { message, limit }, None);
            }
            Err(batch) => batch,
        };
        match batch.shorten(self.tuning.signal, self.tuning.record_bytes / 4) {
            Ok(batch) => {
                self.backlog.put_back(age, batch);
                self.decided(id, Outcome::Shortened { message }, None)
            }
            Err(batch) => {
                let dropped = self.drop_batch(batch, DropReason::TooLarge, message);
                let mut settled = vec![dropped];
                settled.extend(self.alive(id));
                settled
            }
        }
    }

    fn no_pipeline(&mut self, now: Nanos, flight: Flight, failure: Failure) -> Vec<Settled> {
        // What waited through failures is not due for that: it goes as it falls due.
        self.pace.recover();
        self.pace.probe(self.flights.next());
        let why = failure.message.clone();
        let mut settled = vec![Settled {
            outcome: self.reject(&flight.batch, failure),
            chunks: flight.batch.release(),
        }];
        if self.breaker.open(now, why) {
            let pause = Breaker::pause();
            settled.push(undecided(Outcome::BreakerOpened { pause }));
        }
        settled
    }

    fn reject(&mut self, batch: &Batch, failure: Failure) -> Outcome {
        let records = batch.records();
        self.tally.rejected += records;
        Outcome::Rejected {
            records,
            code: failure.code,
            kind: failure.kind,
            message: failure.message,
        }
    }

    /// The destination has looked at the request, and this came of it.
    fn decided(&mut self, id: u64, outcome: Outcome, batch: Option<Batch>) -> Vec<Settled> {
        let chunks = batch.map(Batch::release).unwrap_or_default();
        let mut settled = vec![Settled { outcome, chunks }];
        settled.extend(self.alive(id));
        settled
    }

    /// The destination is there again, if it was not: what had to wait is old. A request that was in flight when another one
    /// failed does not tell.
    fn alive(&mut self, id: u64) -> Option<Settled> {
        if self.pace.is_old(id) {
            return None;
        }
        if self.pace.recover() {
            self.backlog.grow_old();
            while let Some(flight) = self.flights.give_back() {
                self.backlog.put_back(Age::Old, flight.batch);
            }
        }
        let closed = self.breaker.close();
        closed.then(|| undecided(Outcome::BreakerClosed))
    }
}

fn undecided(outcome: Outcome) -> Settled {
    Settled {
        outcome,
        chunks: Vec::new(),
    }
}
