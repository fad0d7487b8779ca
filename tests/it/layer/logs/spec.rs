//! What a log record is made of.

use std::error::Error;
use std::{fmt, io};

use tracing::{Level, debug, error, event, info, info_span, instrument, trace, warn};
use tracing_otlp::{
    Context, Events, Sampler, Signal, SpanContext, SpanId, TraceFlags, TraceId, TraceState,
    with_remote_parent,
};

use crate::support::layer::{Attributed, exported_with, int, logged, text, texts, truth};

#[test]
fn spec_8_1_severity_is_number_and_text_of_the_level() {
    let (_, logs) = logged(|| {
        trace!("1");
        debug!("5");
        info!("9");
        warn!("13");
        error!("17");
    });
    assert_eq!(logs.len(), 5);
    for log in logs.iter() {
        assert_eq!(log.severity_number.to_string(), log.text());
    }
    assert_eq!(logs.of("13").severity_text, "WARN");
}

#[test]
fn spec_8_2_the_message_is_the_body() {
    let (_, logs) = logged(|| {
        let name = "n";
        info!(a = 1, "hello {name}");
        info!(message = "text", b = true);
        info!(c = 3);
    });
    let log = logs.of("hello n");
    assert_eq!((log.own_keys(), log.value("a")), (vec!["a"], int(1)));
    assert_eq!(logs.of("text").value("b"), truth(true));
    let log = logs.of("");
    assert!(log.body.is_none() && log.value("c") == int(3));
}

#[test]
fn spec_8_2_the_body_is_of_any_type() {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let (_, logs) = logged(|| {
        info!(message = 5);
        info!(message = true);
        info!(message = 1.5);
        info!(message = &b"abc"[..]);
        info!(message = u128::MAX);
    });
    let found = logs.iter().map(|log| log.body.clone()?.value);
    let expected = [
        Value::IntValue(5),
        Value::BoolValue(true),
        Value::DoubleValue(1.5),
        Value::BytesValue(b"abc".to_vec()),
        Value::StringValue(u128::MAX.to_string()),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected.map(Some));
    assert!(logs.iter().all(|log| log.own_keys().is_empty()));
}

/// `error.type` is a text, of HTTP the status code.
#[test]
fn spec_7_7_the_class_of_an_error_may_be_given_by_its_number() {
    for events in [Events::SpanEvents, Events::Logs] {
        let settings = |builder: tracing_otlp::Builder| builder.with_events(events);
        let (spans, _) = exported_with(settings, || {
            info_span!("span").in_scope(|| error!(error.type = 404, "not found"));
        });
        assert_eq!(spans.named("span").value("error.type"), text("404"));
    }
}

#[test]
fn spec_8_2_the_last_of_two_messages_is_the_body() {
    let (_, logs) = logged(|| info!(message = "first", "second"));
    assert_eq!(logs.only().own_keys(), [""; 0]);
    assert_eq!(
        logs.only().text().len(),
        "first".len().max("second".len()) - usize::from(logs.only().text() == "first")
    );
}

