//! A span that no layer was told of: made by the Registry itself, once, and left open for as long as that lives.
//!
//! It is a question's second name (see [`super::reach`]). A per-layer filter passes on what concerns two spans only if it
//! enabled both, and of this one no filter has said anything, which counts as enabled. Other layers find that it holds nothing
//! of theirs.

use std::sync::Mutex;

use tracing_core::dispatcher::WeakDispatch;
use tracing_core::field::{Field, Value};
use tracing_core::span::{Attributes, Id};
use tracing_core::{Dispatch, Kind, Level, Metadata, Subscriber};
use tracing_subscriber::Registry;

use super::super::stub::Stub;
use crate::quiet;
use crate::sync::lock;

/// One that was made while a filter was deciding may count as disabled. So another one is made as long as none has been
/// answered, up to so many a Registry.
const MOST: u8 = 4;

/// Those of the Registries that are alive; who is not asked behind `reload` leaves it empty.
static STRAYS: Mutex<Vec<Stray>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Stray {
    /// The address of its Registry, which is nobody else's while the dispatcher is alive.
    registry: usize,
    dispatch: WeakDispatch,
    span: u64,
    made: u8,
    is_proven: bool,
}

/// The stray span of a dispatcher's Registry. `None` where there is no Registry, or it has no room.
pub(super) fn of(dispatch: &Dispatch) -> Option<Id> {
    let registry = dispatch.downcast_ref::<Registry>()?;
    let known = known(registry, |stray| {
        let is_good = stray.is_proven || stray.made >= MOST;
        (stray.span, stray.made, is_good)
    });
    let made = match known {
        Some((span, _, true)) => return Some(Id::from_u64(span)),
        Some((_, made, false)) => made,
        None => 0,
    };
    // Not under the lock. During a thread's end the Registry panics here.
    let span = quiet::guarded(|| make(registry)).ok()?;
    keep(Stray {
        registry: address(registry),
        dispatch: dispatch.downgrade(),
        span: span.into_u64(),
        made: made + 1,
        is_proven: false,
    });
    Some(span)
}

/// The Registry's stray span was answered, so that no filter stands in its way.
pub(super) fn proved(dispatch: &Dispatch) {
    if let Some(registry) = dispatch.downcast_ref::<Registry>() {
        known(registry, |stray| stray.is_proven = true);
    }
}

fn address(registry: &Registry) -> usize {
    std::ptr::from_ref(registry).addr()
}

fn known<T>(registry: &Registry, work: impl FnOnce(&mut Stray) -> T) -> Option<T> {
    let address = address(registry);
    // It is dropped after the lock, since it may be the last one: a subscriber is anybody's code.
    let alive;
    let mut strays = lock(&STRAYS);
    let stray = strays.iter_mut().find(|stray| stray.registry == address)?;
    alive = stray.dispatch.upgrade();
    alive.is_some().then(|| work(stray))
}

/// Takes the place of the last one of its Registry, and of all whose dispatchers are gone.
fn keep(stray: Stray) {
    let mut alive = Vec::new();
    let mut strays = lock(&STRAYS);
    strays.retain(|known| {
        let dispatch = known.dispatch.upgrade();
        let stays = dispatch.is_some() && known.registry != stray.registry;
        alive.push(dispatch);
        stays
    });
    strays.push(stray);
    drop(strays);
}

fn make(registry: &Registry) -> Id {
    let no_fields: [(&Field, Option<&dyn Value>); 0] = [];
    let values = METADATA.fields().value_set(&no_fields);
    registry.new_span(&Attributes::new_root(&METADATA, &values))
}

static SITE: Stub = Stub(|| &METADATA);

static METADATA: Metadata<'static> = tracing_core::metadata! {
    name: "stray",
    target: module_path!(),
    level: Level::TRACE,
    fields: &[],
    callsite: &SITE,
    kind: Kind::SPAN
};

#[cfg(test)]
mod tests {
    use tracing_subscriber::registry::LookupSpan;

    use super::*;

    #[test]
    fn a_registry_has_a_few_until_one_is_answered() {
        let dispatch = Dispatch::new(tracing_subscriber::registry());
        let ids: Vec<_> = (0..10).filter_map(|_| of(&dispatch)).collect();
        let mut distinct = ids.clone();
        distinct.dedup();
        assert_eq!((ids.len(), distinct.len()), (10, usize::from(MOST)));

        let other = Dispatch::new(tracing_subscriber::registry());
        let first = of(&other);
        proved(&other);
        assert_eq!((of(&other), of(&other)), (first.clone(), first.clone()));
        let registry = other.downcast_ref::<Registry>().unwrap();
        assert!(registry.span(&first.unwrap()).is_some());
    }

    #[test]
    fn those_of_registries_that_are_gone_are_forgotten() {
        for _ in 0..100 {
            assert!(of(&Dispatch::new(tracing_subscriber::registry())).is_some());
        }
        let dispatch = Dispatch::new(tracing_subscriber::registry());
        of(&dispatch);
        let mut alive = Vec::new();
        let strays = lock(&STRAYS);
        alive.extend(strays.iter().filter_map(|stray| stray.dispatch.upgrade()));
        // Other tests of this process may have some.
        assert!(
            strays.len() < 50 && alive.len() == strays.len(),
            "{}",
            strays.len()
        );
    }

    #[test]
    fn without_a_registry_there_is_none() {
        assert_eq!(of(&Dispatch::none()), None);
    }
}
