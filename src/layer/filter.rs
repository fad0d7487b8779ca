//! The layer's own filter, which a handle can change while the program runs.
//!
//! `tracing_subscriber`'s `reload` hides the layer that it wraps from `downcast_ref`, and its `Filtered` cannot be changed
//! at all; this one does neither, and other layers do not notice it.

use std::sync::{PoisonError, RwLock};

use tracing_core::Level;
use tracing_subscriber::filter::Targets;

use crate::pattern::Pattern;
use crate::queue::Pressure;
use crate::sync::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Filter {
    wanted: RwLock<Wanted>,
    /// How often the filter was set. Written under the write lock; a reader that sees an old one decides as if it had
    /// come a moment earlier.
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Wanted {
    /// `None` enables all.
    targets: Option<Targets>,
    /// Targets that are disabled whatever else is said.
    disabled: Box<[Pattern]>,
    /// How short memory is, where anybody wants to know.
    pressure: Pressure,
    /// Who begins a span is asked each time: it may have to wait, or there may be too many a second.
    looks_each_time: bool,
}

impl Filter {
    /// From now on, only what these targets enable is recorded.
    pub(crate) fn set(&self, targets: Targets) {
        self.change(|wanted| wanted.targets = Some(targets));
    }

    /// From now on, nothing of these targets is recorded.
    pub(crate) fn disable(&self, targets: Vec<Pattern>) {
        self.change(|wanted| wanted.disabled = targets.into());
    }

    /// From now on, memory is so short: callsites are looked at with care, or no longer.
    pub(crate) fn press(&self, pressure: Pressure) {
        self.change(|wanted| wanted.pressure = pressure);
    }

    /// From now on, who begins a span is asked each time.
    pub(crate) fn look_each_time(&self) {
        self.change(|wanted| wanted.looks_each_time = true);
    }

    /// From now on nobody is asked: nothing is exported any more.
    pub(crate) fn relax(&self) {
        self.change(|wanted| {
            wanted.pressure = Pressure::None;
            wanted.looks_each_time = false;
        });
    }

    /// Whether callsites are looked at with care.
    pub(super) fn is_careful(&self) -> bool {
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        wanted.looks_each_time || wanted.pressure != Pressure::None
    }

    pub(super) fn pressure(&self) -> Pressure {
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        wanted.pressure
    }

    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut wanted);
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The answer for a callsite of this target and level, and the generation of the filter that gave it.
    pub(super) fn decide(&self, target: &str, level: &Level) -> (u64, bool) {
        (self.generation(), self.wants(target, level))
    }

    /// Whether this is recorded.
    pub(super) fn wants(&self, target: &str, level: &Level) -> bool {
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        let is_wanted = wanted
            .targets
            .as_ref()
            .is_none_or(|targets| targets.would_enable(target, level));
        let is_disabled = || {
            wanted
                .disabled
                .iter()
                .any(|disabled| disabled.matches(target))
        };
        is_wanted && !is_disabled()
    }
}
