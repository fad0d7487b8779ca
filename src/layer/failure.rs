//! A span that fails: its status, and the class of the error.

use super::OtlpLayer;
use super::scratch::Noted;
use super::shard::Account;
use super::span::{OpenSpan, SpanBounds};
use super::written::{ErrorType, Written};
use crate::config::Errors;
use crate::proto::common::{self, ERROR_TYPE, EXCEPTION_MESSAGE, EXCEPTION_TYPE};
use crate::proto::trace::{self, Code};
use crate::proto::value::beginning;

/// "A fallback error value to be used when the instrumentation doesn't define a custom value" (semantic conventions,
/// `error.type`).
const OTHER: &str = "_OTHER";

/// More than the tags and lengths of an attribute take.
const FRAME: usize = 16;

/// Why a span has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'a> {
    /// The status' description; where it is empty, one that is there stays.
    pub(super) description: &'a str,
    /// The class of the error; empty where it is not known.
    pub(super) error_type: &'a str,
}

impl Failure<'static> {
    /// The thread panicked. What the panic said is not to be seen from where it is noticed.
    pub(super) const PANIC: Self = Self {
        description: "panicked",
        error_type: "panic",
    };
}

impl<'a> Failure<'a> {
    /// As an event tells it.
    pub(super) fn of(noted: &'a Noted) -> Self {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        Self {
            description: text(&noted.text),
            error_type: text(&noted.error_type),
        }
    }
}

impl OtlpLayer {
    /// Marks a span as failed, as far as [`Errors`] says. To be called where the span is held.
    pub(super) fn fail(&self, span: &mut OpenSpan, failure: &Failure<'_>, account: &mut Account) {
        let Errors {
            status, error_type, ..
        } = self.config.errors;
        span.member.fail();
        if !status {
            return;
        }
        span.fail(failure.description, &self.bounds, account);
        if error_type && span.written.status == Code::Error {
            let bit = self.templates.get(span.metadata).error_type_bit;
            span.set_error_type(failure, bit, &self.bounds, account);
        }
    }

    /// Writes the exception event of a panic but for its counts, as far as its limits go: "the name of the event MUST be `exception`".
    pub(super) fn put_panic_event(&self, out: &mut Vec<u8>, time: u64) -> Written {
        trace::put_event_time(out, time);
        let (most, length) = (self.event_bounds.attributes, self.bounds.value.length);
        let written = put_panic_attributes(out, trace::EVENT_ATTRIBUTE, most, length);
        trace::put_event_name(out, "exception");
        written
    }
}

/// The attributes of a panic, at most so many and of so many characters each.
pub(super) fn put_panic_attributes(
    out: &mut Vec<u8>,
    tag: u8,
    most: u32,
    length: usize,
) -> Written {
    const MESSAGE: &str = "the thread panicked while the span was entered";
    let attributes = [
        (EXCEPTION_TYPE, Failure::PANIC.error_type),
        (EXCEPTION_MESSAGE, MESSAGE),
    ];
    let dropped = (attributes.len() as u32).saturating_sub(most);
    let kept = attributes.len() - dropped as usize;
    for (key, text) in attributes.into_iter().take(kept) {
        common::put_text_at(out, tag, key, beginning(text, length));
    }
    Written {
        attributes: kept as u32,
        dropped,
        ..Written::default()
    }
}

impl OpenSpan {
    /// Writes the attribute `error.type`, unless the span has one of its own. It is of the error that the status' description is
    /// of: a failure that changes neither changes nothing.
    fn set_error_type(
        &mut self,
        failure: &Failure<'_>,
        bit: u64,
        bounds: &SpanBounds,
        account: &mut Account,
    ) {
        let says_nothing = failure.description.is_empty() && failure.error_type.is_empty();
        match self.written.error_type {
            ErrorType::LeftOut => return,
            ErrorType::Ours if says_nothing => return,
            ErrorType::Ours => self.written.cut_error_type(&mut self.record),
            ErrorType::Theirs => {}
        }
        if common::has_attribute(&self.record, trace::SPAN_ATTRIBUTE, ERROR_TYPE) {
            return;
        }
        let text = match failure.error_type {
            "" => OTHER,
            known => known,
        };
        let text = beginning(text, bounds.value.length);
        let needed = ERROR_TYPE.len() + text.len() + FRAME;
        if self.written.attributes >= bounds.attributes || !self.make_room(needed, bounds, account)
        {
            self.written.error_type = ErrorType::LeftOut;
            self.written.dropped = self.written.dropped.saturating_add(1);
            return;
        }
        self.written.admit(bit, bounds.attributes);
        self.written.error_type = ErrorType::Ours;
        common::put_text_at(&mut self.record, trace::SPAN_ATTRIBUTE, ERROR_TYPE, text);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use prost::Message;

    use crate::Limits;
    use crate::testing::InMemory;

    /// The event of a panic under these limits: name, time, keys and texts, what was left out.
    fn panic_event(limits: Limits) -> (String, u64, Vec<(String, String)>, u32) {
        let builder = crate::layer().with_transport(InMemory::new());
        let (layer, _guard) = builder.with_limits(limits).build().unwrap();
        let mut out = Vec::new();
        let written = layer.put_panic_event(&mut out, 7);
        crate::proto::trace::put_event_dropped(&mut out, written.dropped);
        let event = Event::decode(&out[..]).unwrap();
        assert_eq!(event.encoded_len(), out.len());
        let attributes = event.attributes.into_iter().map(|pair| {
            match pair.value.and_then(|value| value.value) {
                Some(Value::StringValue(text)) => (pair.key, text),
                other => panic!("{other:?}"),
            }
        });
        let attributes = attributes.collect();
        (
            event.name,
            event.time_unix_nano,
            attributes,
            event.dropped_attributes_count,
        )
    }

    fn pair(key: &str, text: &str) -> (String, String) {
        (key.to_owned(), text.to_owned())
    }

    #[test]
    fn spec_7_19_a_panic_is_an_exception() {
        let (name, time, attributes, dropped) = panic_event(Limits::default());
        assert_eq!((&*name, time, dropped), ("exception", 7, 0));
        let message = "the thread panicked while the span was entered";
        let expected = [
            pair("exception.type", "panic"),
            pair("exception.message", message),
        ];
        assert_eq!(attributes, expected);
    }

    #[test]
    fn the_event_of_a_panic_has_limits_too() {
        let limits = Limits::default()
            .with_attributes_per_event(1)
            .with_value_length(3);
        let (_, _, attributes, dropped) = panic_event(limits);
        assert_eq!(
            (attributes, dropped),
            (vec![pair("exception.type", "pan")], 1)
        );
        let (_, _, attributes, dropped) = panic_event(limits.with_attributes_per_event(0));
        assert_eq!((attributes, dropped), (vec![], 2));
    }
}
