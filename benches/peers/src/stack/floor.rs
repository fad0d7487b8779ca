//! What no layer that makes spans can do without: a yardstick for ours, and not a layer to use.
//!
//! It reads the clock at the begin and the end of each span and at each event, draws ids, visits the fields and copies their keys and
//! values into OTLP messages. It knows neither limits nor sampling, filters, errors, other threads, spans that are not closed in the
//! order in which they were created, nor an exporter; what it has written, it throws away.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, RandomState};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{Base, Running, Settings, install_layer};

/// When what was written is thrown away: as large as a chunk.
const CHUNK: usize = 32 << 10;

/// Of callsites: two that share one take turns.
const PLACES: usize = 256;

const SPAN_NAME: u8 = 0x2A;
const SPAN_ATTRIBUTE: u8 = 0x4A;
const EVENT_NAME: u8 = 0x12;
const EVENT_ATTRIBUTE: u8 = 0x1A;

struct Floor;

thread_local! {
    static OPEN: RefCell<Open> = const { RefCell::new(Open { trace: [0; 16], spans: Vec::new(), depth: 0, written: Vec::new() }) };
    static CONSTANTS: RefCell<[(Option<&'static Metadata<'static>>, Vec<u8>); PLACES]> = const { RefCell::new([const { (None, Vec::new()) }; PLACES]) };
    static RANDOM: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1);
}

/// The open spans of a thread.
struct Open {
    trace: [u8; 16],
    /// Behind `depth`, buffers for spans to come.
    spans: Vec<Span>,
    depth: usize,
    written: Vec<u8>,
}

#[derive(Default)]
struct Span {
    id: [u8; 8],
    message: Vec<u8>,
}

pub(super) fn install(settings: &Settings) -> Box<dyn Running> {
    install_layer(Floor, settings);
    Box::new(Floor)
}

impl Running for Floor {
    fn flush(&self) {}

    fn finish(&self, _made: u64) {}
}

/// By the cheaper of the ways that safe code has.
fn now() -> [u8; 8] {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64).to_le_bytes()
}

impl Layer<Base> for Floor {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, Base>) {
        OPEN.with_borrow_mut(|open| {
            if open.depth == 0 {
                let (high, low) = (random(), random());
                open.trace = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
            }
            if open.spans.len() == open.depth {
                open.spans.push(Span::default());
            }
            let (above, free) = open.spans.split_at_mut(open.depth);
            let span = &mut free[0];
            open.depth += 1;
            span.id = random().to_le_bytes();
            let message = &mut span.message;
            message.clear();
            put(message, 0x0A, &open.trace);
            put(message, 0x12, &span.id);
            if let Some(parent) = above.last() {
                put(message, 0x22, &parent.id);
            }
            message.push(0x39);
            message.extend_from_slice(&now());
            constants(message, attributes.metadata());
            attributes.record(&mut Fields {
                message,
                tag: SPAN_ATTRIBUTE,
            });
        });
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, Base>) {
        OPEN.with_borrow_mut(|open| {
            let Some(span) = open
                .depth
                .checked_sub(1)
                .and_then(|last| open.spans.get_mut(last))
            else {
                return;
            };
            let message = &mut span.message;
            // Two bytes for a length below 2^14.
            message.extend_from_slice(&[0x5A, 0, 0]);
            let begin = message.len();
            message.push(0x09);
            message.extend_from_slice(&now());
            constants(message, event.metadata());
            event.record(&mut Fields {
                message,
                tag: EVENT_ATTRIBUTE,
            });
            let len = message.len() - begin;
            message[begin - 2] = len as u8 | 0x80;
            message[begin - 1] = (len >> 7) as u8;
        });
    }

    fn on_close(&self, _: Id, _: Context<'_, Base>) {
        OPEN.with_borrow_mut(|open| {
            open.depth -= 1;
            let message = &mut open.spans[open.depth].message;
            message.push(0x41);
            message.extend_from_slice(&now());
            if open.written.len() + message.len() > CHUNK {
                open.written.clear();
            }
            put(&mut open.written, 0x12, message);
        });
    }
}

/// What a callsite says of each of its records, encoded once.
fn constants(message: &mut Vec<u8>, metadata: &'static Metadata<'static>) {
    CONSTANTS.with_borrow_mut(|known| {
        let place =
            &mut known[std::ptr::from_ref(metadata).addr() / size_of::<Metadata<'_>>() % PLACES];
        if place.0.is_none_or(|at| !std::ptr::eq(at, metadata)) {
            *place = (Some(metadata), encode(metadata));
        }
        message.extend_from_slice(&place.1);
    });
}

fn encode(metadata: &Metadata<'_>) -> Vec<u8> {
    let mut constants = Vec::new();
    let tag = if metadata.is_span() {
        SPAN_NAME
    } else {
        EVENT_NAME
    };
    put(&mut constants, tag, metadata.name().as_bytes());
    let texts = [
        ("code.file.path", metadata.file()),
        ("code.function.name", metadata.module_path()),
        ("target", Some(metadata.target())),
    ];
    for (key, text) in texts {
        put_text(
            &mut constants,
            SPAN_ATTRIBUTE,
            key,
            text.unwrap_or_default(),
        );
    }
    constants
}

/// Writes each field as an attribute.
struct Fields<'a> {
    message: &'a mut Vec<u8>,
    tag: u8,
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        let value = value as u64;
        if value < 0x80 {
            put_attribute(self.message, self.tag, field.name(), 2);
            self.message.extend_from_slice(&[0x18, value as u8]);
            return;
        }
        let bits = 64 - value.leading_zeros() as usize;
        let len = bits.div_ceil(7);
        put_attribute(self.message, self.tag, field.name(), 1 + len);
        self.message.push(0x18);
        for byte in 0..len {
            let more = if byte + 1 < len { 0x80 } else { 0 };
            self.message.push((value >> (7 * byte)) as u8 & 0x7F | more);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        put_attribute(self.message, self.tag, field.name(), 2);
        self.message.extend_from_slice(&[0x10, value.into()]);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        put_text(self.message, self.tag, field.name(), value);
    }

    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.message.extend_from_slice(&[EVENT_NAME, 0]);
        let begin = self.message.len();
        let _ = write!(Text(self.message), "{value:?}");
        self.message[begin - 1] = (self.message.len() - begin) as u8;
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn put_text(message: &mut Vec<u8>, tag: u8, key: &str, text: &str) {
    put_attribute(message, tag, key, 2 + text.len());
    put(message, 0x0A, text.as_bytes());
}

/// An attribute up to its value, which has so many bytes. All of it is shorter than 128, as those of the workloads are.
fn put_attribute(message: &mut Vec<u8>, tag: u8, key: &str, value: usize) {
    let (key, len) = (key.as_bytes(), key.len());
    message.extend_from_slice(&[tag, (4 + len + value) as u8, 0x0A, len as u8]);
    message.extend_from_slice(key);
    message.extend_from_slice(&[0x12, value as u8]);
}

/// A field of fewer than 2^14 bytes.
fn put(message: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..0x80 => message.extend_from_slice(&[tag, len as u8]),
        len => message.extend_from_slice(&[tag, len as u8 | 0x80, (len >> 7) as u8]),
    }
    message.extend_from_slice(bytes);
}

/// Marsaglia's xorshift64: as cheap as ids can be drawn.
fn random() -> u64 {
    RANDOM.with(|state| {
        let mut next = state.get();
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        state.set(next);
        next
    })
}
