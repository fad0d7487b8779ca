//! The logs that arrived, one a line.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

pub(crate) fn lines(requests: &[ExportLogsServiceRequest]) -> Vec<String> {
    let resources = requests.iter().flat_map(|request| &request.resource_logs);
    let scopes = resources.flat_map(|resource| &resource.scope_logs);
    scopes
        .flat_map(|scope| &scope.log_records)
        .map(line)
        .collect()
}

fn line(log: &LogRecord) -> String {
    let body = log.body.as_ref().and_then(|body| body.value.as_ref());
    let text = match body {
        Some(Value::StringValue(text)) => text,
        _ => &log.event_name,
    };
    let (trace, span) = (hex(&log.trace_id), hex(&log.span_id));
    format!("{} {text:?} trace {trace} span {span}", log.severity_text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
