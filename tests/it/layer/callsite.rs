//! Callsites made at run time: any names, any fields, in any number. The macros give constants only.

use std::sync::OnceLock;

use tracing::callsite::{Callsite, Identifier};
use tracing::field::{FieldSet, Value};
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Span};

/// What a callsite says of itself.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) level: Level,
    pub(super) file: Option<String>,
    pub(super) module: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) fields: Vec<String>,
}

impl Shape {
    pub(super) fn with_fields<'f>(name: &str, fields: impl IntoIterator<Item = &'f str>) -> Self {
        Self {
            name: name.to_owned(),
            target: "target".to_owned(),
            level: Level::INFO,
            file: None,
            module: None,
            line: None,
            fields: fields.into_iter().map(str::to_owned).collect(),
        }
    }

    pub(super) fn span(&self) -> &'static Metadata<'static> {
        self.leak(Kind::SPAN)
    }

    pub(super) fn event(&self) -> &'static Metadata<'static> {
        self.leak(Kind::EVENT)
    }

    fn leak(&self, kind: Kind) -> &'static Metadata<'static> {
        let callsite: &'static Dynamic = Box::leak(Box::new(Dynamic(OnceLock::new())));
        let names: Vec<_> = self.fields.iter().map(|name| leaked(name)).collect();
        callsite.0.get_or_init(|| {
            Metadata::new(
                leaked(&self.name),
                leaked(&self.target),
                self.level,
                self.file.as_deref().map(leaked),
                self.line,
                self.module.as_deref().map(leaked),
                FieldSet::new(Vec::leak(names), Identifier(callsite)),
                kind,
            )
        })
    }
}

fn leaked(text: &str) -> &'static str {
    String::leak(text.to_owned())
}

/// A callsite that is not registered: nothing asks for its interest.
struct Dynamic(OnceLock<Metadata<'static>>);

impl Callsite for Dynamic {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().unwrap()
    }
}

/// Values for the fields of a callsite, in their order.
pub(super) type Values<'v> = Vec<Option<&'v dyn Value>>;

pub(super) fn open(metadata: &'static Metadata<'static>, values: &Values<'_>) -> Span {
    Span::new(metadata, &metadata.fields().value_set_all(values))
}

pub(super) fn record(span: &Span, values: &Values<'_>) {
    let fields = span.metadata().unwrap().fields();
    span.record_all(&fields.value_set_all(values));
}

pub(super) fn event(metadata: &'static Metadata<'static>, values: &Values<'_>) {
    Event::dispatch(metadata, &metadata.fields().value_set_all(values));
}
