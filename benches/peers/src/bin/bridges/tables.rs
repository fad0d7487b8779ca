//! Three tables of one measure.

use peers::table::{Table, thousands};

use super::Measured;
use super::case::{Call, Case, Work};

/// `measure`: what is measured.
pub(crate) fn print(measure: &str, measured: &Measured) {
    for table in [
        unused(measure, measured),
        active(measure, measured),
        called(measure, measured),
    ] {
        println!("{}", table.markdown());
    }
}

/// What a case adds to the no-op layer; a unit without `tracing` stands for itself.
fn added(measured: &Measured, case: &Case, work: &str) -> Option<f64> {
    let each = measured.get(&(case.name, work))?;
    let no_op = measured.get(&(Case::NO_OP.name, work)).unwrap_or(&0.0);
    Some(each - no_op)
}

fn cell(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), thousands)
}

fn unused(measure: &str, measured: &Measured) -> Table {
    let mut table = Table::new([
        &*format!("{measure} added to the no-op layer, nobody uses a bridge"),
        "none built in",
        "that to the API",
        "that to the trait, too",
    ]);
    for work in [Work::EMPTY, Work::TWO, Work::FIVE] {
        let cells = [Case::WITHOUT, Case::CONTEXTS, Case::BOTH]
            .map(|case| cell(added(measured, &case, work.name)));
        table.row([&[work.name.to_owned()][..], &cells].concat());
    }
    table
}

/// Beside what is built in and switched off.
fn active(measure: &str, measured: &Measured) -> Table {
    let mut table = Table::new([
        &*format!("{measure} added to the no-op layer, spans are active contexts"),
        "tracing-otlp",
        "of it",
        "tracing-opentelemetry",
        "of it",
    ]);
    for work in [Work::EMPTY, Work::AGAIN, Work::TWO, Work::FIVE] {
        let cells = [
            (Case::ACTIVE, Case::BOTH),
            (Case::THEIRS_ACTIVE, Case::THEIRS),
        ]
        .map(|(on, off)| {
            let [on, off] = [on, off].map(|case| added(measured, &case, work.name));
            [on, on.zip(off).map(|(on, off)| on - off)].map(cell)
        });
        table.row([&[work.name.to_owned()][..], &cells.concat()].concat());
    }
    table
}

/// Beside a span on which nothing is called.
fn called(measure: &str, measured: &Measured) -> Table {
    let mut table = Table::new([
        &*format!("{measure} added to the no-op layer, a bridge is called"),
        "tracing-otlp",
        "of it",
        "tracing-opentelemetry and SDK",
        "of it",
    ]);
    let is_called = |work: &&Work| !matches!(work.call, Call::Tracing(_));
    for work in Work::ALL.iter().filter(is_called) {
        let cells = [Case::BOTH, Case::THEIRS].map(|case| {
            let all = added(measured, &case, work.name);
            let other = work.beside.and_then(|other| added(measured, &case, other));
            [all, all.zip(other).map(|(all, other)| all - other)].map(cell)
        });
        table.row([&[work.name.to_owned()][..], &cells.concat()].concat());
    }
    table
}
