//! Callsite templates: what is known of a callsite before it is used, encoded once.
//!
//! A template holds the constant part of each record (name, kind, severity, location, target) as bytes to copy, and for each
//! field its encoded key, so that recording a value is an index and a copy. Where an event becomes a log record, with or without
//! a span event, is decided here too.

use tracing_core::{Level, Metadata, field::Field};

use super::filter::Filter;
use super::log_crate;
use super::route::Route;
use crate::config;
use crate::model::{Severity, SpanKind};
use crate::proto::common::{self, Prefix};
use crate::proto::value::beginning;
use crate::proto::{logs, trace};
use crate::sync::{AtomicU64, Ordering};

/// What a field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Attribute,
    /// A field without a name is not recorded, since a key is not empty (specification, attributes).
    Nameless,
    /// `otel.name`: the span's name.
    Name,
    /// `otel.kind`
    Kind,
    /// `otel.status_code`
    StatusCode,
    /// `otel.status_description`
    StatusDescription,
    /// `message` of an event, or its `event.name`: the span event's name.
    Message,
    /// `message` of an event: the log record's body.
    Body,
    /// `event.name` of an event: the log record's event name.
    EventName,
    /// `error` of an event without a message, such as `#[instrument(err)]` makes: where it is a text, the event is an
    /// exception.
    Exception,
    /// `error.type` of an event, which is its span's too if that fails by it.
    ErrorType,
    /// `exception.type` of an event, in the place of an `error.type`.
    ExceptionType,
}

/// What follows from the fields of a callsite that are errors. A field that has the key itself goes before ("user attributes
/// win").
#[derive(Clone, Copy, Debug)]
pub(super) struct Derives {
    /// `exception.message`
    pub(super) message: bool,
    /// `exception.stacktrace`
    pub(super) stacktrace: bool,
    /// `exception.type`, of an `error.type`.
    pub(super) exception_type: bool,
    /// `x.chain`
    pub(super) chain: bool,
}

/// More than the attributes that follow from fields, beside chains: those of an exception.
const DERIVED: usize = 3;

/// A field of a callsite, or a key that is derived from one.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) role: Role,
    /// Its bit among the first 64 keys of the callsite; 0 beyond. Fields of one name share it; so do a field and the
    /// constant attribute whose name it has.
    pub(super) bit: u64,
    pub(super) prefix: Prefix,
}

/// What a template's records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Span,
    SpanEvent,
    Log,
}

impl Kind {
    /// The tag of its attributes.
    fn tag(self) -> u8 {
        match self {
            Self::Span => trace::SPAN_ATTRIBUTE,
            Self::SpanEvent => trace::EVENT_ATTRIBUTE,
            Self::Log => logs::LOG_ATTRIBUTE,
        }
    }
}

#[derive(Debug)]
pub(super) struct Template {
    pub(super) metadata: &'static Metadata<'static>,
    /// The target, which is the scope's name. As a rule the callsite's own.
    pub(super) target: &'static str,
    /// What becomes of an event, or of a span's exceptions.
    pub(super) route: Route,
    /// What the callsite's own `name:` says of its events.
    pub(super) event_name: Option<&'static str>,
    /// Whether its events have such a name, or tell their span that it failed.
    pub(super) has_more: bool,
    /// The tag of its attributes.
    pub(super) tag: u8,
    /// The constant part of a record, behind a span's head or an event's time.
    pub(super) constants: Box<[u8]>,
    pub(super) constant_attributes: u32,
    /// Constant attributes that exceed the limit.
    pub(super) constant_dropped: u32,
    /// The bits of constant attributes that a field may replace.
    pub(super) constant_bits: u64,
    /// The bits of `thread.id` and `thread.name`, where the callsite has fields of these names.
    pub(super) thread_bits: [u64; 2],
    /// The bit of `error.type`, where a span has a field of this name.
    pub(super) error_type_bit: u64,
    pub(super) derives: Derives,
    /// Whether the event has a field that makes it an exception. Its other errors are attributes then.
    is_exception: bool,
    /// Characters of an attribute's text; `usize::MAX` is no limit.
    pub(super) value_length: usize,
    /// Whether the name and the kind are left to the span's end, since a field may give them.
    pub(super) late_name: bool,
    pub(super) late_kind: bool,
    pub(super) is_late: bool,
    fields: Box<[Known]>,
    /// The bits of the attributes whose key is short, if the limit has room for all that the callsite may write: then these
    /// need no look at it.
    /// Where values have a limit of length, all need a look.
    pub(super) quick_bits: u64,
    /// The answer of the layer's own filter, with the filter's generation: generation << 2 | answer. Relaxed: the
    /// answer follows from the generation, whoever computes it.
    filtered: AtomicU64,
}

impl Template {
    /// `None` for a field that is not this callsite's, or has no name.
    #[inline]
    pub(super) fn known(&self, field: &Field) -> Option<&Known> {
        self.any(field).filter(|known| known.role != Role::Nameless)
    }

