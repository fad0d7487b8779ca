//! The workloads for the stacks behind `tracing`.

use tracing::{info, info_span};

pub(super) fn empty_span(_: i64) {
    let _span = info_span!("empty").entered();
}

pub(super) fn request(number: i64) {
    let _request = info_span!(
        "GET /orders/{id}",
        http.request.method = "GET",
        http.route = "/orders/{id}",
        http.response.status_code = 200_i64,
        order.id = number,
    )
    .entered();
    let _query = info_span!(
        "SELECT orders",
        db.system.name = "postgresql",
        db.query.text = "SELECT * FROM orders WHERE id = $1",
        db.response.returned_rows = number & 7,
        cached = false,
    )
    .entered();
    info!(rows = number & 7, "rows read");
}

pub(super) fn ten_attributes(number: i64) {
    let _span = info_span!(
        "GET /orders/{id}",
        http.request.method = "GET",
        http.route = "/orders/{id}",
        http.response.status_code = 200_i64,
        server.address = "orders.example.com",
        server.port = 443_i64,
        network.protocol.version = "2",
        user_agent.original = "bench/1.0",
        order.id = number,
        order.total = 12.5,
        cached = false,
    )
    .entered();
}

pub(super) fn event_in_span(number: i64) {
    let _span = info_span!("empty").entered();
    info!(rows = number & 7, "rows read");
}

pub(super) fn disabled_span(number: i64) {
    // The target stands here as a literal: a callsite's metadata is constant.
    let _span = info_span!(target: "refused", "refused", order.id = number).entered();
}
