//! The units of work whose instructions `.ci/instructions` counts, for the crate before a change and after it.
//!
//! ```text
//! instructions list              the settings
//! instructions SETTING STACK     runs the units of a setting, with the layer (`ours`) or one that does nothing (`none`)
//! ```
//!
//! With the feature `contexts` (`cargo build --release --features contexts`), `sampled` is with the bridge to OpenTelemetry's API built in
//! and unused, and `active` with its active contexts. With `bridges`, that to tracing-opentelemetry is built in, too;
//! with `both`, those to two versions of it.
//!
//! callgrind counts inside of [`measured`] alone and dumps after it, so that there is a file for each unit, in the order in which
//! their names are printed.

use std::collections::HashMap;
use std::process::exit;
use std::time::Duration;

use tracing::{field, info, info_span};
use tracing_otlp::{
    Answer, Builder, Context, Events, Guard, Redaction, Request, Sampler, Sending, SpanExt,
    Transport,
};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, registry};

/// Before it counts: enough that buffers come back to their pools, and that what is bounded is full.
const WARM_UP: i64 = 20_000;
const COUNTED: i64 = 5_000;

/// How the layer is built, and what runs with it.
struct Setting {
    name: &'static str,
    build: fn(Builder) -> Builder,
    /// Whether the collector answers.
    answers: bool,
    /// Whether all of it happens inside of a span that stays open.
    is_inside: bool,
    units: &'static [(&'static str, fn(i64))],
}

const SAMPLED: &[(&str, fn(i64))] = &[
    ("an empty span", empty_span),
    ("a request", request),
    ("a span with an event", event),
    ("a span with a late record", record),
    ("a parent with three children", children),
];

const SETTINGS: &[Setting] = &[
    Setting {
        name: "sampled",
        build: without_activation,
        answers: true,
        is_inside: false,
        units: SAMPLED,
    },
    #[cfg(feature = "contexts")]
    Setting {
        name: "active",
        build: |builder| builder,
        answers: true,
        is_inside: false,
        units: SAMPLED,
    },
    Setting {
        name: "logs",
        build: |builder| builder.with_events(Events::Logs),
        answers: true,
        is_inside: false,
        units: &[
            ("a log outside of spans", log),
            ("a span with a log", event),
        ],
    },
    Setting {
        name: "logs-in-span",
        build: |builder| builder.with_events(Events::Logs),
        answers: true,
        is_inside: true,
        units: &[
            ("a log in a span", log),
            ("a log without fields in a span", plain_log),
        ],
    },
    Setting {
        name: "redacted",
        build: |builder| builder.with_processor(Redaction::new()),
        answers: true,
        is_inside: false,
        units: &[
            ("an empty span that is looked into", empty_span),
            ("a text of 100 characters without secrets", clean_text),
            ("a text of 100 characters with an address", secret_text),
        ],
    },
    Setting {
        name: "unsampled",
        build: |builder| builder.with_sampler(Sampler::ratio(0.0)),
        answers: true,
        is_inside: false,
        units: &[
            ("a root that is not sampled", empty_span),
            ("a request that is not sampled", request),
            ("a root with its kind that is not sampled", server),
        ],
    },
    Setting {
        // Without the layer, each call looks for one in vain.
        name: "said",
        build: without_activation,
        answers: true,
        is_inside: false,
        units: &[
            ("a span with an attribute by name", attribute),
            ("a span that gets a parent", parent),
        ],
    },
    Setting {
        name: "tracked",
        build: |builder| builder.with_busy_and_idle(true),
        answers: true,
        is_inside: false,
        units: &[("a span whose times are noted", empty_span)],
    },
    Setting {
        name: "filtered",
        build: |builder| builder.with_filter(Targets::new().with_default(LevelFilter::OFF)),
        answers: true,
        is_inside: false,
        units: &[("a span that the filter refuses", empty_span)],
    },
    Setting {
        name: "full",
        build: |builder| builder.with_memory_limit(4 << 20),
        answers: false,
        is_inside: false,
        units: &[("a span that closes while the queue is full", empty_span)],
    },
];

