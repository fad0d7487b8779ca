//! The fields that are no attributes: `otel.name`, `otel.kind`, `otel.status_code`, `otel.status_description`.

use tracing::field::{Empty, Value};
use tracing::{Span, error, info, info_span, warn};

use super::callsite::{self, Shape};
use crate::support::layer::{Attributed, int, record};

const UNSET: (i32, &str) = (0, "");
const OK: (i32, &str) = (1, "");
const FAILED: (i32, &str) = (2, "");

/// SpanKind.
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;

#[test]
fn special_fields_are_no_attributes() {
    let spans = record(|| {
        let span = info_span!(
            "declared",
            otel.name = "GET /",
            otel.kind = "server",
            otel.status_code = "error",
            otel.status_description = "broken",
            plain = 1
        );
        drop(span);
    });
    let span = spans.named("GET /");
    assert_eq!(span.own_keys(), ["plain"]);
    assert_eq!((span.kind, span.status()), (SERVER, (2, "broken")));
}

/// All orders of the four fields, and in each order any number of them recorded late: the order says nothing, but that Ok
/// is final and that an error's description is kept.
#[test]
fn special_fields_come_in_any_order_at_once_or_late() {
    for code in ["ok", "ERROR", "unset"] {
        let fields = [
            ("otel.name", "renamed"),
            ("otel.kind", "Server"),
            ("otel.status_code", code),
            ("otel.status_description", "why"),
        ];
        for order in orders(fields) {
            let metadata = Shape::with_fields("declared", order.map(|(name, _)| name)).span();
            let spans = record(|| (0..=4).for_each(|late| drop(open(metadata, order, late))));
            assert_eq!(spans.all_named("renamed").len(), 5, "{order:?}");
            let status = if code == "ok" { OK } else { (2, "why") };
            for (late, span) in spans.iter().enumerate() {
                let found = (span.kind, span.status(), span.own_keys());
                assert_eq!(found, (SERVER, status, vec![]), "{late} late of {order:?}");
            }
        }
    }
}

