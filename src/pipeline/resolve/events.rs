//! What becomes of events: span events, log records, both, or nothing.

use crate::config::{ExceptionSignal, Logs, Origin, Setting};
use crate::env::Environment;
use crate::layer::{EventRule, Events, Routing};
use crate::pipeline::builder::Recorded;
use crate::pipeline::explain::Explanation;

/// What becomes of events, and of exceptions among them where the code has not said it.
pub(super) fn routing(
    code: &Recorded,
    logs: &Logs,
    environment: &Environment,
    explained: &mut Explanation,
) -> Routing {
    let events = Setting::of_code(code.events, "Builder::with_events", Events::default());
    explained.state("record.events", events.value.name(), events.origin);
    if !code.event_rules.is_empty() {
        let rules: Vec<_> = code.event_rules.iter().map(EventRule::to_string).collect();
        let origin = Origin::Code("Builder::with_event_rule");
        explained.state("record.event_rules", rules.join(", "), origin);
    }
    let exceptions = exceptions(events, environment);
    explained.state(
        "record.exceptions",
        exceptions.value.name(),
        exceptions.origin,
    );
    Routing {
        rules: code.event_rules.clone(),
        events: events.value,
        exceptions: (exceptions.value != events.value).then_some(exceptions.value),
        minimum_severity: logs.minimum_severity,
    }
}

/// "Code beats the environment": the variable holds where the code has not said what becomes of events.
fn exceptions(events: Setting<Events>, environment: &Environment) -> Setting<Events> {
    let signal = environment.exception_signal;
    match signal {
        Some(signal) if !matches!(events.origin, Origin::Code(_)) => {
            let as_events = match signal.value {
                ExceptionSignal::SpanEvents => Events::SpanEvents,
                ExceptionSignal::Logs => Events::Logs,
                ExceptionSignal::LogsDup => Events::Both,
            };
            Setting::new(as_events, signal.origin)
        }
        _ => events,
    }
}
