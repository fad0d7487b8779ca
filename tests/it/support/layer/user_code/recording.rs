//! Fields that record while they are formatted.

use std::cell::Cell;
use std::fmt;

use tracing::field::{Empty, debug};
use tracing::{Span, info, info_span};

use super::super::{Attributed, int, text};
use super::{Played, Stage};

/// Runs something, then says "done".
struct Runs<F: Fn()>(F);

impl<F: Fn()> fmt::Debug for Runs<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)();
        f.write_str("done")
    }
}

pub(crate) fn an_event_inside_a_late_field_is_recorded(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let span = info_span!("span", late = Empty).entered();
        span.record("late", debug(Runs(|| info!(a = 1, "inside"))));
        info!("afterwards");
    });
    let span = spans.only();
    assert_eq!(span.value("late"), text("done"));
    assert_eq!(span.event_names(), ["inside", "afterwards"]);
    assert_eq!(span.event("inside").value("a"), int(1));
}

pub(crate) fn an_event_inside_a_field_is_recorded_once<S: Stage>(stage: &S) {
    let spans = stage.spans(|| {
        let _outer = info_span!("outer").entered();
        let span = info_span!("span", field = ?Runs(|| info!("inside a span")));
        span.in_scope(|| info!(field = ?Runs(|| info!("inside an event")), "event"));
    });
    assert_eq!(spans.named("span").value("field"), text("done"));
    let event = spans.named("span").event("event");
    assert_eq!(event.value("field"), text("done"));
    if S::IS_GLOBAL {
        assert_eq!(spans.named("outer").event_names(), ["inside a span"]);
        assert_eq!(
            spans.named("span").event_names(),
            ["inside an event", "event"]
        );
    } else {
        assert_eq!(spans.named("outer").event_names(), [""; 0]);
        assert_eq!(spans.named("span").event_names(), ["event"]);
    }
}

pub(crate) fn a_span_inside_a_field_is_recorded<S: Stage>(stage: &S) {
    let opens = || Runs(|| info_span!("inside", a = 1).in_scope(|| info!("deep inside")));
    let spans = stage.spans(|| {
        let span = info_span!("late", late = Empty).entered();
        span.record("late", debug(opens()));
        if S::IS_GLOBAL {
            info!(field = ?opens(), "event");
            drop(info_span!("new", field = ?opens()));
        }
    });
    let inside = spans.all_named("inside");
    assert_eq!(inside.len(), if S::IS_GLOBAL { 3 } else { 1 });
    for inside in inside {
        inside.assert_child_of(spans.named("late"));
        assert_eq!(inside.value("a"), int(1));
        assert_eq!(inside.event_names(), ["deep inside"]);
    }
    assert_eq!(spans.named("late").value("late"), text("done"));
}

/// An event inside an event's field, and so on.
struct Events(u32);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0 {
            info!(field = ?Self(self.0 - 1), "event {}", self.0);
        }
        f.write_str("written")
    }
}

pub(crate) fn events_inside_events_are_bounded<S: Stage>(stage: &S) {
    let spans = stage.spans(|| {
        let _span = info_span!("span").entered();
        info!(field = ?Events(9), "event 10");
    });
    let span = spans.only();
    if S::IS_GLOBAL {
        // Four levels; the fifth is counted, and its field is not formatted.
        assert_eq!(
            span.event_names(),
            ["event 7", "event 8", "event 9", "event 10"]
        );
        assert_eq!(span.dropped_events_count, 1);
    } else {
        assert_eq!(span.event_names(), ["event 10"]);
    }
    for event in &span.events {
        assert_eq!(event.value("field"), text("written"));
    }
}

/// A span inside a span's field, and so on.
struct Opens(u32);

impl fmt::Debug for Opens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0 {
            let span = info_span!("inner", depth = self.0, field = ?Self(self.0 - 1));
            span.in_scope(|| drop(info_span!("child")));
        }
        f.write_str("written")
    }
}