#[test]
fn spec_8_3_and_8_4_both_times_are_when_it_happened() {
    let (spans, logs) = logged(|| {
        let _span = info_span!("span").entered();
        info!("first");
        info!("second");
    });
    let span = spans.only();
    let times = [
        span.start_time_unix_nano,
        logs.of("first").time_unix_nano,
        logs.of("second").observed_time_unix_nano,
        span.end_time_unix_nano,
    ];
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn spec_8_5_only_the_program_names_an_event() {
    let (_, logs) = logged(|| {
        info!("none");
        info!(event.name = "order.placed", "field");
        info!(name: "order.paid", "name");
        info!(name: "order.sent", { event.name = "order.shipped" }, "both");
        info!(event.name = 7, "number");
    });
    let name = |body: &str| &*logs.of(body).event_name;
    assert_eq!(name("none"), "");
    assert_eq!(name("field"), "order.placed");
    assert_eq!(name("name"), "order.paid");
    assert_eq!(name("both"), "order.shipped");
    assert_eq!(name("number"), "");
    assert!(!logs.of("field").has("event.name"));
    assert_eq!(logs.of("number").value("event.name"), int(7));
}

#[test]
fn spec_8_6_ids_are_those_of_the_explicit_parent_or_the_current_span() {
    let (spans, logs) = logged(|| {
        info!("outside");
        let other = info_span!("other");
        let _span = info_span!("span").entered();
        info!("current");
        info!(parent: &other, "explicit");
        info!(parent: None, "nowhere");
    });
    logs.of("current").assert_in(spans.named("span"));
    logs.of("explicit").assert_in(spans.named("other"));
    assert!(logs.of("outside").has_no_ids() && logs.of("nowhere").has_no_ids());
    assert_eq!(spans.named("span").events.len(), 0);
}

#[test]
fn spec_8_6_a_log_in_a_span_that_is_not_sampled_has_its_ids_without_the_flag() {
    let never = |builder: tracing_otlp::Builder| {
        builder
            .with_events(Events::Both)
            .with_sampler(Sampler::always_off())
    };
    let (spans, logs) = exported_with(never, || {
        let _span = info_span!("span").entered();
        info_span!("child").in_scope(|| error!("inside"));
        info!("beside");
    });
    assert_eq!(spans.len(), 0);
    let (inside, beside) = (logs.of("inside"), logs.of("beside"));
    assert_eq!(inside.trace_id, beside.trace_id);
    assert_ne!(inside.span_id, beside.span_id);
    assert_eq!((inside.flags & 1, inside.trace_id.len()), (0, 16));
}

fn caller() -> SpanContext {
    let ids = TraceId::from_bytes([1; 16]).zip(SpanId::from_bytes([2; 8]));
    let (trace, span) = ids.unwrap();
    SpanContext::remote(trace, span, TraceFlags::SAMPLED, TraceState::default())
}

/// "From the resolved Context": that of the caller, where there is no span of this process.
#[test]
fn spec_8_6_outside_of_spans_the_remote_parent_counts() {
    let (_, logs) = logged(|| {
        with_remote_parent(&Context::from(caller()), || info!("served"));
        info!("after");
    });
    let log = logs.of("served");
    assert_eq!(
        (&log.trace_id[..], &log.span_id[..]),
        (&[1; 16][..], &[2; 8][..])
    );
    assert_eq!(log.flags, 1);
    assert!(logs.of("after").has_no_ids());
}

#[test]
fn spec_8_7_and_8_13_the_target_is_the_scope_whatever_it_is() {
    let (_, logs) = logged(|| {
        info!(target: "shop", "named");
        info!(target: "", "empty");
        info!("module");
    });
    assert_eq!(logs.of("named").scope, "shop");
    assert_eq!(logs.of("empty").scope, "");
    assert_eq!(logs.of("module").scope, module_path!());
    let log = logs.of("named");
    assert!(!log.has("target") && !log.has("level"));
    assert_eq!(log.value("code.module.name"), text(module_path!()));
    assert_eq!(log.value("code.file.path"), text(file!()));
    assert!(log.has("code.line.number"));
    let service = log.resource.value("service.name");
    assert_eq!(service, text("test"));
}

#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn spec_8_8_an_error_gives_the_attributes_of_an_exception_and_the_programs_win() {
    let source = Outer(io::Error::other("inner"));
    let error = &source as &(dyn Error + 'static);
    let (_, logs) = logged(|| {
        warn!(cause = error, "derived");
        warn!(cause = error, exception.message = "mine", "own");
        warn!(
            cause = error,
            first = &io::Error::other("two") as &(dyn Error + 'static),
            "two"
        );
    });
    let log = logs.of("derived");
    assert_eq!(log.value("cause"), text("outer"));
    assert_eq!(log.value("cause.chain"), texts(&["inner"]));
    assert_eq!(log.value("exception.message"), text("outer"));
    assert_eq!(log.value("exception.stacktrace"), text("inner"));
    assert_eq!(log.event_name, "");
    assert_eq!(logs.of("own").value("exception.message"), text("mine"));
    let log = logs.of("two");
    assert_eq!(
        (log.value("cause"), log.value("first")),
        (text("outer"), text("two"))
    );
    assert_eq!(log.value("exception.message"), text("two"));
}

#[test]
fn spec_8_9_and_14_5_a_returned_error_is_a_log_named_exception_and_fails_its_span() {
    #[instrument(err)]
    fn fails() -> Result<(), &'static str> {
        Err("broken")
    }
    let (spans, logs) = logged(|| {
        assert!(fails().is_err());
        info_span!("typed").in_scope(|| {
            error!(name: "pay.exception", error = "no", error.type = "timeout");
        });
    });
    let log = &logs[0];
    assert_eq!((&*log.event_name, log.severity_number), ("exception", 17));
    assert_eq!(log.own_keys(), ["exception.message"]);
    assert_eq!(log.value("exception.message"), text("broken"));
    log.assert_in(spans.named("fails"));
    assert_eq!(spans.named("fails").status(), (2, "broken"));
    assert_eq!(spans.named("fails").value("error.type"), text("_OTHER"));
    let log = &logs[1];
    assert_eq!(log.event_name, "pay.exception");
    assert_eq!(log.value("exception.type"), text("timeout"));
    assert_eq!(spans.named("typed").value("error.type"), text("timeout"));
    assert!(spans.iter().all(|span| span.events.is_empty()));
}

#[test]
fn an_event_of_the_level_error_fails_its_span_also_where_it_is_a_log() {
    let (spans, _) = logged(|| info_span!("span").in_scope(|| error!("no")));
    assert_eq!(spans.only().status(), (2, ""));
}

#[test]
fn spec_8_12_a_key_stands_once() {
    let (_, logs) = logged(|| {
        info!(a = 1, b = 2, a = 3, "twice");
        info!(code.line.number = 7, "constant");
    });
    let log = logs.of("twice");
    assert_eq!((log.value("a"), log.value("b")), (int(3), int(2)));
    assert_eq!(logs.of("constant").value("code.line.number"), int(7));
}

/// The bytes of a log outside of spans and of one inside, from the run's head on.
#[test]
fn the_bytes_of_a_log_of_each_shape() {
    use crate::support::layer::Signals;
    use tracing_subscriber::prelude::*;

    let settings =
        |builder: tracing_otlp::Builder| builder.with_events(Events::Logs).with_location(false);
    let (layer, signals) = Signals::with(settings);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info!(target: "t", v = 5, "hi");
        let _span = info_span!("span").entered();
        event!(target: "t", Level::WARN, event.name = "e.n", error = "no");
    });
    let (spans, logs) = signals.exported();
    let request = signals.requests(Signal::Logs).concat();
    let head = |time: u64| {
        let time = time.to_le_bytes();
        [&[0x09][..], &time, &[0x59], &time].concat()
    };
    let span = spans.only();
    let outside = [
        &head(logs[0].time_unix_nano)[..],
        b"\x10\x09\x1A\x04INFO\x2A\x04\x0A\x02hi\x32\x07\x0A\x01v\x12\x02\x18\x05",
    ]
    .concat();
    let inside = [
        &head(logs[1].time_unix_nano)[..],
        b"\x4A\x10",
        &span.trace_id,
        b"\x52\x08",
        &span.span_id,
        b"\x45\x03\0\0\0\x10\x0D\x1A\x04WARN\x62\x03e.n",
        b"\x32\x19\x0A\x11exception.message\x12\x04\x0A\x02no",
    ]
    .concat();
    let run: Vec<u8> = [outside, inside]
        .iter()
        .flat_map(|log| [&[0x12, u8::try_from(log.len()).unwrap()], &log[..]].concat())
        .collect();
    let scope = [&[0x0A, 3, 0x0A, 1, b't'], &run[..]].concat();
    assert!(request.ends_with(&scope), "{request:02x?}\n{scope:02x?}");
}
