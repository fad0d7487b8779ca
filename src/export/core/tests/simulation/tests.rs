//! A destination as a model: a way there, servers that work on bytes, and reasons to refuse; and a core that sends to it what an
//! application records, within a memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::*;
use crate::config::MAX_REQUEST;

pub(in super::super) const MS: Nanos = 1_000_000;
pub(in super::super) const KIB: u64 = 1 << 10;
pub(in super::super) const MIB: u64 = 1 << 20;

const MEMORY: u64 = 32 * MIB;
const TIMEOUT: Duration = Duration::from_secs(10);
const RECORDS: u32 = 80;
const CHUNK: usize = 32 << 10;

/// How a destination treats a request.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Destination {
    /// There and back.
    pub(in super::super) way: Nanos,
    /// Bytes a second on the way, one request after the other.
    pub(in super::super) link: u64,
    pub(in super::super) servers: usize,
    /// What a server takes for a request, and so many bytes of it a second.
    pub(in super::super) request: Nanos,
    pub(in super::super) rate: u64,
    /// So many requests may wait for a server; more are refused.
    pub(in super::super) queue: usize,
    /// Larger ones are too large.
    pub(in super::super) largest: u64,
    /// What was taken fills this room, and leaves it at so many bytes a second. What does not fit is refused.
    pub(in super::super) room: Option<(u64, u64)>,
    /// Between two requests that are taken; what comes before is asked to wait for it.
    pub(in super::super) every: Nanos,
    /// The times vary by so many hundredths up and down.
    pub(in super::super) jitter: u64,
    /// So many requests of a hundred are refused for no reason, or not answered.
    pub(in super::super) refuses: u64,
    pub(in super::super) hangs: u64,
    pub(in super::super) is_away: bool,
}

impl Destination {
    /// 1 ms away, with plenty of everything.
    pub(in super::super) const NEAR: Self = Self {
        way: MS,
        link: 1_000 * MIB,
        servers: 64,
        request: MS,
        rate: 200 * MIB,
        queue: 1_000,
        largest: u64::MAX,
        room: None,
        every: 0,
        jitter: 0,
        refuses: 0,
        hangs: 0,
        is_away: false,
    };
}

/// What held when a request was begun.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sent {
    /// Requests in flight with this one, and how many may be.
    pub(in super::super) in_flight: usize,
    pub(in super::super) limit: usize,
    /// How large a request may be.
    pub(in super::super) size: u64,
}

pub(in super::super) struct Simulation {
    pub(in super::super) destination: Destination,
    /// Bytes that the application records a second.
    pub(in super::super) load: u64,
    pub(in super::super) core: Core,
    pub(in super::super) now: Nanos,
    pub(in super::super) sent: Vec<Sent>,
    pub(in super::super) refused: u64,
    /// Records that were taken in and what became of them, and those that were not taken in.
    pub(in super::super) accepted: u64,
    pub(in super::super) delivered: u64,
    pub(in super::super) evicted: u64,
    pub(in super::super) not_taken: u64,
    /// Bytes that were taken twice.
    pub(in super::super) doubled: u64,
    /// From a chunk's birth to its delivery.
    pub(in super::super) waits: Vec<Nanos>,
    most_in_flight: usize,
    chunk: Bytes,
    births: Vec<Nanos>,
    ring: Vec<Rc<Sealed>>,
    /// Chunks in anybody's hands.
    held: u64,
    next_birth: Nanos,
    /// Answers to come: when, to which request.
    answers: BinaryHeap<Reverse<(Nanos, u64)>>,
    verdicts: BTreeMap<u64, Result<Answer, Failure>>,
    link_free: Nanos,
    servers_free: Vec<Nanos>,
    room: (Nanos, u64),
    next_allowed: Nanos,
    random: fastrand::Rng,
}

/// As the pipeline is tuned by default, with these controls.
pub(in super::super) fn tuning(is_adaptive: bool, concurrency: Concurrency) -> Tuning {
    let most = if is_adaptive { MAX_REQUEST } else { 1 << 20 };
    Tuning {
        size: Size {
            bytes: most,
            records: 1_000_000,
        },
        first_bytes: 1 << 20,
        is_adaptive,
        concurrency,
        bytes_in_flight: (MEMORY / 2) as usize,
        timeout: TIMEOUT,
        ..TUNING
    }
}

