//! What comes from the crate `log` by way of `tracing-log`.
//!
//! Its bridge has one callsite a level, with the target `log`, and says in fields where a record comes from: `log.target`,
//! `log.module_path`, `log.file`, `log.line`. Here these take the place of what the callsite says of itself.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use tracing_core::field::{Field, Visit};
use tracing_core::{Event, Level, Metadata};

use super::callsite::Template;
use super::templates::Templates;
use crate::sync::lock;

pub(super) const TARGET: &str = "log.target";

/// As many targets are kept, and each of so many bytes at most: 1 MiB in all.
const MOST: usize = 4096;
const LONGEST: usize = 256;

/// Whether it is a callsite of `tracing-log`'s.
pub(super) fn is_bridge(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "log"
        && metadata.name() == "log event"
        && metadata.fields().field(TARGET).is_some()
}

/// The key that the attribute of a field has; none where the field is no attribute.
pub(super) fn key(field: &'static str, has_location: bool) -> &'static str {
    match field {
        TARGET => "",
        "log.file" | "log.module_path" | "log.line" if !has_location => "",
        "log.file" => "code.file.path",
        "log.module_path" => "code.module.name",
        "log.line" => "code.line.number",
        other => other,
    }
}

/// The template of a record that came over a bridge, by the record's own target.
#[inline(never)]
pub(super) fn template<'t>(
    templates: &'t Templates,
    event: &Event<'_>,
    rest: &'t Template,
) -> &'t Template {
    let mut looking = Looking {
        templates,
        metadata: event.metadata(),
        template: rest,
    };
    event.record(&mut looking);
    looking.template
}

struct Looking<'t> {
    templates: &'t Templates,
    metadata: &'static Metadata<'static>,
    template: &'t Template,
}

impl Visit for Looking<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == TARGET
            && let Some(template) = self.templates.foreign(self.metadata, value)
        {
            self.template = template;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Where to look for the template of a target.
pub(super) fn hash(level: &Level, target: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    (level, target).hash(&mut hasher);
    hasher.finish() as usize
}

/// The same text for as long as the process lives: a scope's name is a static. `None` where it is too long, or one too many.
///
/// Targets are paths of modules as a rule, of which a program has as many as its text.
#[cold]
pub(super) fn keep(target: &str) -> Option<&'static str> {
    static KEPT: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut kept = lock(&KEPT);
    if let Some(known) = kept.get(target) {
        return Some(known);
    }
    if kept.len() >= MOST || target.len() > LONGEST {
        return None;
    }
    let target: &'static str = Box::leak(Box::from(target));
    kept.insert(target);
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_kept_once() {
        let first = keep("log_crate::once").unwrap();
        let again = keep(&String::from("log_crate::once")).unwrap();
        assert!(std::ptr::eq(first, again));
        assert_eq!(keep(&"long".repeat(100)), None);
    }

    #[test]
    fn a_field_tells_what_the_record_has() {
        let keys = [
            "message",
            "log.target",
            "log.file",
            "log.module_path",
            "log.line",
        ];
        let expected = [
            "message",
            "",
            "code.file.path",
            "code.module.name",
            "code.line.number",
        ];
        assert_eq!(keys.map(|field| key(field, true)), expected);
        assert_eq!(
            keys.map(|field| key(field, false)),
            ["message", "", "", "", ""]
        );
    }
}
