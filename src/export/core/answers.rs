//! What an answer means for the batch in flight, and for what is sent next.

use super::super::batch::Batch;
use super::{Answer, Breaker, Core, DropReason, Failure, Flight, Kind, Nanos, Outcome, Settled};

/// So often OUT_OF_RANGE is taken at its word, as the specification asks; then it means "too large".
const DOUBTS: u8 = 5;

impl Core {
    pub(super) fn answered(
        &mut self,
        now: Nanos,
        answer: Result<Answer, Failure>,
        random: f64,
    ) -> Vec<Settled> {
        let Some(flight) = self.land() else {
            return Vec::new();
        };
        match answer {
            Ok(answer) => self.delivered(flight, answer),
            Err(failure) => {
                self.pace.throttle(now, failure.after, random);
                self.failed(now, flight, failure, random)
            }
        }
    }

    /// A transport that panics costs the batch, and is not called again at once.
    pub(super) fn panicked(&mut self, now: Nanos, random: f64) -> Vec<Settled> {
        let Some(flight) = self.land() else {
            return Vec::new();
        };
        self.pace.fail(now, random);
        let records = flight.batch.records();
        self.tally.dropped += records;
        vec![Settled {
            outcome: Outcome::Panicked { records },
            chunks: flight.batch.release(),
        }]
    }

    fn land(&mut self) -> Option<Flight> {
        self.in_flight = false;
        self.flight.take()
    }

    fn delivered(&mut self, flight: Flight, answer: Answer) -> Vec<Settled> {
        let records = flight.batch.records();
        // The server is not trusted to count.
        let rejected = answer.rejected.min(records);
        self.tally.delivered += records - rejected;
        self.tally.rejected += rejected;
        self.limit.taken();
        let outcome = Outcome::Delivered {
            records: records - rejected,
            rejected,
            message: answer.message,
            odd: answer.odd,
            sent: answer.sent.unwrap_or(flight.bytes),
        };
        self.decided(outcome, Some(flight.batch))
    }

    fn failed(
        &mut self,
        now: Nanos,
        mut flight: Flight,
        failure: Failure,
        random: f64,
    ) -> Vec<Settled> {
        let hold = self.tuning.hold_on_config_error;
        match failure.kind {
            Kind::Unanswered { .. } | Kind::Busy => self.retry(now, flight, failure, random),
            Kind::OutOfRange if flight.batch.doubts < DOUBTS => {
                flight.batch.doubts += 1;
                self.retry(now, flight, failure, random)
            }
            Kind::OutOfRange | Kind::TooLarge => {
                let settled = self.too_large(flight, failure.message);
                self.pace.slow_down(now, self.limit.hopeless(), random);
                settled
            }
            Kind::Misconfigured | Kind::NoPipeline if hold => {
                self.pace.hold(now);
                let records = flight.batch.records();
                self.flight = Some(flight);
                let message = failure.message;
                vec![undecided(Outcome::Held { records, message })]
            }
            Kind::NoPipeline => self.no_pipeline(now, flight, failure),
            Kind::Refused | Kind::Misconfigured => {
                let outcome = self.reject(&flight.batch, failure);
                self.decided(outcome, Some(flight.batch))
            }
        }
    }

    fn retry(&mut self, now: Nanos, flight: Flight, failure: Failure, random: f64) -> Vec<Settled> {
        let delay = self.pace.fail(now, random);
        let records = flight.batch.records();
        self.flight = Some(flight);
        vec![undecided(Outcome::Retry {
            records,
            message: failure.message,
            delay,
            ambiguous: failure.kind == Kind::Unanswered { ambiguous: true },
            asked: failure.after.is_some(),
        })]
    }

    /// The halves are new requests, which the specification does not forbid; else one wrong limit would lose everything.
    fn too_large(&mut self, flight: Flight, message: String) -> Vec<Settled> {
        let Flight { batch, age, .. } = flight;
        self.limit.refused(batch.bytes());
        let batch = match batch.split() {
            Ok((front, back)) => {
                self.backlog.put_back(age, back);
                self.backlog.put_back(age, front);
                let limit = self.limit.size().bytes;
                return self.decided(Outcome::Split { message, limit }, None);
            }
            Err(batch) => batch,
        };
        match batch.shorten(self.tuning.record_bytes / 4) {
            Ok(batch) => {
                self.backlog.put_back(age, batch);
                self.decided(Outcome::Shortened { message }, None)
            }
            Err(batch) => {
                let dropped = self.drop_batch(batch, DropReason::TooLarge, message);
                let mut settled = vec![dropped];
                settled.extend(self.alive());
                settled
            }
        }
    }

    fn no_pipeline(&mut self, now: Nanos, flight: Flight, failure: Failure) -> Vec<Settled> {
        // What waited through failures is not due for that: it goes as it falls due.
        self.pace.recover();
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
    fn decided(&mut self, outcome: Outcome, batch: Option<Batch>) -> Vec<Settled> {
        let chunks = batch.map(Batch::release).unwrap_or_default();
        let mut settled = vec![Settled { outcome, chunks }];
        settled.extend(self.alive());
        settled
    }

    /// The destination is there again, if it was not: what had to wait is old.
    fn alive(&mut self) -> Option<Settled> {
        if self.pace.recover() {
            self.backlog.grow_old();
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
