//! Callsite templates: what is known of a callsite before it is used, encoded once.
//!
//! A template holds the constant part of each record (name, kind, location, target) as bytes to copy, and for each field
//! its encoded key, so that recording a value is an index and a copy.

use std::sync::OnceLock;

use tracing_core::{Metadata, field::Field};

use super::filter::Filter;
use crate::config;
use crate::proto::{common, trace};
use crate::sync::{AtomicU64, Ordering};

/// What a field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Attribute,
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
    /// `error` of an event without a message, such as `#[instrument(err)]` makes: an exception's message, and its span's
    /// status.
    Exception,
}

#[derive(Debug)]
struct FieldTemplate {
    role: Role,
    /// Fields of one name share a slot; so do a field and the constant attribute whose name it has.
    slot: u16,
    prefix: Box<[u8]>,
}

/// A key of a callsite: where it is counted and what an attribute with it begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) slot: u16,
    pub(super) prefix: &'a [u8],
}

#[derive(Debug)]
pub(super) struct Template {
    pub(super) metadata: &'static Metadata<'static>,
    /// The content of the scope's message.
    pub(super) scope: Box<[u8]>,
    /// The constant part of a record, behind a span's head or an event's time.
    pub(super) constants: Box<[u8]>,
    pub(super) constant_attributes: u32,
    /// Constant attributes that exceed the limit.
    pub(super) constant_dropped: u32,
    /// The slots of constant attributes that a field may replace.
    pub(super) constant_slots: u64,
    /// The name of an event that no message names.
    pub(super) event_name: &'static str,
    /// Whether the name and the kind are left to the span's end, since a field may give them.
    pub(super) late_name: bool,
    pub(super) late_kind: bool,
    fields: Box<[FieldTemplate]>,
    /// The answer of the layer's own filter, with the filter's generation: generation << 1 | enabled. Relaxed: the
    /// answer follows from the generation, whoever computes it.
    filtered: AtomicU64,
}

impl Template {
    #[inline]
    pub(super) fn role(&self, field: &Field) -> Role {
        self.fields
            .get(field.index())
            .map_or(Role::Attribute, |known| known.role)
    }

