//! What a program has to say about its records before they leave: [`Processor`]s, in the order in which they were registered.

mod clip;
mod record;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub(in crate::layer) use self::record::{Draft, Form, Spare};
pub use self::record::{Record, RecordKind};
use crate::model::Value;
use crate::quiet::guarded;
use crate::redaction::Redaction;
use crate::sampler::Sampling;
use crate::stats::Ledger;

/// What stands in the place of a value whose processor panicked: it may be the one that redacts.
const PANICKED: &str = "[processor panicked]";

/// What is shown of a value beyond the largest record, so that a secret that stands across the limit is seen as a whole. Of what is
/// cut there, so much is left out again.
pub(super) const OVERRUN: usize = 8 << 10;

/// A say over what leaves the process, for [`Builder::with_processor`](crate::Builder::with_processor). Each method does nothing unless it is
/// implemented.
///
/// | Method | When | What it may do |
/// |---|---|---|
/// | [`on_value`](Self::on_value) | a value is recorded, before it is encoded | replace it |
/// | [`on_start`](Self::on_start) | a span that is recorded begins | read, add, rename, discard |
/// | [`on_end`](Self::on_end) | a span ends; a span event or a log record is complete | read, add, rename, discard |
///
/// Processors are called in the order in which they were registered (specification, span processors), on the thread that records, which waits
/// meanwhile. Each sees what those before it have changed. What one sets goes through `on_value` of all of them.
///
/// They may record, four levels deep. One that panics has no effect: the record is what it was before, and a value of which it was
/// asked becomes `[processor panicked]`, since it might have been a secret. [`Stats::processor_panics`](crate::Stats::processor_panics) counts.
///
/// Where there is a processor, values are formatted into scratch space, which is overwritten, and encoded from there: what `on_value` replaces
/// never is in a record. (Of what `Debug` or `Display` writes beyond 4 KiB, a copy may stay in memory that was freed.) Without one, nothing of this
/// is paid.
///
/// ```
/// use tracing_otlp::{Processor, Record, Value};
///
/// struct Tidy;
///
/// impl Processor for Tidy {
///     fn on_value(&self, key: &str, value: &mut Value<'_>) {
///         if key == "password" {
///             *value = "?".into();
///         }
///     }
///
///     fn on_end(&self, record: &mut Record<'_>) {
///         if record.attribute("url.path") == Some("/health".into()) {
///             return record.discard();
///         }
///         record.set_attribute("deployment.ring", 2);
///     }
/// }
///
/// let builder = tracing_otlp::layer().with_processor(Tidy);
/// # drop(builder);
/// ```
pub trait Processor: Send + Sync + 'static {
    /// A span that is recorded begins. It has its ids and what it was created with; its trace changes if it gets a parent from another
    /// process afterwards. One that is [discarded](Record::discard) is dropped when it ends, and `on_end` is not called for it.
    ///
    /// A span that its sampler dropped as a root is seen when it gets a parent by which it is recorded after all.
    fn on_start(&self, span: &mut Record<'_>) {
        let _ = span;
    }

    /// A value is recorded, under this key: an attribute of anything, a message (`message`), a span's name that a field or a call gives
    /// (`otel.name`), a status' description (`otel.status_description`). What follows from an error (`exception.message`, `.chain`,
    /// the status' description) has the key of the error's field, and each text comes by itself.
    ///
    /// It comes before any limit cuts it, but what exceeds the largest record ([`Limits`](crate::Limits)) by more than 8 KiB. Constants of a callsite do not come:
    /// `code.*`, `level`, `target`, its name.
    fn on_value(&self, key: &str, value: &mut Value<'_>) {
        let _ = (key, value);
    }

    /// A span ends, or an event or a log record is complete. Of a span the end is known, and only this call can change it any more
    /// (specification, `OnEnding`).
    fn on_end(&self, record: &mut Record<'_>) {
        let _ = record;
    }
}

impl Processor for Redaction {
    fn on_value(&self, key: &str, value: &mut Value<'_>) {
        self.redact(key, value);
    }
}

/// A pipeline's processors; there is one at least.
#[derive(Clone)]
pub(crate) struct Processors {
    all: Arc<[Box<dyn Processor>]>,
    ledger: Arc<Ledger>,
}

impl Processors {
    /// `None` where there are none.
    pub(crate) fn new(all: Vec<Box<dyn Processor>>, ledger: &Arc<Ledger>) -> Option<Self> {
        let new = |all: Vec<_>| Self {
            all: all.into(),
            ledger: Arc::clone(ledger),
        };
        Some(all).filter(|all| !all.is_empty()).map(new)
    }

    /// A value on its way into a record that takes so many bytes at most. Of a longer one not much more is shown to anybody.
    pub(crate) fn value(&self, key: &str, value: &mut Value<'_>, bytes: usize) {
        let end = clip::clip(value, bytes.saturating_add(OVERRUN));
        self.show(key, value);
        if let Some(end) = end {
            clip::cut_end(value, &end);
        }
    }

    fn show(&self, key: &str, value: &mut Value<'_>) {
        for processor in self.all.iter() {
            if guarded(|| processor.on_value(key, value)).is_err() {
                self.ledger.processor_panicked();
                *value = Value::Str(Cow::Borrowed(PANICKED));
            }
        }
    }

    /// As [`Processors::value`] of a text. What is no text afterwards is left out.
    pub(crate) fn text<'t>(&self, key: &str, text: &'t str, bytes: usize) -> Cow<'t, str> {
        let mut value = Value::Str(Cow::Borrowed(text));
        self.value(key, &mut value, bytes);
        match value {
            Value::Str(text) => text,
            _ => Cow::Borrowed(""),
        }
    }

    /// What a sampler adds to a span.
    pub(super) fn sampling(&self, sampling: &mut Sampling, bytes: usize) {
        for (key, value) in &mut sampling.attributes {
            self.value(key.as_ref(), value, bytes);
        }
    }

    /// A span begins; says whether it is kept.
    pub(super) fn start(&self, draft: Draft<'_>) -> bool {
        self.each(draft, |processor, record| processor.on_start(record))
    }

    /// A record is complete; says whether it is kept.
    pub(super) fn end(&self, draft: Draft<'_>) -> bool {
        self.each(draft, |processor, record| processor.on_end(record))
    }

    fn each(&self, draft: Draft<'_>, hook: impl Fn(&dyn Processor, &mut Record<'_>)) -> bool {
        let mut record = Record::new(draft, self);
        for processor in self.all.iter() {
            record.remember();
            if guarded(|| hook(&**processor, &mut record)).is_err() {
                self.ledger.processor_panicked();
                record.restore();
            }
            if record.is_discarded() {
                return false;
            }
        }
        true
    }
}

impl fmt::Debug for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Processors({})", self.all.len())
    }
}
