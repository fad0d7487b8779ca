//! All callsites' templates.

use std::sync::OnceLock;

use tracing_core::Metadata;

use super::callsite::{Builder, Kind, Template, is_exception};
use super::log_crate;
use super::route::{Events, Route, Routing};
use crate::config;

/// All templates of a layer. Read without a lock: a fixed table of chains that only grow.
///
/// There are as many callsites as the program has `span!` and `event!` in its text, so nothing is ever removed.
pub(super) struct Templates {
    // Of a known length: no bounds are checked.
    buckets: Box<[Link; BUCKETS]>,
    /// Of the crate `log`: by level and target.
    foreign: Box<[Link; FOREIGN]>,
    config: config::Record,
    limits: config::Limits,
    /// Those of log records.
    logs: config::Limits,
    routing: Routing,
}

type Link = OnceLock<Box<Node>>;

struct Node {
    template: Template,
    next: Link,
}

const BUCKETS: usize = 1024;
const FOREIGN: usize = 64;
/// Targets of the crate `log` may be made while the program runs: a chain has so many templates, and what is beyond has the
/// target of the bridge.
const MOST_FOREIGN: usize = 32;

impl Templates {
    pub(super) fn new(
        config: config::Record,
        limits: config::Limits,
        logs: config::Limits,
        routing: Routing,
    ) -> Self {
        Self {
            buckets: Box::new([const { Link::new() }; BUCKETS]),
            foreign: Box::new([const { Link::new() }; FOREIGN]),
            config,
            limits,
            logs,
            routing,
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
        link.get_or_init(|| node(self.template(metadata)))
    }

    /// The template of an event of the crate `log` by its own target; `None` where there are too many of them.
    pub(super) fn foreign(
        &self,
        metadata: &'static Metadata<'static>,
        target: &str,
    ) -> Option<&Template> {
        let mut link = &self.foreign[log_crate::hash(metadata.level(), target) % FOREIGN];
        for _ in 0..MOST_FOREIGN {
            let node = match link.get() {
                Some(node) => node,
                None => {
                    let target = log_crate::keep(target)?;
                    link.get_or_init(|| node(self.event(metadata, target, true)))
                }
            };
            let template = &node.template;
            if std::ptr::eq(template.metadata, metadata) && template.target == target {
                return Some(template);
            }
            link = &node.next;
        }
        None
    }

    fn template(&self, metadata: &'static Metadata<'static>) -> Template {
        let target = metadata.target();
        if metadata.is_span() {
            let route = self.routing.of_panics(target);
            let builder = self.builder(metadata, target, false, Kind::Span);
            return builder.build(route);
        }
        if log_crate::is_bridge(metadata) {
            let rest = self.event(metadata, target, true);
            let builder = self.builder(metadata, target, true, Kind::SpanEvent);
            return builder.build(Route::Foreign(Box::new(rest)));
        }
        self.event(metadata, target, false)
    }

    fn event(
        &self,
        metadata: &'static Metadata<'static>,
        target: &'static str,
        is_foreign: bool,
    ) -> Template {
        let builder = |kind| self.builder(metadata, target, is_foreign, kind);
        let log = || builder(Kind::Log).build(Route::Log);
        let events = self
            .routing
            .of(target, metadata.level(), is_exception(metadata));
        match events {
            Events::SpanEvents => builder(Kind::SpanEvent).build(Route::SpanEvent),
            Events::Logs => log(),
            Events::Both => builder(Kind::SpanEvent).build(Route::Both(Some(Box::new(log())))),
            Events::Off => builder(Kind::SpanEvent).build(Route::Off),
        }
    }

    fn builder(
        &self,
        metadata: &'static Metadata<'static>,
        target: &'static str,
        is_foreign: bool,
        kind: Kind,
    ) -> Builder<'_> {
        let (limit, values) = match kind {
            Kind::Span => (self.limits.attributes, self.limits.value()),
            Kind::SpanEvent => (self.limits.attributes_per_event, self.limits.value()),
            Kind::Log => (self.logs.attributes, self.logs.value()),
        };
        Builder {
            metadata,
            target,
            is_foreign,
            kind,
            config: &self.config,
            limit,
            value_length: values.length,
            constants: Vec::new(),
            count: 0,
            dropped: 0,
            bits: 0,
        }
    }
}

fn node(template: Template) -> Box<Node> {
    Box::new(Node {
        template,
        next: Link::new(),
    })
}
