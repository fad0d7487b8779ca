//! Ours where not every trace is kept: chosen by the head, and chosen by the tail.

use std::fmt;
use std::io;
use std::str::FromStr;

use peers::receiver::Receiver;
use peers::stack::{Sampler, Settings, Stack};
use peers::table::{Table, median, thousands};

use crate::application::Plan;
use crate::compare::Options;

/// Which traces are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    All,
    /// This part, as the sampler says when they begin.
    Head(f64),
    /// This part, and what fails, as is known when they end.
    Tail(f64),
}

impl Keep {
    const COMPARED: [Self; 3] = [Self::All, Self::Head(0.1), Self::Tail(0.1)];

    pub(crate) fn settings(self, settings: Settings) -> Settings {
        match self {
            Self::All => settings,
            Self::Head(ratio) => Settings {
                sampler: Sampler::Ratio(ratio),
                ..settings
            },
            Self::Tail(ratio) => Settings {
                tail: Some(ratio),
                ..settings
            },
        }
    }

    fn title(self) -> String {
        match self {
            Self::All => "every trace".into(),
            Self::Head(ratio) => format!("{ratio} of the traces, head sampling"),
            Self::Tail(ratio) => format!("{ratio} of the traces, tail sampling"),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Head(ratio) => write!(f, "head:{ratio}"),
            Self::Tail(ratio) => write!(f, "tail:{ratio}"),
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} says not which traces to keep");
        if text == "all" {
            return Ok(Self::All);
        }
        let (who, ratio) = text.split_once(':').ok_or_else(wrong)?;
        let ratio = ratio.parse().map_err(|_| wrong())?;
        match who {
            "head" => Ok(Self::Head(ratio)),
            "tail" => Ok(Self::Tail(ratio)),
            _ => Err(wrong()),
        }
    }
}

/// Runs each way once, then all again.
pub(crate) fn table(options: &Options) -> io::Result<Table> {
    let mut receiver = Receiver::start()?;
    let mut reports = Keep::COMPARED.map(|_| Vec::new());
    for _ in 0..options.runs {
        for (keep, its) in Keep::COMPARED.into_iter().zip(&mut reports) {
            let plan = Plan {
                keep,
                ..options.paced
            };
            its.push(plan.run(Stack::Ours, &mut receiver)?);
        }
    }
    let mut table = Table::new([
        "tracing-otlp, request",
        "app ns",
        "process ns",
        "spans that arrived",
        "peak memory, MiB",
    ]);
    for (keep, reports) in Keep::COMPARED.into_iter().zip(&reports) {
        let of = |name| median(reports.iter().map(|report| report.get(name)).collect());
        table.row(vec![
            keep.title(),
            thousands(of("app_ns")),
            thousands(of("process_ns")),
            format!("{:.1} %", 100.0 * of("delivered") / of("made")),
            format!("{:.1}", of("peak") / f64::from(1 << 20)),
        ]);
    }
    Ok(table)
}