    /// As [`Template::known`], but with the nameless ones, which are not quick.
    #[inline]
    pub(super) fn any(&self, field: &Field) -> Option<&Known> {
        self.fields.get(field.index())
    }

    #[inline]
    pub(super) fn has_no_fields(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether a field of the type `dyn Error` tells of an exception.
    pub(super) fn has_exception(&self, role: Role) -> bool {
        role == Role::Exception || role == Role::Attribute && !self.is_exception
    }

    /// The key of the attribute that holds the chain of a field's error: `x.chain`.
    pub(super) fn chain(&self, field: &Field, known: &Known) -> Known {
        let prefix = Prefix::new(known.prefix.tag(), &format!("{}.chain", field.name()));
        let place = |key: &Prefix| {
            let has_key =
                |known: &Known| known.role != Role::Nameless && known.prefix.key() == key.key();
            self.fields.iter().position(has_key)
        };
        // Behind the callsite's own keys, by the first field of the name, unless a field has this very key.
        let behind = self.fields.len() + place(&known.prefix).unwrap_or(field.index());
        Known {
            role: Role::Attribute,
            bit: bit(place(&prefix).unwrap_or(behind)),
            prefix,
        }
    }

    /// Whether the layer's own filter lets this callsite pass.
    #[inline]
    pub(super) fn passes(&self, filter: &Filter) -> bool {
        self.passes_plainly(filter) || self.answer(filter) != HIDDEN
    }

    /// Whether it passes, and memory is not short.
    #[inline]
    pub(super) fn passes_plainly(&self, filter: &Filter) -> bool {
        self.filtered.load(Ordering::Relaxed) == filter.generation() << 2 | PLAIN
    }

    #[inline(never)]
    fn answer(&self, filter: &Filter) -> u64 {
        let known = self.filtered.load(Ordering::Relaxed);
        if known >> 2 == filter.generation() {
            return known & 3;
        }
        self.ask(filter)
    }

    #[cold]
    fn ask(&self, filter: &Filter) -> u64 {
        // The generation is read first: an answer that is newer than it is asked for again.
        let (generation, enabled) = filter.decide(self.target, self.metadata.level());
        let answer = match (enabled, filter.is_careful()) {
            (false, _) => HIDDEN,
            (true, false) => PLAIN,
            (true, true) => WITH_CARE,
        };
        self.filtered
            .store(generation << 2 | answer, Ordering::Relaxed);
        answer
    }
}

/// What the filter answers: not this callsite;
const HIDDEN: u64 = 0;
/// this one, as ever;
const PLAIN: u64 = 1;
/// this one, and memory is looked at.
const WITH_CARE: u64 = 3;

/// Builds one template.
pub(super) struct Builder<'a> {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) target: &'static str,
    /// Whether it is one of the crate `log`, whose fields tell where it comes from.
    pub(super) is_foreign: bool,
    pub(super) kind: Kind,
    pub(super) config: &'a config::Record,
    pub(super) limit: u32,
    pub(super) value_length: usize,
    pub(super) constants: Vec<u8>,
    pub(super) count: u32,
    pub(super) dropped: u32,
    pub(super) bits: u64,
}

