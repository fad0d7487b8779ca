//! A time axis of some columns, with bars and marks on it; and the styles of a terminal.

use std::io::IsTerminal;
use std::ops::Range;
use std::{env, iter};

/// Times are nanoseconds since the epoch, as OTLP has them.
pub(crate) struct Axis {
    start: u64,
    /// Milliseconds, above zero.
    length: f64,
    columns: usize,
}

impl Axis {
    /// From the first start to the last end.
    pub(crate) fn new(times: impl Iterator<Item = Range<u64>> + Clone, columns: usize) -> Self {
        let start = times.clone().map(|time| time.start).min().unwrap_or(0);
        let end = times.map(|time| time.end).max().unwrap_or(0);
        let length = end.saturating_sub(start).max(1) as f64 / 1e6;
        Self {
            start,
            length,
            columns,
        }
    }

    /// From the start of the axis.
    pub(crate) fn milliseconds(&self, time: u64) -> f64 {
        time.saturating_sub(self.start) as f64 / 1e6
    }

    /// The numbers to write above the bars, the first with the unit.
    pub(crate) fn numbers(&self) -> String {
        self.ticks().fold(String::new(), |line, (column, number)| {
            let unit = if number == 0.0 { " ms" } else { "" };
            format!("{line:column$}{number}{unit}")
        })
    }

    /// From start to end in steps of half a column, and one step at least.
    pub(crate) fn bar(&self, time: &Range<u64>, style: Style, paint: Paint) -> String {
        let step =
            |time| (self.milliseconds(time) / self.length * 2.0 * self.columns as f64).round();
        let first = (step(time.start) as usize).min(2 * self.columns - 1);
        let end = (step(time.end) as usize).max(first + 1);
        let dashes: String = (first / 2..end.div_ceil(2))
            .map(|column| match (first <= 2 * column, 2 * column + 1 < end) {
                (true, true) => '━',
                (true, false) => '╸',
                (false, _) => '╺',
            })
            .collect();
        self.place(first / 2, &dashes, style, paint)
    }

    pub(crate) fn mark(&self, time: u64, style: Style, paint: Paint) -> String {
        let column = self.milliseconds(time) / self.length * self.columns as f64;
        self.place((column as usize).min(self.columns - 1), "◆", style, paint)
    }

    /// The text at its column, and the lines of the grid on both sides.
    fn place(&self, column: usize, text: &str, style: Style, paint: Paint) -> String {
        let ticks: Vec<usize> = self.ticks().map(|(column, _)| column).collect();
        let cell = |column| if ticks.contains(&column) { '┊' } else { ' ' };
        let left: String = (0..column).map(cell).collect();
        let right: String = (column + text.chars().count()..self.columns)
            .map(cell)
            .collect();
        [(Style::Dim, &*left), (style, text), (Style::Dim, &*right)]
            .map(|(style, text)| paint.wrap(style, text))
            .concat()
    }

    /// Columns and numbers of the grid: steps of 1, 2 or 5 times a power of ten, at most five.
    fn ticks(&self) -> impl Iterator<Item = (usize, f64)> {
        let decade = 10_f64.powf((self.length / 5.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
        let fits = steps.into_iter().find(|step| step * 5.0 >= self.length);
        let step = fits.unwrap_or(self.length);
        iter::successors(Some(0.0), move |number| Some(number + step))
            .take_while(|number| *number < self.length)
            .map(|number| {
                (
                    (number / self.length * self.columns as f64) as usize,
                    number,
                )
            })
    }
}

/// The codes of ANSI escape sequences.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Blue = 34,
    Magenta = 35,
    Cyan = 36,
}

/// Escape sequences, or none.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours on a terminal, unless the user wants none (<https://no-color.org>).
    pub(crate) fn for_stdout() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            on: std::io::stdout().is_terminal() && !unwanted,
        }
    }

    pub(crate) fn wrap(self, style: Style, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", style as u8)
    }
}
