//! `OTEL_ENTITIES` (specification, entity propagation; its status is Development):
//! `type{id=value,...}[description=value,...]@schema;...`, percent-encoded.

use super::parse::{Variable, percent_decode};
use crate::resource::{Entity, consistent, is_schema_url};

/// So many of the things that are wrong are named; the others are counted.
const NAMED: usize = 4;
/// So much of a part that is wrong is shown.
const SHOWN: usize = 80;

/// "Ignore the malformed portions while processing valid parts", with one warning that names them.
pub(super) fn entities(variable: &mut Variable<'_>) -> Option<Vec<Entity>> {
    let mut wrong = Vec::new();
    let mut entities = Vec::new();
    let parts = variable.value.split(';').map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        match entity(part) {
            Ok((entity, None)) => entities.push(entity),
            Ok((entity, Some(why))) => {
                wrong.push(format!("of {} the schema is ignored: {why}", shown(part)));
                entities.push(entity);
            }
            Err(why) => wrong.push(format!("{} is skipped: {why}", shown(part))),
        }
    }
    let entities = consistent(entities, |why| wrong.push(why));
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(NAMED);
        wrong.truncate(NAMED);
        let more = if more > 0 {
            format!("; and {more} more")
        } else {
            String::new()
        };
        variable.push(format!("{}: {}{more}", variable.name, wrong.join("; ")));
    }
    (!entities.is_empty()).then_some(entities)
}

/// An entity, and what is wrong with its schema, where that alone is wrong.
fn entity(part: &str) -> Result<(Entity, Option<&'static str>), &'static str> {
    let (kind, rest) = part.split_once('{').ok_or("it has no `{`")?;
    let kind = kind.trim();
    if !is_name(kind) {
        return Err("its type is not a letter and then letters, digits, `.`, `_` or `-`");
    }
    let (id, rest) = rest.split_once('}').ok_or("it has no `}`")?;
    let id = pairs(id)?;
    if id.is_empty() {
        return Err("it has no identifying attribute");
    }
    let rest = rest.trim_start();
    let (mut description, rest) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (list, rest) = rest.split_once(']').ok_or("it has no `]`")?;
            (pairs(list)?, rest.trim_start())
        }
        None => (Vec::new(), rest),
    };
    description.retain(|(key, _)| id.iter().all(|(known, _)| known != key));
    let (schema_url, wrong) = match rest.strip_prefix('@').map(str::trim) {
        None if !rest.is_empty() => return Err("it goes on behind its attributes"),
        Some(url) if is_schema_url(url) => (url.to_owned(), None),
        Some(_) => (String::new(), Some("it is no URL")),
        None => (String::new(), None),
    };
    let entity = Entity {
        kind: kind.to_owned(),
        id,
        description,
        schema_url,
    };
    Ok((entity, wrong))
}

/// Attributes with distinct keys. The last value of a key holds.
fn pairs(list: &str) -> Result<Vec<(String, String)>, &'static str> {
    const RESERVED: &str = "an attribute has one of {}[]@= in it; write it percent-encoded";
    let mut pairs = std::collections::BTreeMap::new();
    let items = list.split(',').map(str::trim);
    for item in items.filter(|item| !item.is_empty()) {
        let (key, value) = item.split_once('=').ok_or("an attribute has no `=`")?;
        let (key, value) = (key.trim(), value.trim());
        if !is_name(key) {
            return Err("a key is not a letter and then letters, digits, `.`, `_` or `-`");
        }
        if value.contains(['{', '}', '[', ']', '@', '=']) {
            return Err(RESERVED);
        }
        let value = percent_decode(value).ok_or("a value is not percent-encoded UTF-8")?;
        pairs.insert(key.to_owned(), value);
    }
    Ok(pairs.into_iter().collect())
}

/// `[a-zA-Z][a-zA-Z0-9._-]*`
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// The part as the user wrote it, or its beginning.
fn shown(part: &str) -> String {
    match part.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}...", part.get(..end).unwrap_or_default()),
        None => format!("{part:?}"),
    }
}

#[cfg(test)]
mod tests;