impl Builder<'_> {
    pub(super) fn build(mut self, route: Route) -> Template {
        let metadata = self.metadata;
        let is_span = self.kind == Kind::Span;
        let (late_name, late_kind) = (self.declares("otel.name"), self.declares("otel.kind"));
        if is_span && !late_name {
            trace::put_name(&mut self.constants, metadata.name());
        }
        if is_span && !late_kind {
            trace::put_kind(&mut self.constants, SpanKind::Internal);
        }
        if self.kind == Kind::Log {
            let level = *metadata.level();
            logs::put_severity(&mut self.constants, Severity::from(level), level.as_str());
        }
        self.put_attributes();
        let thread_bits = super::thread::KEYS.map(|key| self.bit(key));
        let is_exception = is_exception(metadata);
        let errors = self.config.errors;
        let derives = |key: &str| errors.exceptions && !self.declares(key);
        let derives = Derives {
            message: derives("exception.message"),
            stacktrace: derives("exception.stacktrace"),
            exception_type: is_exception && derives("exception.type"),
            chain: errors.chains,
        };
        let fields: Box<[Known]> = metadata
            .fields()
            .iter()
            .map(|field| self.field(&field))
            .collect();
        let quick_bits = self.quick_bits(&fields);
        let error_type_bit = self.bit("error.type");
        Template {
            metadata,
            target: self.target,
            route,
            event_name: own_name(metadata),
            has_more: own_name(metadata).is_some() || *metadata.level() == Level::ERROR,
            tag: self.kind.tag(),
            constants: self.constants.into(),
            constant_attributes: self.count,
            constant_dropped: self.dropped,
            constant_bits: self.bits,
            thread_bits,
            error_type_bit,
            derives,
            is_exception,
            value_length: self.value_length,
            late_name,
            late_kind,
            is_late: late_name || late_kind,
            fields,
            quick_bits,
            // Before the first filter everything passes.
            filtered: AtomicU64::new(PLAIN),
        }
    }

    fn quick_bits(&self, fields: &[Known]) -> u64 {
        // The two of the thread; of each field its own one, and the chain of an error; those of an exception.
        let added = super::thread::KEYS.len() + 2 * fields.len() + DERIVED;
        let is_limited = self.value_length != usize::MAX;
        if is_limited || self.count as usize + added > self.limit as usize {
            return 0;
        }
        let is_quick = |known: &&Known| known.role == Role::Attribute && known.prefix.is_short();
        let quick = fields.iter().filter(is_quick);
        quick.fold(0, |bits, known| bits | known.bit)
    }

    fn declares(&self, name: &str) -> bool {
        declares(self.metadata, name)
    }

    fn put_attributes(&mut self) {
        let (metadata, target, length) = (self.metadata, self.target, self.value_length);
        // A log record has its severity and its scope.
        let has = |asked: bool| match self.kind {
            Kind::Span => asked,
            Kind::SpanEvent => true,
            Kind::Log => false,
        };
        let (has_level, has_target) = (has(self.config.level), has(self.config.target));
        if has_level {
            self.put("level", |out, prefix| {
                common::put_str(out, prefix, beginning(metadata.level().as_str(), length))
            });
        }
        if has_target {
            self.put("target", |out, prefix| {
                common::put_str(out, prefix, beginning(target, length))
            });
        }
        if !self.config.location {
            return;
        }
        if let Some(file) = metadata.file() {
            self.put("code.file.path", |out, prefix| {
                common::put_str(out, prefix, beginning(file, length))
            });
        }
        if let Some(module) = metadata.module_path() {
            self.put("code.module.name", |out, prefix| {
                common::put_str(out, prefix, beginning(module, length))
            });
        }
        if let Some(line) = metadata.line() {
            self.put("code.line.number", |out, prefix| {
                common::put_int(out, prefix, line.into())
            });
        }
    }

    fn put(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>, &Prefix)) {
        if self.count >= self.limit {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.count += 1;
        value(&mut self.constants, &Prefix::new(self.kind.tag(), key));
        self.bits |= self.bit(key);
    }

    fn field(&self, field: &Field) -> Known {
        let mut name = field.name();
        // What has no template of its own target's says it as an attribute.
        let is_of_any = name == log_crate::TARGET && self.target == self.metadata.target();
        if self.is_foreign && !is_of_any {
            name = log_crate::key(name, self.config.location);
        }
        Known {
            role: self.role(name),
            bit: self.bit(field.name()),
            prefix: Prefix::new(self.kind.tag(), name),
        }
    }

    fn role(&self, name: &str) -> Role {
        let errors = self.config.errors.status || self.config.errors.exceptions;
        let is_span = self.kind == Kind::Span;
        match (self.kind, name) {
            (_, "") => Role::Nameless,
            (Kind::Span, "otel.name") => Role::Name,
            (Kind::Span, "otel.kind") => Role::Kind,
            (Kind::Span, "otel.status_code") => Role::StatusCode,
            (Kind::Span, "otel.status_description") => Role::StatusDescription,
            (Kind::SpanEvent, "message") if !self.has_own_name() => Role::Message,
            (Kind::SpanEvent, "event.name") => Role::Message,
            (Kind::Log, "message") => Role::Body,
            (Kind::Log, "event.name") => Role::EventName,
            (_, "error") if !is_span && errors && !self.declares("message") => Role::Exception,
            (_, "error.type") if !is_span && errors => Role::ErrorType,
            (_, "exception.type") if !is_span && errors => Role::ExceptionType,
            _ => Role::Attribute,
        }
    }

    /// Whether the program has named its events.
    fn has_own_name(&self) -> bool {
        self.declares("event.name") || own_name(self.metadata).is_some()
    }

    /// The bit of the first field of this name; 0 where there is none.
    fn bit(&self, name: &str) -> u64 {
        self.metadata
            .fields()
            .iter()
            .position(|field| field.name() == name)
            .map_or(0, bit)
    }
}

fn declares(metadata: &Metadata<'_>, name: &str) -> bool {
    metadata.fields().field(name).is_some()
}

/// Whether a callsite's events are exceptions, where their `error` is a text.
pub(super) fn is_exception(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && declares(metadata, "error") && !declares(metadata, "message")
}

/// The name that the program gave an event by `name:`. Without one, `tracing` makes a name of the place in the source, which
/// is no event's.
fn own_name(metadata: &'static Metadata<'static>) -> Option<&'static str> {
    let is_made = |name: &str| {
        let place = name.strip_prefix("event ")?.rsplit_once(':')?;
        Some(metadata.file() == Some(place.0) && metadata.line() == place.1.parse().ok())
    };
    let name = metadata.name();
    let is_own = metadata.is_event() && !log_crate::is_bridge(metadata);
    (is_own && !name.is_empty() && is_made(name) != Some(true)).then_some(name)
}

/// The bit of the key with this number.
fn bit(number: usize) -> u64 {
    u32::try_from(number)
        .ok()
        .and_then(|number| 1_u64.checked_shl(number))
        .unwrap_or(0)
}
