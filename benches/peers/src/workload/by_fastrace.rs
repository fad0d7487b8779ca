//! The workloads for fastrace, in its own idiom: a root [`Span`] with a random context, local
//! spans below it, properties in one call.
//!
//! Its attributes are strings only, so a number is formatted by the application. Target and
//! location are attributes that `tracing`'s callsites carry by themselves; here they are constant
//! strings.

use std::borrow::Cow;

use fastrace::Event;
use fastrace::prelude::{LocalSpan, Span, SpanContext};

type Property = (&'static str, Cow<'static, str>);

/// What the layers of the other stacks add to each span.
macro_rules! callsite {
    () => {
        [
            ("target", Cow::Borrowed(module_path!())),
            ("code.file.path", Cow::Borrowed(file!())),
            ("code.line.number", Cow::Borrowed(concat!(line!()))),
            ("code.module.name", Cow::Borrowed(module_path!())),
        ]
    };
}

pub(super) fn empty_span(_: i64) {
    let _span = Span::root("empty", SpanContext::random()).with_properties(|| callsite!());
}

pub(super) fn request(number: i64) {
    let request = Span::root("GET /orders/{id}", SpanContext::random())
        .with_properties(|| callsite!())
        .with_properties(|| -> [Property; 4] {
            [
                ("http.request.method", "GET".into()),
                ("http.route", "/orders/{id}".into()),
                ("http.response.status_code", "200".into()),
                ("order.id", number.to_string().into()),
            ]
        });
    let _request = request.set_local_parent();
    let _query = LocalSpan::enter_with_local_parent("SELECT orders")
        .with_properties(|| callsite!())
        .with_properties(|| -> [Property; 4] {
            [
                ("db.system.name", "postgresql".into()),
                ("db.query.text", "SELECT * FROM orders WHERE id = $1".into()),
                ("db.response.returned_rows", (number & 7).to_string().into()),
                ("cached", "false".into()),
            ]
        });
    LocalSpan::add_event(
        Event::new("rows read").with_property(|| ("rows", (number & 7).to_string())),
    );
}

pub(super) fn ten_attributes(number: i64) {
    let _span = Span::root("GET /orders/{id}", SpanContext::random())
        .with_properties(|| callsite!())
        .with_properties(|| -> [Property; 10] {
            [
                ("http.request.method", "GET".into()),
                ("http.route", "/orders/{id}".into()),
                ("http.response.status_code", "200".into()),
                ("server.address", "orders.example.com".into()),
                ("server.port", "443".into()),
                ("network.protocol.version", "2".into()),
                ("user_agent.original", "bench/1.0".into()),
                ("order.id", number.to_string().into()),
                ("order.total", "12.5".into()),
                ("cached", "false".into()),
            ]
        });
}

pub(super) fn event_in_span(number: i64) {
    let span = Span::root("empty", SpanContext::random()).with_properties(|| callsite!());
    span.add_event(Event::new("rows read").with_property(|| ("rows", (number & 7).to_string())));
}

pub(super) fn disabled_span(number: i64) {
    let _span = LocalSpan::enter_with_local_parent("refused")
        .with_property(|| ("order.id", number.to_string()));
}
