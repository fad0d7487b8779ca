//! Random log records, against the same naive writer.

use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};

use super::*;

fn records() -> impl Strategy<Value = LogRecord> {
    let times = (any::<u64>(), any::<u64>());
    let severity = (prop_oneof![Just(0), any::<i32>()], text());
    let said = (option::of(values()), attributes(), number());
    let ids = (number(), id(), id(), text());
    (times, severity, said, ids).prop_map(|(times, severity, said, ids)| LogRecord {
        time_unix_nano: times.0,
        observed_time_unix_nano: times.1,
        severity_number: severity.0,
        severity_text: severity.1,
        body: said.0,
        attributes: said.1,
        dropped_attributes_count: said.2,
        flags: ids.0,
        trace_id: ids.1,
        span_id: ids.2,
        event_name: ids.3,
    })
}

fn data() -> impl Strategy<Value = LogsData> {
    let scopes = (option::of(scope()), vec(records(), 0..3), text());
    let scopes = scopes.prop_map(|(scope, log_records, schema_url)| ScopeLogs {
        scope,
        log_records,
        schema_url,
    });
    let resources = (option::of(resource()), vec(scopes, 0..3), text());
    let resources = resources.prop_map(|(resource, scope_logs, schema_url)| ResourceLogs {
        resource,
        scope_logs,
        schema_url,
    });
    vec(resources, 0..3).prop_map(|resource_logs| LogsData { resource_logs })
}

fn written(encoded: &[u8]) -> String {
    let mut out = Vec::new();
    request(Signal::Logs, encoded, &mut out).expect("it is well-formed");
    String::from_utf8(out).expect("UTF-8")
}

proptest! {
    #[test]
    fn the_json_of_logs_is_what_a_naive_writer_makes_of_prosts_types(data in data()) {
        let text = written(&data.encode_to_vec());
        prop_assert_eq!(parsed(&text), parsed(&naive_logs(&data).to_string()));
    }

    #[test]
    fn fields_of_logs_may_stand_in_any_order(data in data(), seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let encoded = scattered(&schema::LOGS, &data.encode_to_vec(), &mut |most| random.usize(..most));
        prop_assert_eq!(written(&encoded), written(&data.encode_to_vec()));
    }

    /// As the encoder does it: what is known last stands last.
    #[test]
    fn fields_of_a_log_that_stand_twice_are_merged(records in vec(records(), 1..4)) {
        let encoded: Vec<u8> = records.iter().flat_map(LogRecord::encode_to_vec).collect();
        let merged = LogRecord::decode(&encoded[..]).expect("a message");
        let mut out = Vec::new();
        put(&schema::LOG_RECORD, &encoded, 0, &mut out).expect("it is well-formed");
        let text = String::from_utf8(out).expect("UTF-8");
        prop_assert_eq!(parsed(&text), parsed(&naive_record(&merged).to_string()));
    }

    #[test]
    fn any_bytes_are_malformed_logs_or_become_json(bytes: Vec<u8>) {
        let mut out = Vec::new();
        if request(Signal::Logs, &bytes, &mut out).is_ok() {
            let parsed: Result<Value, _> = serde_json::from_slice(&out);
            prop_assert!(parsed.is_ok(), "{:?}", parsed);
        }
    }
}

fn naive_logs(data: &LogsData) -> Value {
    object(|o| {
        o.list("resourceLogs", &data.resource_logs, |logs| {
            object(|o| {
                o.one("resource", &logs.resource, naive_resource);
                o.list("scopeLogs", &logs.scope_logs, naive_scope_logs);
                o.text("schemaUrl", &logs.schema_url);
            })
        });
    })
}

fn naive_scope_logs(logs: &ScopeLogs) -> Value {
    object(|o| {
        o.one("scope", &logs.scope, naive_scope);
        o.list("logRecords", &logs.log_records, naive_record);
        o.text("schemaUrl", &logs.schema_url);
    })
}

fn naive_record(record: &LogRecord) -> Value {
    object(|o| {
        o.long("timeUnixNano", record.time_unix_nano);
        o.long("observedTimeUnixNano", record.observed_time_unix_nano);
        o.number("severityNumber", record.severity_number);
        o.text("severityText", &record.severity_text);
        o.one("body", &record.body, naive_value);
        o.list("attributes", &record.attributes, naive_attribute);
        o.short("droppedAttributesCount", record.dropped_attributes_count);
        o.short("flags", record.flags);
        o.id("traceId", &record.trace_id);
        o.id("spanId", &record.span_id);
        o.text("eventName", &record.event_name);
    })
}