pub(crate) fn spans_inside_spans_are_bounded<S: Stage>(stage: &S) {
    let Played { spans, reentrant } = stage.play(|_| drop(info_span!("outer", field = ?Opens(9))));
    if S::IS_GLOBAL {
        assert_eq!(spans.all_named("inner").len(), 3);
        // The fourth and its child are counted; three children are recorded.
        assert_eq!(reentrant, 2);
        assert_eq!(spans.all_named("child").len(), 3);
    } else {
        assert_eq!((spans.len(), reentrant), (1, 0));
    }
    assert_eq!(spans.named("outer").value("field"), text("written"));
}

/// A late field inside a late field, each of a span of its own. `tracing` hides these nowhere.
struct Late<'s>(&'s [Span]);

impl fmt::Debug for Late<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((span, rest)) = self.0.split_first() {
            span.record("late", debug(Self(rest)));
        }
        f.write_str("written")
    }
}

pub(crate) fn late_fields_inside_late_fields_are_bounded(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let spans: Vec<_> = (0..10)
            .map(|number| info_span!("span", number, late = Empty))
            .collect();
        spans[0].record("late", debug(Late(&spans[1..])));
    });
    assert_eq!(spans.len(), 10);
    for span in spans.iter() {
        let is_recorded = (0..4).any(|number| span.value("number") == int(number));
        let expected = if is_recorded { text("written") } else { None };
        assert_eq!(span.value("late"), expected, "{:?}", span.value("number"));
    }
}

pub(crate) fn a_field_may_enter_and_record_its_own_span(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let span = info_span!(
            "span",
            a = Empty,
            b = Empty,
            otel.name = Empty,
            otel.status_code = Empty
        );
        let touches = || {
            span.in_scope(|| info!("inside"));
            span.record("b", 2)
                .record("otel.name", "renamed")
                .record("otel.status_code", "ok");
            span.follows_from(&span);
            span.in_scope(|| drop(info_span!("child")));
        };
        span.record("a", debug(Runs(touches)));
    });
    let span = spans.named("renamed");
    assert_eq!((span.value("a"), span.value("b")), (text("done"), int(2)));
    assert_eq!(span.status(), (1, ""));
    assert_eq!(span.event_names(), ["inside"]);
    assert_eq!(span.links[0].span_id, span.span_id);
    spans.named("child").assert_child_of(span);
}

/// What is written last counts: the outer value, which is merged when its formatting is over.
pub(crate) fn a_field_may_record_itself(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let span = info_span!("span", a = Empty);
        let records = || {
            span.record("a", "inner");
        };
        span.record("a", debug(Runs(records)));
    });
    assert_eq!(spans.only().value("a"), text("done"));
}

pub(crate) fn a_field_may_close_another_span(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let span = info_span!("span", a = Empty);
        let other = Cell::new(Some(info_span!("other")));
        span.record("a", debug(Runs(|| drop(other.take()))));
    });
    // It closed first.
    assert_eq!(spans.names(), ["other", "span"]);
    assert_eq!(spans.named("span").value("a"), text("done"));
}

/// Recorded by the id, while the handle is dropped inside: nothing is left to be merged into.
pub(crate) fn a_field_may_close_its_own_span(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let span = info_span!("span", a = 1);
        let fields = span.metadata().unwrap().fields();
        let owned = Cell::new(Some(span.clone()));
        let value = debug(Runs(|| drop(owned.take())));
        let value = Some(&value as &dyn tracing::field::Value);
        let (id, dispatch) = span
            .with_subscriber(|(id, dispatch)| (id.clone(), dispatch.clone()))
            .unwrap();
        drop(span);
        dispatch.record(
            &id,
            &tracing::span::Record::new(&fields.value_set_all(&[value])),
        );
    });
    assert_eq!(spans.only().value("a"), int(1));
}
