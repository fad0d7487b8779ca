//! What is secret, by its key or by what it looks like, and what stands in its place.
//!
//! A first look tells which kinds may be in a text at all. Each is found by a scanner of its own, which looks at each byte a few
//! times at most, however the text is made.

mod cards;
mod emails;
mod keys;
mod look;
mod mask;
mod tokens;

use std::borrow::Cow;
use std::ops::Range;

use self::look::Look;
use crate::model::Value;
use crate::pattern::Pattern;

/// What stands in the place of a secret.
pub(crate) const MASK: &str = "[redacted]";

/// Values are looked into so deep. An array or a map below becomes an empty value.
const DEPTH: u32 = 128;

/// The key of a span's name, as the field that gives it is called.
const SPAN_NAME: &str = "otel.name";

/// Kinds of secrets that a [`Redaction`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Secret {
    /// Values of headers that carry credentials, by their keys.
    AuthorizationHeader,
    /// What follows `Bearer` or `Basic` in a text, and JSON Web Tokens anywhere.
    Token,
    /// E-mail addresses.
    Email,
    /// Numbers of payment cards.
    CardNumber,
}

impl Secret {
    /// All kinds, in the order of their declaration.
    pub const ALL: &[Self] = &[
        Self::AuthorizationHeader,
        Self::Token,
        Self::Email,
        Self::CardNumber,
    ];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Replaces secrets before anything is encoded: a ready-made [`Processor`](crate::Processor), for
/// [`Builder::with_processor`](crate::Builder::with_processor).
///
/// ```
/// use tracing_otlp::Redaction;
///
/// let builder = tracing_otlp::layer().with_processor(Redaction::new().with_keys(["*password*", "db.dsn"]));
/// # drop(builder);
/// ```
///
/// | Kind | What is replaced |
/// |---|---|
/// | [`Secret::AuthorizationHeader`] | The whole value, where the key, or what stands behind its last dot (as in `http.request.header.cookie`), is one of `authorization`, `proxy-authorization`, `cookie`, `set-cookie`, `api-key`, `apikey`, `x-api-key`, `x-auth-token`, `x-access-token`, `x-csrf-token`, `x-xsrf-token`, `x-amz-security-token`, `x-goog-api-key`, `x-vault-token`, `private-token`, `ocp-apim-subscription-key`. Upper and lower case are alike, and so are `-` and `_` |
/// | [`Secret::Token`] | Behind `Bearer` and spaces, characters of `A-Za-z0-9-._~+/=` (RFC 6750), eight of them or a digit among them. Behind `Basic` and spaces, base64 of something with a colon. Three parts of base64url or more, joined by dots, the first of which begins with `eyJ`, the others may be empty: JSON Web Tokens (RFC 7519), signed, encrypted or neither |
/// | [`Secret::Email`] | `local@domain.tld`, also with `%40` for the sign. The local part is of letters, digits and ``.!#$%&'*+-^_`{\|}~``; the last label of the domain has two characters or more, and begins with a letter |
/// | [`Secret::CardNumber`] | 13 to 19 digits, the first of them 2 to 6 or 8, in groups with one space or `-` between two, whose check digit is right (ISO/IEC 7812, Luhn); also as an integer. One of ten such numbers that are no cards has the right check digit by chance |
/// | keys of one's own | The whole value, by [`Redaction::with_keys`] |
///
/// A secret becomes `[redacted]`: the whole value if its key is the reason, else its part of the text. Text is redacted before it is cut at a
/// limit. Looked at are attributes of spans, events, links and log records, the keys and texts inside arrays and maps, bytes, messages,
/// status descriptions, errors with the texts of their sources, and what a processor sets. Not looked at are what the program's text itself
/// holds (names of callsites and fields, `code.*`, targets), keys, span names (but see [`Redaction::with_span_names`]), and what goes from process
/// to process (tracestate, baggage).
#[derive(Clone, Debug)]
#[must_use = "it has an effect when it is given to `Builder::with_processor`"]
pub struct Redaction {
    kinds: u8,
    keys: Vec<Pattern>,
    has_span_names: bool,
}

impl Redaction {
    /// All kinds of secrets.
    pub fn new() -> Self {
        Self::of(Secret::ALL.iter().copied())
    }

    /// These kinds of secrets; none of them, where only [`Redaction::with_keys`] is to say what is secret.
    pub fn of(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self {
            kinds: secrets
                .into_iter()
                .fold(0, |kinds, kind| kinds | kind.bit()),
            keys: Vec::new(),
            has_span_names: false,
        }
    }

    /// Further keys whose values are secret: `*` stands for any characters or none, `?` for any one. Upper and lower case are alike, and
    /// so are `-` and `_`. The key of an error is its field's also for its sources, and a message's is `message`.
    pub fn with_keys<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.keys.extend(keys.into_iter().map(Pattern::new));
        self
    }

    /// Whether secrets are looked for in span names as well: in `otel.name`, `SpanExt::update_name` and `Record::set_name`. Off by
    /// default, since a name says of many spans what they have in common.
    pub fn with_span_names(mut self, on: bool) -> Self {
        self.has_span_names = on;
        self
    }

    fn looks_for(&self, kind: Secret) -> bool {
        self.kinds & kind.bit() != 0
    }

    /// Replaces what is secret in a value. Allocates where there is any.
    pub(crate) fn redact(&self, key: &str, value: &mut Value<'_>) {
        if self.has_span_names || key != SPAN_NAME {
            self.redact_at(key, value, 1);
        }
    }

    fn redact_at(&self, key: &str, value: &mut Value<'_>, level: u32) {
        if self.is_secret(key) {
            *value = Value::Str(Cow::Borrowed(MASK));
            return;
        }
        match value {
            Value::Str(text) => {
                if let Some(masked) = mask::mask(text.as_bytes(), &self.find(text.as_bytes())) {
                    // Scanners cut between characters.
                    *text = Cow::Owned(String::from_utf8_lossy(&masked).into_owned());
                }
            }
            Value::Bytes(bytes) => {
                if let Some(masked) = mask::mask(bytes, &self.find(bytes)) {
                    *bytes = Cow::Owned(masked);
                }
            }
            Value::Int(number) => {
                if self.looks_for(Secret::CardNumber) && cards::is_card(number.unsigned_abs()) {
                    *value = Value::Str(Cow::Borrowed(MASK));
                }
            }
            Value::Array(_) | Value::Map(_) if level >= DEPTH => *value = Value::Empty,
            Value::Array(values) => values
                .iter_mut()
                .for_each(|value| self.redact_at("", value, level + 1)),
            Value::Map(pairs) => pairs
                .iter_mut()
                .for_each(|(key, value)| self.redact_at(key, value, level + 1)),
            Value::Empty | Value::Bool(_) | Value::Double(_) => {}
        }
    }

    /// Whether the key alone makes a value secret.
    fn is_secret(&self, key: &str) -> bool {
        (self.looks_for(Secret::AuthorizationHeader) && keys::is_credential(key))
            || self.keys.iter().any(|pattern| pattern.matches_key(key))
    }

    /// Where secrets are in a text; they may overlap.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let look = Look::at(text);
        if look.may_have_token && self.looks_for(Secret::Token) {
            tokens::find(text, &mut found);
        }
        if look.may_have_address && self.looks_for(Secret::Email) {
            emails::find(text, &mut found);
        }
        if look.may_have_card && self.looks_for(Secret::CardNumber) {
            cards::find(text, &mut found);
        }
        found
    }
}

impl Default for Redaction {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
