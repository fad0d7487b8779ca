//! `ExportTraceServiceResponse` (trace_service.proto) and `ExportLogsServiceResponse` (logs_service.proto), which have the same
//! fields: from a server that is not trusted.

use super::wire::{Content, Malformed, Reader};

/// Export{Trace,Logs}ServiceResponse.partial_success.
const PARTIAL_SUCCESS: u32 = 1;
/// ExportTracePartialSuccess.rejected_spans or ExportLogsPartialSuccess.rejected_log_records, and .error_message.
const REJECTED: u32 = 1;
const MESSAGE: u32 = 2;

/// "The number of rejected spans. A `rejected_spans` field holding a `0` value indicates that the request was fully
/// accepted", with a warning where the message is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    pub(crate) rejected: i64,
    pub(crate) message: String,
}

pub(crate) fn decode(message: &[u8]) -> Result<PartialSuccess, Malformed> {
    let mut partial = PartialSuccess::default();
    let mut reader = Reader::new(message);
    while let Some((field, content)) = reader.next()? {
        if let (PARTIAL_SUCCESS, Content::Bytes(inner)) = (field, content) {
            merge(&mut partial, inner)?;
        }
    }
    Ok(partial)
}

fn merge(partial: &mut PartialSuccess, message: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (REJECTED, Content::Varint(count)) => partial.rejected = count as i64,
            (MESSAGE, Content::Bytes(text)) => {
                partial.message = String::from_utf8_lossy(text).into_owned()
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    proptest! {
        #[test]
        fn what_prost_encodes_is_read(rejected: i64, message: String) {
            let response = ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess { rejected_spans: rejected, error_message: message.clone() }),
            };
            prop_assert_eq!(decode(&response.encode_to_vec()), Ok(PartialSuccess { rejected, message }));
        }

        #[test]
        fn any_bytes_are_an_answer_or_malformed(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn an_empty_answer_is_full_success() {
        assert_eq!(decode(&[]), Ok(PartialSuccess::default()));
    }
}