/// So that bridges, where they are built in, have nothing to do.
fn without_activation(builder: Builder) -> Builder {
    #[cfg(feature = "contexts")]
    let builder = builder.with_context_activation(false);
    builder
}

fn empty_span(_: i64) {
    let _span = info_span!("empty").entered();
}

fn server(_: i64) {
    let _span = info_span!("server", otel.kind = "server").entered();
}

fn request(number: i64) {
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

fn event(number: i64) {
    let _span = info_span!("empty").entered();
    info!(rows = number & 7, "rows read");
}

fn log(number: i64) {
    info!(
        order.id = number,
        payment = "card",
        amount = 12.5,
        "order paid"
    );
}

fn plain_log(_: i64) {
    info!("order paid");
}

fn clean_text(_: i64) {
    let query = "SELECT name, price, created FROM orders JOIN items USING (item) WHERE state = 'paid' ORDER BY name, 1";
    let _span = info_span!("query", db.query.text = query).entered();
}

fn secret_text(_: i64) {
    let query = "SELECT name, price, created FROM orders WHERE customer = 'alice@example.com' AND state = 'paid' LIMIT";
    let _span = info_span!("query", db.query.text = query).entered();
}

fn record(number: i64) {
    let span = info_span!("GET /orders/{id}", http.response.status_code = field::Empty).entered();
    span.record("http.response.status_code", 200 + (number & 7));
}

fn attribute(number: i64) {
    let span = info_span!("empty");
    span.set_attribute("order.items", number & 7);
    let _span = span.entered();
}

fn parent(_: i64) {
    let span = info_span!("empty");
    let _ = span.set_parent(CALLER.with(Context::clone));
    let _span = span.entered();
}

thread_local! {
    /// Who calls, in another process.
    static CALLER: Context = {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        tracing_otlp::extract(&HashMap::from([("traceparent".to_owned(), header.to_owned())]))
    };
}

fn children(_: i64) {
    let _parent = info_span!("parent").entered();
    for _ in 0..3 {
        let _child = info_span!("child").entered();
    }
}

/// callgrind finds it by its name.
#[inline(never)]
fn measured(call: fn(i64)) {
    for number in 0..COUNTED {
        call(number);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => SETTINGS
            .iter()
            .for_each(|setting| println!("{}", setting.name)),
        [name, stack] => run(name, stack),
        _ => exit(2),
    }
    // Without the guard's farewell: a collector that never answers would be waited for.
    exit(0);
}

fn run(name: &str, stack: &str) {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
        exit(2);
    };
    let guard = (stack == "ours").then(|| install(setting));
    if guard.is_none() {
        registry().with(Nothing).init();
    }
    let _span = setting.is_inside.then(|| info_span!("around").entered());
    for (unit, call) in setting.units {
        for number in 0..WARM_UP {
            call(number);
        }
        // What the exporter holds of the last unit is not in the way of the next one.
        if let Some(guard) = guard.as_ref().filter(|_| setting.answers) {
            let _ = guard.handle().flush(Duration::from_secs(60));
        }
        measured(*call);
        println!("{unit}");
    }
    std::mem::forget(guard);
}

fn install(setting: &Setting) -> Guard {
    let builder = tracing_otlp::layer().with_transport(Sink {
        answers: setting.answers,
    });
    let built = (setting.build)(builder).build();
    let (layer, guard) = built.expect("the configuration is valid");
    registry().with(layer).init();
    guard
}

/// A layer that costs nothing.
struct Nothing;

impl Layer<Registry> for Nothing {}

struct Sink {
    answers: bool,
}

impl Transport for Sink {
    fn send(&self, _: Request) -> Sending {
        if self.answers {
            Box::pin(std::future::ready(Ok(Answer::delivered())))
        } else {
            Box::pin(std::future::pending())
        }
    }
}
