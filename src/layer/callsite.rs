//! Callsite templates: what is known of a callsite before it is used, encoded once.
//!
//! A template holds the constant part of each record (name, kind, location, target) as bytes to copy, and for each field
//! its encoded key, so that recording a value is an index and a copy.

use std::sync::OnceLock;

use tracing_core::{Metadata, field::Field};

use super::filter::Filter;
use crate::config;
use crate::model::SpanKind;
use crate::proto::common::{self, Prefix};
use crate::proto::trace;
use crate::proto::value::beginning;
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
    /// `message` of an event: its name.
    Message,
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

#[derive(Debug)]
pub(super) struct Template {
    pub(super) metadata: &'static Metadata<'static>,
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
    /// The answer of the layer's own filter, with the filter's generation: generation << 1 | enabled. Relaxed: the
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
        let generation = filter.generation();
        let known = self.filtered.load(Ordering::Relaxed);
        if known == generation << 1 | 1 {
            return true;
        }
        known != generation << 1 && self.ask(filter)
    }

    #[cold]
    fn ask(&self, filter: &Filter) -> bool {
        let (generation, enabled) = filter.decide(self.metadata);
        self.filtered
            .store(generation << 1 | u64::from(enabled), Ordering::Relaxed);
        enabled
    }
}

/// Builds one template.
struct Builder<'a> {
    metadata: &'static Metadata<'static>,
    config: &'a config::Record,
    limit: u32,
    value_length: usize,
    tag: u8,
    constants: Vec<u8>,
    count: u32,
    dropped: u32,
    bits: u64,
}

impl Builder<'_> {
    fn build(mut self) -> Template {
        let metadata = self.metadata;
        let is_span = metadata.is_span();
        let (late_name, late_kind) = (self.declares("otel.name"), self.declares("otel.kind"));
        if is_span && !late_name {
            trace::put_name(&mut self.constants, metadata.name());
        }
        if is_span && !late_kind {
            trace::put_kind(&mut self.constants, SpanKind::Internal);
        }
        self.put_attributes(is_span);
        let thread_bits = super::thread::KEYS.map(|key| self.bit(key));
        let is_exception = !is_span && self.declares("error") && !self.declares("message");
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
            .map(|field| self.field(&field, is_span))
            .collect();
        let quick_bits = self.quick_bits(&fields);
        let error_type_bit = self.bit("error.type");
        Template {
            metadata,
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
            filtered: AtomicU64::new(1),
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
        self.metadata.fields().field(name).is_some()
    }

    fn put_attributes(&mut self, is_span: bool) {
        let (metadata, length) = (self.metadata, self.value_length);
        if self.config.level || !is_span {
            self.put("level", |out, prefix| {
                common::put_str(out, prefix, beginning(metadata.level().as_str(), length))
            });
        }
        if self.config.target || !is_span {
            self.put("target", |out, prefix| {
                common::put_str(out, prefix, beginning(metadata.target(), length))
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
        value(&mut self.constants, &Prefix::new(self.tag, key));
        self.bits |= self.bit(key);
    }

    fn field(&self, field: &Field, is_span: bool) -> Known {
        let name = field.name();
        let errors = self.config.errors.status || self.config.errors.exceptions;
        let role = match (is_span, name) {
            (_, "") => Role::Nameless,
            (true, "otel.name") => Role::Name,
            (true, "otel.kind") => Role::Kind,
            (true, "otel.status_code") => Role::StatusCode,
            (true, "otel.status_description") => Role::StatusDescription,
            (false, "message") => Role::Message,
            (false, "error") if errors && !self.declares("message") => Role::Exception,
            (false, "error.type") if errors => Role::ErrorType,
            (false, "exception.type") if errors => Role::ExceptionType,
            _ => Role::Attribute,
        };
        Known {
            role,
            bit: self.bit(name),
            prefix: Prefix::new(self.tag, name),
        }
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

/// The bit of the key with this number.
fn bit(number: usize) -> u64 {
    u32::try_from(number)
        .ok()
        .and_then(|number| 1_u64.checked_shl(number))
        .unwrap_or(0)
}

/// All templates of a layer. Read without a lock: a fixed table of chains that only grow.
///
/// There are as many callsites as the program has `span!` and `event!` in its text, so nothing is ever removed.
pub(super) struct Templates {
    // Of a known length: no bounds are checked.
    buckets: Box<[Link; BUCKETS]>,
    config: config::Record,
    limits: config::Limits,
}

type Link = OnceLock<Box<Node>>;

struct Node {
    template: Template,
    next: Link,
}

const BUCKETS: usize = 1024;

impl Templates {
    pub(super) fn new(config: config::Record, limits: config::Limits) -> Self {
        Self {
            buckets: Box::new([const { Link::new() }; BUCKETS]),
            config,
            limits,
        }
    }

    /// The template of a callsite, made when it is first asked for.
    #[inline]
    pub(super) fn get(&self, metadata: &'static Metadata<'static>) -> &Template {
        // Metadata are statics of more than 64 bytes, so the lowest bits say nothing.
        let address = std::ptr::from_ref(metadata).addr() >> 6;
        let mut link = &self.buckets[(address ^ address >> 10) % BUCKETS];
        loop {
            let node = match link.get() {
                Some(node) => node,
                None => self.add(link, metadata),
            };
            if std::ptr::eq(node.template.metadata, metadata) {
                return &node.template;
            }
            link = &node.next;
        }
    }

    #[cold]
    #[inline(never)]
    fn add<'l>(&self, link: &'l Link, metadata: &'static Metadata<'static>) -> &'l Node {
        link.get_or_init(|| self.node(metadata))
    }

    fn node(&self, metadata: &'static Metadata<'static>) -> Box<Node> {
        let is_span = metadata.is_span();
        let builder = Builder {
            metadata,
            config: &self.config,
            limit: if is_span {
                self.limits.attributes
            } else {
                self.limits.attributes_per_event
            },
            value_length: self.limits.value().length,
            tag: if is_span {
                trace::SPAN_ATTRIBUTE
            } else {
                trace::EVENT_ATTRIBUTE
            },
            constants: Vec::new(),
            count: 0,
            dropped: 0,
            bits: 0,
        };
        Box::new(Node {
            template: builder.build(),
            next: Link::new(),
        })
    }
}
