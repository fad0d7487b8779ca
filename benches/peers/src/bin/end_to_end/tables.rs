//! What is printed.

use peers::chart::{self, Group};
use peers::machine;
use peers::stack::Stack;
use peers::table::{Table, thousands};

use crate::compare::Outcome;

/// A row for each stack.
pub(crate) fn main(results: &[Outcome]) -> Table {
    let mut table = Table::new([
        "end to end, request",
        "app ns",
        "process ns",
        "lost in these runs",
        "allocations a span, app",
        "allocations a span, process",
        "full speed, spans/s",
        "delivered",
        "dropped",
        "peak memory, MiB",
        "highest rate without a loss, spans/s",
    ]);
    for result in results {
        let exports = result.stack.exports();
        let or_dash = |text: String| if exports { text } else { "-".into() };
        table.row(vec![
            result.stack.title().into(),
            thousands(result.app_ns),
            thousands(result.process_ns),
            or_dash(thousands(result.paced_lost)),
            format!("{:.3}", result.allocations.0),
            format!("{:.3}", result.allocations.1),
            thousands(result.full_speed),
            or_dash(percent(result.delivered / result.made)),
            or_dash(thousands(result.made - result.delivered)),
            format!("{:.0}", result.peak / f64::from(1 << 20)),
            highest(result),
        ]);
    }
    table
}

/// Each stack beside tracing-opentelemetry with the same attributes.
pub(crate) fn relative(results: &[Outcome]) -> Table {
    let mut table = Table::new([
        "tracing-opentelemetry, same attributes = 1",
        "app",
        "process",
        "process, without the no-op layer's",
        "highest rate",
    ]);
    let of = |stack| results.iter().find(|result| result.stack == stack);
    let (Some(theirs), Some(no_op)) = (of(Stack::OpenTelemetry), of(Stack::NoOp)) else {
        return table;
    };
    let rate = |result: &Outcome| result.highest.map_or(f64::NAN, |highest| highest.rate);
    for result in results.iter().filter(|r| r.stack.exports()) {
        let added = result.process_ns - no_op.process_ns;
        table.row(vec![
            result.stack.title().into(),
            format!("{:.3}", result.app_ns / theirs.app_ns),
            format!("{:.3}", result.process_ns / theirs.process_ns),
            format!("{:.3}", added / (theirs.process_ns - no_op.process_ns)),
            format!("{:.2}", rate(result) / rate(theirs)),
        ]);
    }
    table
}

/// The CPU of each stack, as a bar chart.
pub(crate) fn chart(results: &[Outcome]) -> String {
    let group = |title: &str, value: fn(&Outcome) -> f64| {
        let mut group = Group::new(title);
        for result in results {
            let is_ours = result.stack == Stack::Ours;
            group.bar(result.stack.title(), value(result), is_ours);
        }
        group
    };
    let groups = [
        group(
            "CPU time of the application's thread, ns a request",
            |result| result.app_ns,
        ),
        group("CPU time of the process, ns a request", |result| {
            result.process_ns
        }),
    ];
    chart::svg(&groups, &machine::description())
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

fn highest(result: &Outcome) -> String {
    match result.highest {
        None => "-".into(),
        Some(highest) if highest.limited_by_application => {
            format!("{} (the thread fell behind)", thousands(highest.rate))
        }
        Some(highest) => thousands(highest.rate),
    }
}