    /// `None` for a field that is not this callsite's.
    #[inline]
    pub(super) fn key(&self, field: &Field) -> Option<Key<'_>> {
        self.fields.get(field.index()).map(|known| Key {
            slot: known.slot,
            prefix: &known.prefix,
        })
    }

    /// The key of the attribute that holds the chain of a field's error: `x.chain`.
    pub(super) fn chain_key<'a>(&self, field: &Field, prefix: &'a mut Vec<u8>) -> Key<'a> {
        let tag = if self.metadata.is_span() {
            trace::SPAN_ATTRIBUTE
        } else {
            trace::EVENT_ATTRIBUTE
        };
        common::put_prefix(prefix, tag, &format!("{}.chain", field.name()));
        // Behind the callsite's own slots, unless it has a field of that name itself.
        let own = self
            .fields
            .iter()
            .find(|known| common::prefix_key(&known.prefix) == common::prefix_key(prefix));
        let behind = u16::try_from(self.fields.len() + field.index()).unwrap_or(u16::MAX);
        Key {
            slot: own.map_or(behind, |own| own.slot),
            prefix,
        }
    }

    /// Whether the layer's own filter lets this callsite pass.
    #[inline]
    pub(super) fn passes(&self, filter: &Filter) -> bool {
        let generation = filter.generation();
        let known = self.filtered.load(Ordering::Relaxed);
        if known >> 1 == generation {
            return known & 1 == 1;
        }
        self.ask(filter)
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
    tag: u8,
    constants: Vec<u8>,
    count: u32,
    dropped: u32,
    slots: u64,
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
            trace::put_kind(&mut self.constants, trace::Kind::Internal);
        }
        self.put_attributes(is_span);
        let is_exception = self.declares("error") && !self.declares("message");
        // "The name of the event MUST be `exception`" (specification, exceptions).
        let event_name = if is_exception {
            "exception"
        } else {
            metadata.name()
        };
        let fields = metadata
            .fields()
            .iter()
            .map(|field| self.field(&field, is_span))
            .collect();
        Template {
            metadata,
            scope: common::scope(metadata.target()).into(),
            constants: self.constants.into(),
            constant_attributes: self.count,
            constant_dropped: self.dropped,
            constant_slots: self.slots,
            event_name,
            late_name,
            late_kind,
            fields,
            // Before the first filter everything passes.
            filtered: AtomicU64::new(1),
        }
    }

    fn declares(&self, name: &str) -> bool {
        self.metadata.fields().field(name).is_some()
    }

    fn put_attributes(&mut self, is_span: bool) {
        let metadata = self.metadata;
        if self.config.level || !is_span {
            self.put("level", |out, prefix| {
                common::put_str(out, prefix, metadata.level().as_str())
            });
        }
        if self.config.target || !is_span {
            self.put("target", |out, prefix| {
                common::put_str(out, prefix, metadata.target())
            });
        }
        if !self.config.location {
            return;
        }
        if let Some(file) = metadata.file() {
            self.put("code.file.path", |out, prefix| {
                common::put_str(out, prefix, file)
            });
        }
        if let Some(module) = metadata.module_path() {
            self.put("code.module.name", |out, prefix| {
                common::put_str(out, prefix, module)
            });
        }
        if let Some(line) = metadata.line() {
            self.put("code.line.number", |out, prefix| {
                common::put_int(out, prefix, line.into())
            });
        }
    }

    fn put(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>, &[u8])) {
        if self.count >= self.limit {
            self.dropped += 1;
            return;
        }
        self.count += 1;
        let mut prefix = Vec::new();
        common::put_prefix(&mut prefix, self.tag, key);
        value(&mut self.constants, &prefix);
        if let Some(slot) = self.slot(key).filter(|slot| *slot < 64) {
            self.slots |= 1 << slot;
        }
    }

    fn field(&self, field: &Field, is_span: bool) -> FieldTemplate {
        let name = field.name();
        let role = match (is_span, name) {
            (true, "otel.name") => Role::Name,
            (true, "otel.kind") => Role::Kind,
            (true, "otel.status_code") => Role::StatusCode,
            (true, "otel.status_description") => Role::StatusDescription,
            (false, "message") => Role::Message,
            (false, "error") if !self.declares("message") => Role::Exception,
            _ => Role::Attribute,
        };
        let key = if role == Role::Exception {
            "exception.message"
        } else {
            name
        };
        let mut prefix = Vec::new();
        common::put_prefix(&mut prefix, self.tag, key);
        let slot = self
            .slot(name)
            .and_then(|slot| u16::try_from(slot).ok())
            .unwrap_or(u16::MAX);
        FieldTemplate {
            role,
            slot,
            prefix: prefix.into(),
        }
    }

    /// The first field of this name has the slot.
    fn slot(&self, name: &str) -> Option<usize> {
        self.metadata
            .fields()
            .iter()
            .position(|field| field.name() == name)
    }
}

/// All templates of a layer. Read without a lock: a fixed table of chains that only grow.
///
/// There are as many callsites as the program has `span!` and `event!` in its text, so nothing is ever removed.
pub(super) struct Templates {
    buckets: Box<[Link]>,
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
            buckets: (0..BUCKETS).map(|_| Link::new()).collect(),
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
            let node = link.get_or_init(|| self.node(metadata));
            if std::ptr::eq(node.template.metadata, metadata) {
                return &node.template;
            }
            link = &node.next;
        }
    }

    #[cold]
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
            tag: if is_span {
                trace::SPAN_ATTRIBUTE
            } else {
                trace::EVENT_ATTRIBUTE
            },
            constants: Vec::new(),
            count: 0,
            dropped: 0,
            slots: 0,
        };
        Box::new(Node {
            template: builder.build(),
            next: Link::new(),
        })
    }
}
