//! The ids of a trace on what people read: a format for `tracing_subscriber::fmt`.

use std::any::type_name;
use std::fmt;

use tracing_core::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::reach;
use crate::context::SpanContext;

/// Shows the trace's and the span's id on each line that `tracing_subscriber`'s `fmt` layer writes in a span, so that a line leads
/// to its trace: ` trace_id=.. span_id=..` behind a text, and `"trace_id"`, `"span_id"` and `"trace_flags"` beside the other keys
/// of JSON (specification, trace context in non-OTLP log formats). In lowercase hexadecimal digits.
///
/// The ids are those of the log record: of the event's explicit parent, else of the current span. It finds the layer that records the span
/// as [`SpanExt`](crate::SpanExt) does, through any wrapper, and in any order of the layers. A line takes an allocation or two.
///
/// ```
/// use tracing_otlp::WithTraceIds;
/// use tracing_subscriber::fmt;
/// use tracing_subscriber::prelude::*;
///
/// let people = fmt::layer().compact().map_event_format(WithTraceIds::new);
/// let subscriber = tracing_subscriber::registry().with(people);
/// # drop(subscriber);
/// ```
#[derive(Clone, Debug)]
pub struct WithTraceIds<F, T> {
    plain: Format<F, T>,
    coloured: Format<F, T>,
}

impl<F: Clone, T: Clone> WithTraceIds<F, T> {
    /// The same format, with ids. Whether it is coloured is up to the `fmt` layer.
    pub fn new(format: Format<F, T>) -> Self {
        Self {
            plain: format.clone(),
            coloured: format.with_ansi(true),
        }
    }
}

impl<S, N, F, T> FormatEvent<S, N> for WithTraceIds<F, T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Format<F, T>: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let format = if writer.has_ansi_escapes() {
            &self.coloured
        } else {
            &self.plain
        };
        let Some(span) = span_of(context, event) else {
            return format.format_event(context, writer, event);
        };
        let mut line = String::new();
        format.format_event(context, Writer::new(&mut line), event)?;
        let text = line.trim_end_matches('\n');
        let end = line.get(text.len()..).unwrap_or_default();
        let is_json = type_name::<F>().ends_with("::Json");
        match text.strip_suffix('}').filter(|_| is_json) {
            Some(json) => put_json(&mut writer, json, &span)?,
            None => {
                let (trace, span) = (span.trace_id(), span.span_id());
                write!(writer, "{text} trace_id={trace} span_id={span}")?;
            }
        }
        writer.write_str(end)
    }
}

fn put_json(writer: &mut Writer<'_>, object: &str, span: &SpanContext) -> fmt::Result {
    let comma = if object.ends_with('{') { "" } else { "," };
    let (trace, id, flags) = (span.trace_id(), span.span_id(), span.flags().bits());
    write!(
        writer,
        "{object}{comma}\"trace_id\":\"{trace}\",\"span_id\":\"{id}\",\"trace_flags\":\"{flags:02x}\"}}"
    )
}

/// Who the span is that an event belongs to.
fn span_of<S, N>(context: &FmtContext<'_, S, N>, event: &Event<'_>) -> Option<SpanContext>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    if event.is_root() {
        return None;
    }
    let current = context.current_span();
    let id = event.parent().or_else(|| current.id())?;
    let found = reach::while_dispatched(id, || context.span(id))?;
    found.span().cloned()
}
