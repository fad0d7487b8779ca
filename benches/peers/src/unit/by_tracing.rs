//! The units as far as `tracing` goes: all that the no-op layer sees of them.

use tracing::{Span, error, info, info_span};

use crate::workload::with_attributes;

pub(super) fn empty_span(_: i64) {
    let _span = info_span!("empty").entered();
}

pub(super) fn span(number: i64) {
    let _span = new_span(number).entered();
}

pub(super) fn server_span(number: i64) {
    let _span = new_server_span(number).entered();
}

/// Five spans.
pub(super) fn trace(number: i64) {
    let _root = new_span(number).entered();
    (0..4).for_each(|_| span(number));
}

/// Five spans, of which the last child fails.
pub(super) fn failing_trace(number: i64) {
    let _root = new_span(number).entered();
    (0..3).for_each(|_| span(number));
    let _failed = info_span!(
        "GET /orders/{id}",
        otel.status_code = "ERROR",
        http.request.method = "GET",
        order.id = number,
    )
    .entered();
}

/// A root, unless a span is entered.
pub(super) fn new_span(number: i64) -> Span {
    info_span!(
        "GET /orders/{id}",
        http.request.method = "GET",
        order.id = number,
    )
}

/// One that says that it is likely to get a parent from another process.
pub(super) fn new_server_span(number: i64) -> Span {
    info_span!(
        "GET /orders/{id}",
        otel.kind = "server",
        http.request.method = "GET",
        order.id = number,
    )
}

/// Its name begins with [`HEALTH`](crate::stack::HEALTH).
pub(super) fn health(number: i64) {
    let _span = info_span!(
        "GET /healthz",
        http.request.method = "GET",
        order.id = number,
    )
    .entered();
}

thread_local! {
    static CAUSES: [Span; 2] = [info_span!(parent: None, "cause"), info_span!(parent: None, "cause")];
}

pub(super) fn follows_from(number: i64) {
    let span = new_span(number);
    CAUSES.with(|causes| {
        for cause in causes {
            span.follows_from(cause);
        }
    });
    let _span = span.entered();
}

/// As `#[instrument(err)]` does.
pub(super) fn error(number: i64) {
    let _span = new_span(number).entered();
    error!(error = %"the order is not there");
}

pub(super) fn text(number: i64) {
    const TEXT: &str = "SELECT id, state, total, currency, created_at, updated_at FROM orders WHERE id = $1 AND tenant = $2.";
    const { assert!(TEXT.len() == 100) };
    let _span = info_span!("SELECT orders", db.query.text = TEXT, order.id = number).entered();
}

pub(super) fn attributes(number: i64) {
    let _span = with_attributes(16, number).entered();
}

pub(super) fn events(number: i64) {
    let _span = new_span(number).entered();
    for row in 0..8 {
        info!(rows = number & row, "rows read");
    }
}

pub(super) fn large(number: i64) {
    const LARGE: &str = {
        const BYTES: [u8; 2_000] = [b'x'; 2_000];
        match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => "",
        }
    };
    let _span = info_span!("POST /orders", order.id = number, body = LARGE).entered();
}
