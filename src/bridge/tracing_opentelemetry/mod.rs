//! What is the same for each version of the crate `tracing-opentelemetry`: its layer inside of ours.
//!
//! Each version's folder compiles these files for itself, and says beforehand which crates `tracing_opentelemetry` and `opentelemetry` are, what
//! `api` makes of the latter, and which feature it is.

mod cells;
mod compat;
mod shim;

use std::any::TypeId;
use std::fmt;
use std::ptr;
use std::sync::Arc;

use tracing_core::span::Id;
use tracing_core::{Dispatch, Subscriber};
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt};

use self::cells::{CHECK, Cells};
use self::compat::Compat;
use self::shim::Shim;
use self::tracing_opentelemetry::OpenTelemetryLayer;
use super::{FEATURE, api, opentelemetry, tracing_opentelemetry};
use crate::layer::Guest;
use crate::quiet;
use crate::say::{Level, tell};

type Theirs = OpenTelemetryLayer<Compat, Shim>;
type Whole = Layered<Theirs, Compat>;

/// Their layer, over spans of ours.
pub(crate) struct Embed {
    whole: Arc<Whole>,
    cells: Arc<Cells>,
}

impl fmt::Debug for Embed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embed").field(&self.cells).finish()
    }
}

impl Embed {
    pub(crate) fn new() -> Self {
        let cells = Arc::new(Cells::default());
        let whole = Arc::new_cyclic(|whole| {
            let theirs = OpenTelemetryLayer::new(Shim::new(Arc::clone(&cells)))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_tracked_inactivity(false);
            Compat::new(whole.clone(), Arc::clone(&cells)).with(theirs)
        });
        Self { whole, cells }
    }

    fn part<T: 'static>(&self) -> Option<&T> {
        let whole: &dyn Subscriber = &*self.whole;
        whole.downcast_ref::<T>()
    }

    /// Whether their functions find what they look for. Where they do not, they panic.
    fn works(&self, dispatch: &Dispatch) -> bool {
        let found = quiet::guarded(|| {
            tracing_opentelemetry::get_otel_context(&Id::from_u64(CHECK), dispatch)
        });
        self.closed(CHECK);
        matches!(found, Ok(Some(_)))
    }

    /// Another layer of theirs or ours may stand before this one, and answer.
    fn answers_in(&self, dispatch: &Dispatch) -> bool {
        let answering = dispatch.downcast_ref::<Compat>();
        answering.is_some_and(|compat| self.part().is_some_and(|own| ptr::eq(compat, own)))
    }

    /// Inside of `Option` and `Vec`, no layer is told of its dispatcher: then it is tried when somebody first looks for theirs.
    #[cold]
    fn try_late(&self) {
        if let Some(dispatch) = self.cells.home().filter(|home| self.answers_in(home)) {
            self.registered(&dispatch);
        }
    }
}

impl Guest for Embed {
    fn registered(&self, dispatch: &Dispatch) {
        self.cells.set_home(dispatch);
        if self.answers_in(dispatch) && !self.works(dispatch) {
            self.cells.give_up();
            tell(
                Level::Error,
                &format!(
                    "the installed tracing-opentelemetry is not one that the feature {FEATURE} knows: \
                     its OpenTelemetrySpanExt finds no layer"
                ),
            );
        }
    }

    fn answer(&self, id: TypeId) -> Option<*const ()> {
        if self.cells.is_given_up() {
            return None;
        }
        if id == TypeId::of::<Compat>() {
            return self
                .part::<Compat>()
                .map(|compat| ptr::from_ref(compat).cast());
        }
        let theirs = self.part::<Theirs>()?;
        // SAFETY: what their layer answers with lives as long as it, and so as long as ours, which never moves out of its
        // subscriber.
        #[allow(unsafe_code, reason = "a type of theirs that has no public name")]
        let found = unsafe { Layer::<Compat>::downcast_raw(theirs, id) };
        if found.is_some() && !self.cells.has_home() {
            self.try_late();
        }
        found.filter(|_| !self.cells.is_given_up())
    }

    fn starting(&self, id: u64) {
        if self.cells.is_being_built(id) {
            return;
        }
        // What is taken over already may be about to start on another thread, which may wait for what this one does.
        if let Some(dispatch) = self.cells.dispatch_of_untold(id) {
            let _ = quiet::guarded(|| {
                tracing_opentelemetry::get_otel_context(&Id::from_u64(id), &dispatch)
            });
        }
    }

    fn closed(&self, id: u64) {
        if self.cells.private(id).is_none() {
            return;
        }
        // In debug builds, theirs panics where another thread still looks at the span.
        let _ = quiet::guarded(|| self.whole.try_close(Id::from_u64(id)));
        self.cells.close(id);
    }
}

#[cfg(test)]
mod tests;