/// The last `late` fields are recorded one by one.
fn open(
    metadata: &'static tracing::Metadata<'static>,
    fields: [(&str, &'static str); 4],
    late: usize,
) -> Span {
    let early = fields.len() - late;
    let values: Vec<_> = fields
        .iter()
        .map(|(_, value)| value as &dyn Value)
        .collect();
    let at_once = (0..4)
        .map(|at| (at < early).then_some(values[at]))
        .collect();
    let span = callsite::open(metadata, &at_once);
    for (name, value) in &fields[early..] {
        span.record(*name, *value);
    }
    span
}

fn orders<T: Copy>(items: [T; 4]) -> impl Iterator<Item = [T; 4]> {
    let places = (0..4_usize.pow(4))
        .map(|number| [number / 64, number / 16 % 4, number / 4 % 4, number % 4]);
    let distinct = |places: &[usize; 4]| (0..4).all(|place| places.contains(&place));
    places
        .filter(distinct)
        .map(move |places| places.map(|place| items[place]))
}

#[test]
fn kinds_are_known_in_any_case() {
    for (name, kind) in [
        ("internal", 1),
        ("server", 2),
        ("CLIENT", 3),
        ("Producer", 4),
        ("cOnSuMeR", 5),
    ] {
        let spans = record(|| {
            drop(info_span!("span", otel.kind = name));
            drop(info_span!("span", otel.kind = %name));
            info_span!("span", otel.kind = Empty).record("otel.kind", name);
        });
        assert!(spans.iter().all(|span| span.kind == kind), "{name}");
    }
}

#[test]
fn spec_1_12_a_kind_that_is_unknown_or_absent_is_internal() {
    let spans = record(|| {
        for name in ["", "serve", "server ", "2", "unspecified"] {
            drop(info_span!("span", otel.kind = name));
            info_span!("span", otel.kind = "server").record("otel.kind", name);
        }
        drop(info_span!("span", otel.kind = Empty));
        drop(info_span!("span"));
    });
    assert_eq!(spans.len(), 12);
    assert!(spans.iter().all(|span| span.kind == INTERNAL));
}

#[test]
fn the_name_is_the_last_one_recorded() {
    let spans = record(|| {
        let span = info_span!("declared", otel.name = "first");
        span.in_scope(|| info!("started"));
        span.record("otel.name", "second");
        span.record("otel.name", tracing::field::debug("third"));
        info_span!("empty", otel.name = Empty).record("other", 1);
    });
    assert_eq!(spans.names(), ["empty", "\"third\""]);
}

#[test]
fn the_kind_is_the_last_one_recorded() {
    let spans = record(|| {
        let span = info_span!("span", otel.kind = "client", otel.name = Empty);
        span.record("otel.kind", "producer");
        span.record("otel.kind", "server");
    });
    assert_eq!(spans.only().kind, SERVER);
}

/// What is no text cannot name anything; it is kept as the attribute that it would be elsewhere.
#[test]
fn special_fields_that_are_no_text_are_attributes() {
    let spans = record(|| {
        drop(info_span!(
            "span",
            otel.name = 1,
            otel.kind = 2,
            otel.status_code = 3
        ));
    });
    let span = spans.only();
    assert_eq!(
        (&*span.name, span.kind, span.status()),
        ("span", INTERNAL, UNSET)
    );
    assert_eq!(span.value("otel.kind"), int(2));
}

/// Code and description after these fields were recorded one after the other.
fn status(steps: &[(&str, &str)]) -> (i32, String) {
    let spans = record(|| {
        let span = info_span!(
            "span",
            otel.status_code = Empty,
            otel.status_description = Empty
        );
        for (field, value) in steps {
            span.record(*field, *value);
        }
    });
    let (code, description) = spans.only().status();
    (code, description.to_owned())
}

#[test]
fn spec_7_4_the_status_is_ordered() {
    let code = |value| ("otel.status_code", value);
    let why = |value| ("otel.status_description", value);
    let cases = [
        (vec![], UNSET),
        (vec![code("unset")], UNSET),
        (vec![code("bad name")], UNSET),
        (vec![code("OK")], OK),
        (vec![code("ok"), code("unset")], OK),
        (vec![code("ok"), code("error"), why("ignored")], OK),
        (vec![why("ignored"), code("ok")], OK),
        (vec![code("error"), code("unset")], FAILED),
        (vec![why("a"), code("error")], (2, "a")),
        // 7.5: the last call of the same code counts.
        (vec![why("a"), why("b")], (2, "b")),
    ];
    for (steps, (code, description)) in cases {
        assert_eq!(status(&steps), (code, description.to_owned()), "{steps:?}");
    }
}

#[test]
fn an_error_event_fails_its_span() {
    let spans = record(|| {
        info_span!("failed").in_scope(|| error!("no"));
        info_span!("warned").in_scope(|| warn!("hm"));
        let outer = info_span!("outer").entered();
        info_span!("inner").in_scope(|| error!("no"));
        drop(outer);
        let explicit = info_span!("explicit");
        error!(parent: &explicit, "no");
    });
    assert_eq!(spans.named("failed").status(), FAILED);
    assert_eq!(spans.named("inner").status(), FAILED);
    assert_eq!(spans.named("explicit").status(), FAILED);
    assert_eq!(spans.named("warned").status(), UNSET);
    assert_eq!(spans.named("outer").status(), UNSET);
}

#[test]
fn an_error_event_changes_no_status_that_is_set() {
    let spans = record(|| {
        info_span!("fine", otel.status_code = "ok").in_scope(|| error!("handled"));
        info_span!("described", otel.status_description = "why").in_scope(|| error!("no"));
        let late = info_span!(
            "late",
            otel.status_code = Empty,
            otel.status_description = Empty
        );
        late.in_scope(|| error!("no"));
        late.record("otel.status_description", "why");
        let mended = info_span!("mended", otel.status_code = Empty);
        mended.in_scope(|| error!("no"));
        mended.record("otel.status_code", "ok");
    });
    assert_eq!(spans.named("fine").status(), OK);
    assert_eq!(spans.named("described").status(), (2, "why"));
    assert_eq!(spans.named("late").status(), (2, "why"));
    assert_eq!(spans.named("mended").status(), OK);
}
