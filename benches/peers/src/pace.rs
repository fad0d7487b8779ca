//! Runs a workload at a steady rate, and takes the CPU time of its thread.

use std::fmt;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The shortest sleep; the system's timer slack makes shorter ones no more exact.
const TICK: Duration = Duration::from_millis(1);

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    /// CPU time of this thread inside the workload, without the sleeps.
    pub thread_cpu: Duration,
    /// From the first iteration to the end of the last.
    pub wall: Duration,
}

/// When a run's work is due.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Without a pause.
    Full,
    /// This many a second, as evenly as sleeps allow.
    Even(u64),
    /// This many a second in bursts of [`BURST`].
    ///
    /// A sleep costs some 50 microseconds of CPU on a virtual machine, and the clock reads around
    /// a burst half a microsecond; both should be small beside the work.
    Bursts(u64),
}

/// Iterations of a burst: short beside the smallest queue that is measured, 2,048 spans.
pub const BURST: u64 = 500;

/// Runs `work` for each number below `count`.
///
/// A run that falls behind its schedule catches up without a pause.
pub fn run(count: u64, pace: Pace, mut work: impl FnMut(u64)) -> Paced {
    let begin = Instant::now();
    let (burst, tick) = pace.schedule(count);
    let mut thread_cpu = Duration::ZERO;
    let mut done = 0;
    let mut due = begin;
    while done < count {
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            thread::sleep(wait);
        }
        let until = count.min(done + burst);
        let before = thread_cpu_time();
        for index in done..until {
            work(index);
        }
        thread_cpu += thread_cpu_time() - before;
        done = until;
        due += tick;
    }
    Paced {
        thread_cpu,
        wall: begin.elapsed(),
    }
}

impl Pace {
    /// The size of a burst, and the time from one to the next.
    fn schedule(self, count: u64) -> (u64, Duration) {
        let (rate, burst) = match self {
            Self::Full => return (count, Duration::ZERO),
            Self::Even(rate) => (rate, (rate as f64 * TICK.as_secs_f64()).ceil() as u64),
            Self::Bursts(rate) => (rate, BURST),
        };
        (burst, Duration::from_secs_f64(burst as f64 / rate as f64))
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => formatter.write_str("full"),
            Self::Even(rate) => write!(formatter, "even:{rate}"),
            Self::Bursts(rate) => write!(formatter, "bursts:{rate}"),
        }
    }
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rate) = text.split_once(':').unwrap_or((text, "0"));
        match (kind, rate.parse()) {
            ("full", _) => Ok(Self::Full),
            ("even", Ok(rate)) => Ok(Self::Even(rate)),
            ("bursts", Ok(rate)) => Ok(Self::Bursts(rate)),
            _ => Err(format!("no pace is {text}")),
        }
    }
}

/// CPU time of the calling thread.
pub fn thread_cpu_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time of all threads of this process, those that ended included.
pub fn process_cpu_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    // Neither part is negative on a CPU-time clock.
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_pace_has_a_tick_and_bursts_a_size() {
        assert_eq!(Pace::Full.schedule(7), (7, Duration::ZERO));
        let even = Pace::Even(400_000).schedule(7);
        assert_eq!(even, (400, Duration::from_millis(1)));
        let bursts = Pace::Bursts(10_000).schedule(7);
        assert_eq!(bursts, (BURST, Duration::from_millis(50)));
    }

    #[test]
    fn every_number_is_run_once() {
        let mut seen = Vec::new();
        run(250, Pace::Even(100_000), |index| seen.push(index));
        assert_eq!(seen, (0..250).collect::<Vec<_>>());
    }

    #[test]
    fn a_pace_survives_an_argument() {
        for pace in [Pace::Full, Pace::Even(3), Pace::Bursts(5)] {
            let text = pace.to_string();
            let parsed: Result<Pace, _> = text.parse();
            assert_eq!(parsed.map(|pace| pace.to_string()), Ok(text));
        }
    }
}