impl Simulation {
    pub(in super::super) fn new(tuning: Tuning, destination: Destination, load: u64) -> Self {
        let mut world = World::new();
        // Each record takes some bytes beside the event's name.
        world.record_sized(&[CHUNK / RECORDS as usize - 28; RECORDS as usize]);
        Self {
            destination,
            load,
            core: Core::new(tuning, Vec::new(), 0),
            now: 0,
            sent: Vec::new(),
            refused: 0,
            accepted: 0,
            delivered: 0,
            evicted: 0,
            not_taken: 0,
            doubled: 0,
            waits: Vec::new(),
            most_in_flight: tuning.concurrency.most(),
            chunk: world.waiting.remove(0).bytes.clone(),
            births: Vec::new(),
            ring: Vec::new(),
            held: 0,
            next_birth: 0,
            answers: BinaryHeap::new(),
            verdicts: BTreeMap::new(),
            link_free: 0,
            servers_free: Vec::new(),
            room: (0, 0),
            next_allowed: 0,
            random: fastrand::Rng::with_seed(7),
        }
    }

    pub(in super::super) fn run(&mut self, seconds: u64) {
        let end = self.now + seconds * SECOND;
        loop {
            let answer = self.answers.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            let birth = if self.load == 0 {
                u64::MAX
            } else {
                self.next_birth
            };
            let next = answer.min(birth).min(self.core.next_wake()).max(self.now);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
            if birth <= next {
                self.record();
            } else if answer <= next {
                self.answer();
            } else {
                self.collect();
            }
            self.act();
        }
    }

    /// Until all that was recorded is delivered or lost.
    pub(in super::super) fn drain(&mut self) {
        let load = std::mem::take(&mut self.load);
        for _ in 0..1_000 {
            if self.held == 0 {
                break;
            }
            self.run(10);
        }
        assert_eq!(self.held, 0, "all is resolved in the end");
        self.load = load;
        self.next_birth = self.next_birth.max(self.now);
    }

    fn record(&mut self) {
        let bytes = self.chunk.len() as u64;
        self.next_birth = self.now + bytes * SECOND / self.load;
        if (self.held + 1) * bytes > MEMORY {
            self.not_taken += u64::from(RECORDS);
            return;
        }
        self.held += 1;
        self.accepted += u64::from(RECORDS);
        self.ring.push(Rc::new(Sealed {
            bytes: self.chunk.clone(),
            records: RECORDS,
            number: self.births.len() as u64,
            charge: 0,
        }));
        self.births.push(self.now);
        if self.ring.len() as u64 * bytes >= MIB {
            self.collect();
        }
    }

