//! The ids of a trace on the lines that people read.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::subscriber::with_default;
use tracing::{Subscriber, info, info_span};
use tracing_otlp::{Events, OtlpLayer, WithTraceIds};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt, reload};

use crate::support::layer::{Logs, Signals, Spans};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn all(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines, and what was exported, of an event in a span, one with an explicit parent, and one outside.
fn shown<S: Subscriber + Send + Sync>(
    subscriber: impl FnOnce(Lines, OtlpLayer) -> S,
) -> (Vec<String>, Spans, Logs) {
    let lines = Lines::default();
    let (layer, signals) = Signals::with(|builder| builder.with_events(Events::Logs));
    with_default(subscriber(lines.clone(), layer), || {
        let other = info_span!("other");
        info_span!("span").in_scope(|| {
            info!("inside");
            info!(parent: &other, "explicit");
            info!(parent: None, "root");
        });
    });
    let (spans, logs) = signals.exported();
    (lines.all(), spans, logs)
}

fn check_text((lines, spans, logs): (Vec<String>, Spans, Logs)) {
    for (line, (body, span)) in lines
        .iter()
        .zip([("inside", "span"), ("explicit", "other")])
    {
        let span = spans.named(span);
        logs.of(body).assert_in(span);
        let (trace, span) = (hex(&span.trace_id), hex(&span.span_id));
        let end = format!("{body} trace_id={trace} span_id={span}");
        assert!(line.ends_with(&end), "{line}: {end}");
    }
    assert!(lines.len() == 3 && lines[2].ends_with("root"), "{lines:?}");
}

/// A layer for people.
fn people<S>(lines: Lines) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let people = fmt::layer().with_writer(lines).with_ansi(false);
    people.map_event_format(WithTraceIds::new)
}

/// In any order of the layers, and through any wrapper.
#[test]
fn spec_8_14_a_line_of_text_ends_with_the_ids() {
    let registry = tracing_subscriber::registry;
    check_text(shown(|lines, otlp| {
        registry().with(people(lines)).with(otlp)
    }));
    check_text(shown(|lines, otlp| {
        registry().with(otlp).with(people(lines))
    }));
    check_text(shown(|lines, otlp| {
        registry().with(people(lines)).with(Some(otlp))
    }));
    check_text(shown(|lines, otlp| {
        let otlp = reload::Layer::new(otlp).0;
        registry().with(otlp).with(people(lines))
    }));
    check_text(shown(|lines, otlp| {
        let otlp = otlp.with_filter(LevelFilter::INFO);
        registry()
            .with(people(lines).with_filter(LevelFilter::INFO))
            .with(otlp)
    }));
}

#[test]
fn spec_8_14_a_line_of_json_has_the_ids_beside_its_other_keys() {
    let (lines, spans, _) = shown(|lines, otlp| {
        let people = fmt::layer().json().with_writer(lines);
        let people = people.map_event_format(WithTraceIds::new);
        tracing_subscriber::registry().with(people).with(otlp)
    });
    let lines: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let span = spans.named("span");
    assert_eq!(lines[0]["trace_id"], hex(&span.trace_id));
    assert_eq!(lines[0]["span_id"], hex(&span.span_id));
    assert_eq!(
        lines[0]["trace_flags"],
        format!("{:02x}", span.flags & 0xFF)
    );
    assert_eq!(lines[0]["fields"]["message"], "inside");
    assert!(lines[2].get("trace_id").is_none());
}

#[test]
fn a_line_is_coloured_as_the_layer_says() {
    let coloured = |ansi| {
        let (lines, ..) = shown(move |lines, otlp| {
            let people = fmt::layer().with_writer(lines).with_ansi(ansi);
            let people = people.map_event_format(WithTraceIds::new);
            tracing_subscriber::registry().with(people).with(otlp)
        });
        lines.iter().all(|line| line.contains('\u{1b}'))
    };
    assert!(coloured(true) && !coloured(false));
}
