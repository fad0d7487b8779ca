//! The spans of some requests as trees, with their events, attributes and times.

use std::ops::Range;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::axis::{Axis, Paint, Style};

/// Columns: the label as wide as it must be, the time axis as wide as it can be, time, details.
const WIDTH: usize = 98;
const TIME: usize = 11;
const DETAILS: usize = 26;

/// One page: a tree for each trace, and one time axis for all.
pub(crate) fn draw(requests: &[ExportTraceServiceRequest], paint: Paint) -> String {
    let resources = || requests.iter().flat_map(|request| &request.resource_spans);
    let scopes = resources().flat_map(|resource| &resource.scope_spans);
    let spans: Vec<&Span> = scopes.flat_map(|scope| &scope.spans).collect();
    let service = resources()
        .filter_map(|resource| resource.resource.as_ref())
        .find_map(|resource| attribute(&resource.attributes, "service.name"))
        .unwrap_or_default();
    if spans.is_empty() {
        return "\n  nothing arrived\n\n".to_owned();
    }

    let is_root = |span: &&Span| {
        !spans
            .iter()
            .any(|other| other.span_id == span.parent_span_id)
    };
    let roots = spans.iter().copied().filter(is_root);
    let mut trees: Vec<Vec<Row>> = roots.map(|root| tree(root, &spans)).collect();
    trees.sort_by_key(|rows| rows[0].time.start);

    let labels = trees.iter().flatten().map(Row::label_width);
    let label = labels.max().unwrap_or(0).max(service.chars().count()) + 2;
    let axis = Axis::new(
        trees.iter().flatten().map(|row| row.time.clone()),
        WIDTH.saturating_sub(label + TIME + 2 + DETAILS).max(10),
    );
    let heading = paint.wrap(Style::Bold, &format!("{service:label$}"));
    let mut page = format!("\n  {heading}{}\n", paint.wrap(Style::Dim, &axis.numbers()));
    for rows in &trees {
        for row in rows {
            let line = row.draw(label, &axis, paint);
            page.extend(["  ", line.trim_end(), "\n"]);
        }
        page.push('\n');
    }
    page
}

/// A span, then its events and the trees of its children in the order of their start.
fn tree<'a>(span: &'a Span, spans: &[&'a Span]) -> Vec<Row<'a>> {
    let is_child = |other: &&&Span| other.parent_span_id == span.span_id;
    let children = spans
        .iter()
        .filter(is_child)
        .map(|child| tree(child, spans));
    let events = span.events.iter().map(|event| vec![Row::event(event)]);
    let mut branches: Vec<Vec<Row>> = children.chain(events).collect();
    branches.sort_by_key(|rows| rows[0].time.start);

    let mut rows = vec![Row::span(span)];
    let count = branches.len();
    for (index, branch) in branches.into_iter().enumerate() {
        let (corner, rail) = if index + 1 < count {
            ("├─ ", "│  ")
        } else {
            ("╰─ ", "   ")
        };
        for (line, mut row) in branch.into_iter().enumerate() {
            row.rails
                .insert_str(0, if line == 0 { corner } else { rail });
            rows.push(row);
        }
    }
    rows
}

struct Row<'a> {
    rails: String,
    name: &'a str,
    time: Range<u64>,
    kind: Kind<'a>,
    attributes: &'a [KeyValue],
}

enum Kind<'a> {
    Span { failure: Option<&'a str> },
    Event,
}

impl<'a> Row<'a> {
    fn span(span: &'a Span) -> Self {
        let status = span.status.as_ref();
        let failure = status.filter(|status| status.code() == StatusCode::Error);
        Self {
            rails: String::new(),
            name: &span.name,
            time: span.start_time_unix_nano..span.end_time_unix_nano,
            kind: Kind::Span {
                failure: failure.map(|status| status.message.as_str()),
            },
            attributes: &span.attributes,
        }
    }

    fn event(event: &'a Event) -> Self {
        Self {
            rails: String::new(),
            // An event without a message has the name of its callsite: "event src/main.rs:12".
            name: match event.name.strip_prefix("event ") {
                Some(place) => place.rsplit(['/', '\\']).next().unwrap_or(place),
                None => &event.name,
            },
            time: event.time_unix_nano..event.time_unix_nano,
            kind: Kind::Event,
            attributes: &event.attributes,
        }
    }

    fn label_width(&self) -> usize {
        let mark = if matches!(self.kind, Kind::Event) {
            2
        } else {
            0
        };
        self.rails.chars().count() + mark + self.name.chars().count()
    }

    fn draw(&self, label: usize, axis: &Axis, paint: Paint) -> String {
        let style = self.style();
        let (name, bar, time) = match self.kind {
            Kind::Span { .. } => (
                paint.wrap(Style::Bold, self.name),
                axis.bar(&self.time, style, paint),
                format!(
                    "{:.1} ms",
                    axis.milliseconds(self.time.end) - axis.milliseconds(self.time.start)
                ),
            ),
            Kind::Event => (
                paint.wrap(style, &format!("◆ {}", self.name)),
                axis.mark(self.time.start, style, paint),
                format!("at {:.1} ms", axis.milliseconds(self.time.start)),
            ),
        };
        let rails = paint.wrap(Style::Dim, &self.rails);
        let gap = " ".repeat(label - self.label_width());
        format!(
            "{rails}{name}{gap}{bar}{time:>TIME$}  {}",
            self.details(paint)
        )
    }

    fn style(&self) -> Style {
        let level = attribute(self.attributes, "level").unwrap_or_default();
        match (&self.kind, level.as_str()) {
            (Kind::Span { failure: Some(_) }, _) | (Kind::Event, "ERROR") => Style::Red,
            (Kind::Event, "WARN") => Style::Yellow,
            (Kind::Event, _) => Style::Magenta,
            (Kind::Span { .. }, _) => match self.rails.chars().count() / 3 {
                0 => Style::Blue,
                1 => Style::Cyan,
                _ => Style::Green,
            },
        }
    }

    /// The reason of a failure, then attributes, as far as there is room.
    fn details(&self, paint: Paint) -> String {
        let mut words = Vec::new();
        let mut room = DETAILS;
        if let Kind::Span {
            failure: Some(reason),
        } = self.kind
        {
            let reason = if reason.is_empty() { "error" } else { reason };
            let reason = cut(format!("✗ {reason}"), room);
            room = room.saturating_sub(reason.chars().count() + 1);
            words.push(paint.wrap(Style::Red, &reason));
        }
        for attribute in self
            .attributes
            .iter()
            .filter(|attribute| is_key(&attribute.key))
        {
            let key = format!("{}=", attribute.key.trim_start_matches("exception."));
            let left = room.saturating_sub(key.chars().count());
            if left < 2 {
                break;
            }
            let value = cut(text(attribute.value.as_ref()), left);
            room = left.saturating_sub(value.chars().count() + 1);
            words.push(paint.wrap(Style::Dim, &key) + &value);
        }
        words.join(" ")
    }
}

/// Each span says where its code is, and each event its level: useful, but not the story.
fn is_key(name: &str) -> bool {
    let aside = ["code.", "exception.stacktrace", "level", "target"];
    !aside.iter().any(|prefix| name.starts_with(prefix))
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(text(found.value.as_ref()))
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn cut(text: String, room: usize) -> String {
    if text.chars().count() <= room {
        return text;
    }
    text.chars()
        .take(room.saturating_sub(1))
        .chain(['…'])
        .collect()
}
