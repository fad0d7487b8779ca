//! Where ids come from (specification, id generators).

use std::fmt;

use crate::id::{SpanId, TraceId};

/// Makes the ids of traces and spans, for [`Builder::with_id_generator`](crate::Builder::with_id_generator). Without one, all
/// bits of an id are random.
///
/// It is called on the thread that creates a span, and holds that thread up as long as it takes. Ids must be unique. It may trace,
/// four levels deep. Where it panics, the id is a random one.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use tracing_otlp::{IdGenerator, SpanId, TraceId};
///
/// /// For tests that compare texts.
/// #[derive(Debug, Default)]
/// struct Counting(AtomicU64);
///
/// impl Counting {
///     fn next(&self) -> u64 {
///         self.0.fetch_add(1, Ordering::Relaxed) + 1
///     }
/// }
///
/// impl IdGenerator for Counting {
///     fn trace_id(&self) -> TraceId {
///         TraceId::from_bytes(u128::from(self.next()).to_be_bytes()).expect("it is not zero")
///     }
///
///     fn span_id(&self) -> SpanId {
///         SpanId::from_bytes(self.next().to_be_bytes()).expect("it is not zero")
///     }
/// }
///
/// let builder = tracing_otlp::layer().with_id_generator(Counting::default());
/// # drop(builder);
/// ```
pub trait IdGenerator: fmt::Debug + Send + Sync + 'static {
    /// The id of a new trace.
    fn trace_id(&self) -> TraceId;

    /// The id of a new span.
    fn span_id(&self) -> SpanId;

    /// Whether the last 7 bytes of every trace id are random, so that traces have W3C's random flag and samplers may decide by
    /// them (W3C Trace Context level 2, randomness of trace-id). Default: no.
    fn is_random(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;

    impl IdGenerator for Fixed {
        fn trace_id(&self) -> TraceId {
            TraceId::random()
        }

        fn span_id(&self) -> SpanId {
            SpanId::random()
        }
    }

    #[test]
    fn spec_4_18_a_generator_is_not_random_unless_it_says_so() {
        let generator: &dyn IdGenerator = &Fixed;
        assert!(!generator.is_random());
    }
}