    fn collect(&mut self) {
        let chunks = std::mem::take(&mut self.ring);
        let event = Event::Chunks { chunks, owing: 0 };
        self.core.on(self.now, event, 0.5);
        let bytes = self.chunk.len() as u64;
        if self.held * bytes <= MEMORY / 8 * 7 {
            return;
        }
        while self.held * bytes > MEMORY / 4 * 3
            && let Some((records, chunk)) = self.core.evict()
        {
            self.evicted += records;
            self.held -= u64::from(chunk.is_some());
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.core.act(self.now) {
            match action {
                Action::Sweep { .. } => {
                    self.collect();
                    self.core.swept();
                }
                Action::Send { id, request } => self.send(id, &request),
                Action::Book(settled) => self.book(settled),
                Action::Resolve { .. } | Action::Stop => {}
            }
        }
    }

    fn send(&mut self, id: u64, request: &Request) {
        assert!(self.verdicts.len() < self.most_in_flight);
        let bytes = request.bytes() as u64;
        let (answered, verdict) = self.treat(bytes);
        let late = self.now + nanos(TIMEOUT);
        let (at, verdict) = if answered < late {
            (answered, verdict)
        } else {
            if verdict.is_ok() {
                self.doubled += bytes;
            }
            (late, Err(Failure::unanswered(true, "late")))
        };
        self.verdicts.insert(id, verdict);
        self.answers.push(Reverse((at, id)));
        self.sent.push(Sent {
            in_flight: self.verdicts.len(),
            limit: self.core.crowd.limit(),
            size: self.core.sizing.size().bytes as u64,
        });
    }

    /// When a request is answered, and how.
    fn treat(&mut self, bytes: u64) -> (Nanos, Result<Answer, Failure>) {
        let Destination {
            way,
            link,
            servers,
            request,
            rate,
            queue,
            largest,
            room,
            every,
            jitter,
            refuses,
            hangs,
            is_away,
        } = self.destination;
        if is_away {
            return (self.now + way, Err(Failure::unanswered(false, "away")));
        }
        self.link_free = self.link_free.max(self.now) + bytes * SECOND / link;
        let arrives = self.link_free + way / 2;
        let back = |at: Nanos| at + way / 2;
        if self.random.u64(..100) < hangs {
            return (u64::MAX, Ok(Answer::delivered()));
        }
        if self.random.u64(..100) < refuses {
            return (back(arrives), Err(Failure::retry("no reason")));
        }
        if bytes > largest {
            return (back(arrives), Err(Failure::too_large("")));
        }
        if arrives < self.next_allowed {
            let wait = Duration::from_nanos(self.next_allowed - arrives);
            return (back(arrives), Err(Failure::retry_after(wait, "too often")));
        }
        if let Some((most, rate)) = room {
            let (since, filled) = self.room;
            let left = (arrives.saturating_sub(since) as f64 / SECOND as f64 * rate as f64) as u64;
            let filled = filled.saturating_sub(left);
            self.room = (arrives.max(since), filled);
            if filled + bytes > most {
                return (back(arrives), Err(Failure::retry("no room")));
            }
            self.room.1 = filled + bytes;
        }
        self.servers_free.resize(servers, 0);
        let are_waiting = self
            .servers_free
            .iter()
            .filter(|free| **free > arrives)
            .count();
        self.servers_free.sort_unstable();
        let free = self.servers_free[0];
        if free > arrives && queue == 0
            || are_waiting >= servers && (free - arrives) / request.max(1) >= queue as u64
        {
            return (back(arrives), Err(Failure::retry("too many")));
        }
        let work = request + bytes * SECOND / rate;
        let vary = 100 - jitter + self.random.u64(0..=2 * jitter);
        let done = free.max(arrives) + work / 100 * vary;
        self.servers_free[0] = done;
        self.next_allowed = arrives + every;
        (back(done), Ok(Answer::delivered()))
    }

    fn answer(&mut self) {
        let Some(Reverse((_, id))) = self.answers.pop() else {
            return;
        };
        let answer = self.verdicts.remove(&id).unwrap();
        self.refused += u64::from(answer.is_err());
        let event = Event::Answered { id, answer };
        let settled = self.core.on(self.now, event, 0.5);
        settled.into_iter().for_each(|settled| self.book(settled));
        // As the worker does after whatever it was woken for.
        self.collect();
    }

    fn book(&mut self, Settled { outcome, chunks }: Settled) {
        match outcome {
            Outcome::Delivered { records, .. } => self.delivered += records,
            Outcome::Rejected { .. } | Outcome::Dropped { .. } => panic!("{outcome:?}"),
            _ => {}
        }
        self.held -= chunks.len() as u64;
        let waits = chunks
            .iter()
            .map(|chunk| self.now - self.births[chunk.number as usize]);
        self.waits.extend(waits);
    }

    /// What was lost.
    pub(in super::super) fn lost(&self) -> u64 {
        self.evicted + self.not_taken
    }

    /// The bytes of so many records.
    pub(in super::super) fn bytes(&self, records: u64) -> u64 {
        records * self.chunk.len() as u64 / u64::from(RECORDS)
    }

    /// What of a hundred waits of chunks are not longer.
    pub(in super::super) fn wait(&self, hundredths: usize) -> Nanos {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let at = waits.len().saturating_sub(1) * hundredths / 100;
        waits.get(at).copied().unwrap_or_default()
    }
}
