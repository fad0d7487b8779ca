//! What the code of users does inside a field: each scenario with what must come of it.
//!
//! They run twice: under a scoped subscriber, where `tracing` itself hides what is recorded inside a span's or an event's
//! own fields, and under the global one, where it does not.

mod harmful;
mod large;
mod panicking;
mod recording;

use tracing_otlp::{DropReason, Handle};

use super::{Pipeline, Spans};

pub(crate) use self::harmful::*;
pub(crate) use self::large::*;
pub(crate) use self::panicking::*;
pub(crate) use self::recording::*;

/// Runs a scenario under a subscriber.
pub(crate) trait Stage {
    /// Whether what is recorded inside the fields of a new span or of an event reaches the layer.
    const IS_GLOBAL: bool;

    /// What came of `work`, which gets a handle to its pipeline.
    fn play(&self, work: impl FnOnce(&Handle)) -> Played;

    fn spans(&self, work: impl FnOnce()) -> Spans {
        let Played { spans, reentrant } = self.play(|_| work());
        assert_eq!(reentrant, 0);
        spans
    }
}

pub(crate) struct Played {
    pub(crate) spans: Spans,
    /// Spans that were counted and left out, since they were opened too deep inside fields.
    pub(crate) reentrant: u64,
}

impl Played {
    /// Plays `work` on a pipeline that others have used before.
    pub(crate) fn on(pipeline: &Pipeline, work: impl FnOnce(&Handle)) -> Self {
        let handle = pipeline.handle();
        let before = handle.stats();
        work(&handle);
        let (spans, after) = pipeline.take_with_stats();
        let reentrant =
            after.dropped_for(DropReason::Reentrant) - before.dropped_for(DropReason::Reentrant);
        assert_eq!(after.dropped() - before.dropped(), reentrant, "{after}");
        Self { spans, reentrant }
    }
}

/// A test for each scenario, on the stage `STAGE` of the caller.
macro_rules! scenarios {
    ($($scenario:ident)+) => {
        macro_rules! user_code_tests {
            () => {$(
                #[test]
                fn $scenario() {
                    user_code::$scenario(&STAGE);
                }
            )+};
        }
        pub(crate) use user_code_tests;
    };
}

scenarios! {
    a_panic_costs_its_field_only
    a_panic_costs_its_message_only
    what_was_written_before_a_panic_is_taken_back
    a_panic_beyond_the_limit_leaves_its_placeholder
    a_panic_while_unwinding_is_caught
    a_panics_payload_may_panic_and_record
    an_error_may_panic
    an_event_inside_a_late_field_is_recorded
    an_event_inside_a_field_is_recorded_once
    a_span_inside_a_field_is_recorded
    events_inside_events_are_bounded
    spans_inside_spans_are_bounded
    late_fields_inside_late_fields_are_bounded
    a_field_may_enter_and_record_its_own_span
    a_field_may_record_itself
    a_field_may_close_another_span
    a_field_may_close_its_own_span
    a_field_may_flush
    a_circular_chain_ends
    a_value_without_end_stops_at_the_limit
    a_value_that_does_not_stop_costs_nothing_more
}
