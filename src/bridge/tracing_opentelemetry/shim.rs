//! The tracer that their layer starts its spans with: each is a span of ours, which takes over what was said to theirs.

use std::sync::Arc;

use super::api::{self, Span};
use super::cells::Cells;
use super::compat::{SPAN, Untouched};
use super::opentelemetry::trace::{SpanBuilder, SpanContext, Tracer};
use super::opentelemetry::{Context, Value};

#[derive(Debug)]
pub(super) struct Shim(Arc<Cells>);

impl Shim {
    pub(super) fn new(cells: Arc<Cells>) -> Self {
        Self(cells)
    }

    fn build(&self, mut builder: SpanBuilder, parent: &Context) -> Option<Span> {
        let attributes = builder.attributes.as_mut()?;
        let at = attributes
            .iter()
            .position(|pair| pair.key.as_str() == SPAN)?;
        let Value::I64(number) = attributes.remove(at).value else {
            return None;
        };
        let id = number.cast_unsigned();
        let far = self.0.far(id)?;
        let _building = self.0.build(id)?;
        let is_untouched = |Untouched(known): &Untouched| *known == id;
        if !parent.get::<Untouched>().is_some_and(is_untouched) {
            // Where it has started, nobody can.
            far.set_parent(&parent.into());
        }
        api::describe(&builder, &far);
        self.0.told(id);
        let started = far.start()?;
        // An event would have started it.
        api::add_events(&builder, &far);
        Some(Span::new(started.span()?.into(), far))
    }
}

impl Tracer for Shim {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let built = self.build(builder, parent);
        built.unwrap_or_else(|| Span::not_recorded(SpanContext::NONE))
    }
}
