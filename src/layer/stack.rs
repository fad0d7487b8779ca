//! Which span is current on this thread: a mirror of the Registry's own stack.
//!
//! Asking the Registry costs as much as encoding an attribute or two. The mirror is exact as long as the layer sees every
//! span being entered, which it does unless a per-layer filter stands before it (see [`super::OtlpLayer`]), and as long as
//! there is room. A layer that once found no room asks the Registry from then on.

use std::cell::Cell;

use super::fresh::Entered;
use super::span::Place;
use crate::sync::{AtomicU64, Ordering};

/// So many layers have a mirror on one thread,
const LAYERS: usize = 2;
/// and so many spans are entered in it at a time.
const DEPTH: usize = 16;

/// What is current on this thread, as far as the mirror knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Current {
    /// No span is.
    Nothing,
    /// This span is, and it is one of ours, of which the place is known.
    Ours(u64),
    /// This span is; nothing else is known of it.
    Span(u64),
    /// Ask the Registry.
    Unknown,
}

/// Whose mirror it is, and whether it is right.
#[derive(Debug)]
pub(super) struct Mirror {
    /// Distinct in the process.
    layer: u64,
    /// Relaxed: it moves before the first span is entered, or gives up for good; a thread that sees that late has only its
    /// own stack, which is right until then.
    state: AtomicU64,
}

/// Nobody has asked the layer for its level: a per-layer filter stands before it, as far as is known.
const UNASKED: u64 = 0;
/// The subscriber has asked; no span was entered yet.
const ASKED: u64 = 1;
const TRUSTED: u64 = 2;
const BROKEN: u64 = 3;

#[derive(Debug)]
struct Stack {
    layer: Cell<u64>,
    depth: Cell<usize>,
    entered: [Cell<u64>; DEPTH],
    /// A bit for each span that is on the stack already, further below: the Registry does not count it again.
    again: Cell<u32>,
    /// The span that was created last, until it starts; as a rule it is entered next, and current when its children and events
    /// come. 0 is none.
    created: Cell<u64>,
    /// That one when it has started, so that its place is fixed. 0 is none.
    started: Cell<u64>,
    /// The place of either.
    place: Cell<Place>,
}

thread_local! {
    // Without a destructor: it works also while the thread's other locals are destroyed.
    static STACKS: [Stack; LAYERS] = const { [const { Stack::new() }; LAYERS] };
}

impl Mirror {
    pub(super) fn new() -> Self {
        static LAYERS: AtomicU64 = AtomicU64::new(1);
        Self {
            layer: LAYERS.fetch_add(1, Ordering::Relaxed),
            state: AtomicU64::new(UNASKED),
        }
    }

    /// The subscriber asks for the layer's level.
    pub(super) fn ask(&self) {
        // Only before the first span is entered does it say anything.
        let _ = self
            .state
            .compare_exchange(UNASKED, ASKED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether a span that is entered now belongs into the mirror; of the first one, `sees_all` tells whether the layer sees
    /// every span being entered.
    ///
    /// One look at the state: of threads that enter their first spans at once, whoever comes second finds the verdict.
    #[inline]
    pub(super) fn takes(&self, sees_all: impl FnOnce() -> bool) -> bool {
        match self.state.load(Ordering::Relaxed) {
            TRUSTED => true,
            ASKED => self.decide(sees_all()),
            _ => false,
        }
    }

    #[cold]
    fn decide(&self, sees_all: bool) -> bool {
        let verdict = if sees_all { TRUSTED } else { BROKEN };
        // Of two threads the first one decides, and a mirror that is broken stays so.
        let _ = self
            .state
            .compare_exchange(ASKED, verdict, Ordering::Relaxed, Ordering::Relaxed);
        self.is_trusted()
    }

    #[inline]
    pub(super) fn is_trusted(&self) -> bool {
        self.state.load(Ordering::Relaxed) == TRUSTED
    }

    /// Works on this layer's stack on this thread.
    #[inline]
    fn with<T>(&self, work: impl FnOnce(Option<&Stack>) -> T) -> T {
        STACKS.with(|stacks| work(stacks.iter().find(|stack| stack.layer.get() == self.layer)))
    }

    /// A span of this layer was created on this thread.
    #[inline]
    pub(super) fn created(&self, id: u64, place: &Place) {
        self.with(|stack| {
            if let Some(stack) = stack {
                stack.created.set(id);
                stack.started.set(0);
                stack.place.set(*place);
            }
        });
    }

    /// A span that is entered on this thread has started, there.
    pub(super) fn started(&self, id: u64, place: &Place) {
        self.with(|stack| {
            if let Some(stack) = stack {
                stack.created.set(0);
                stack.started.set(id);
                stack.place.set(*place);
            }
        });
    }

    /// A span was closed, as a rule after it was left.
    #[inline]
    pub(super) fn closed(&self, id: u64) {
        self.with(|stack| {
            if let Some(stack) = stack {
                stack.forget(id);
            }
        });
    }

    #[inline]
    pub(super) fn enter(&self, id: u64, entered: Entered) {
        let pushed = self.with(|stack| {
            stack.is_some_and(|stack| {
                stack.start(id, entered);
                // What is entered for the first time is not there yet.
                stack.push(id, entered != Entered::Now && stack.has(id))
            })
        });
        if !pushed {
            self.claim(id);
        }
    }

    /// Takes over a stack on which nothing is entered: its layer is gone, or will claim one again.
    #[cold]
    fn claim(&self, id: u64) {
        let mine = |stack: &&Stack| stack.layer.get() == self.layer;
        STACKS.with(
            |stacks| match stacks.iter().find(|stack| stack.depth.get() == 0) {
                Some(stack) if !stacks.iter().any(|stack| mine(&stack)) => {
                    stack.layer.set(self.layer);
                    stack.created.set(0);
                    stack.started.set(0);
                    stack.push(id, false);
                }
                _ => self.state.store(BROKEN, Ordering::Relaxed),
            },
        );
    }

    #[inline]
    pub(super) fn exit(&self, id: u64) {
        self.with(|stack| {
            if let Some(stack) = stack {
                stack.pop(id);
            }
        });
    }

    /// What is current; of a span of ours, `place` becomes its place.
    #[inline]
    pub(super) fn current(&self, place: &mut Place) -> Current {
        if !self.is_trusted() {
            return Current::Unknown;
        }
        // Without a stack, nothing was entered on this thread, or all was left before another layer took the stack over.
        self.with(|stack| stack.map_or(Current::Nothing, |stack| stack.current(place)))
    }
}

impl Stack {
    const fn new() -> Self {
        Self {
            layer: Cell::new(0),
            depth: Cell::new(0),
            entered: [const { Cell::new(0) }; DEPTH],
            again: Cell::new(0),
            created: Cell::new(0),
            started: Cell::new(0),
            place: Cell::new(Place::NOWHERE),
        }
    }

    /// What is known of the span that was created here, now that it is entered.
    #[inline]
    fn start(&self, id: u64, entered: Entered) {
        if self.created.get() == id {
            self.created.set(0);
            if entered == Entered::Now {
                self.started.set(id);
            }
        }
    }

    /// A span is closed: another one may get its id.
    #[inline]
    fn forget(&self, id: u64) {
        for known in [&self.started, &self.created] {
            if known.get() == id {
                known.set(0);
            }
        }
    }

    #[inline(never)]
    fn has(&self, id: u64) -> bool {
        let entered = self.entered.iter().take(self.depth.get());
        entered.into_iter().any(|entered| entered.get() == id)
    }

    /// `false` when there is no room.
    #[inline]
    fn push(&self, id: u64, again: bool) -> bool {
        let depth = self.depth.get();
        let Some(place) = self.entered.get(depth) else {
            return false;
        };
        if again != self.is_again(depth) {
            self.again.set(self.again.get() ^ 1 << depth);
        }
        place.set(id);
        self.depth.set(depth + 1);
        true
    }

    #[inline]
    fn is_again(&self, at: usize) -> bool {
        self.again.get() >> at & 1 == 1
    }

    #[inline]
    fn pop(&self, id: u64) {
        let Some(top) = self.depth.get().checked_sub(1) else {
            return;
        };
        if self
            .entered
            .get(top)
            .is_some_and(|entered| entered.get() == id)
        {
            self.depth.set(top);
        } else {
            self.take_out(id, top);
        }
    }

    /// Spans are left out of order.
    #[cold]
    fn take_out(&self, id: u64, top: usize) {
        let Some(at) = self.entered[..top]
            .iter()
            .rposition(|entered| entered.get() == id)
        else {
            return;
        };
        for place in at..top {
            self.entered[place].set(self.entered[place + 1].get());
        }
        let below = (1 << at) - 1;
        self.again
            .set(self.again.get() & below | self.again.get() >> 1 & !below);
        self.depth.set(top);
    }

    #[inline]
    fn current(&self, place: &mut Place) -> Current {
        let mut depth = self.depth.get();
        while let Some(top) = depth.checked_sub(1) {
            if !self.is_again(top) {
                let id = self.entered.get(top).map_or(0, Cell::get);
                if self.started.get() != id {
                    return Current::Span(id);
                }
                *place = self.place.get();
                return Current::Ours(id);
            }
            depth = top;
        }
        Current::Nothing
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(current: Current) -> Option<u64> {
        match current {
            Current::Nothing => None,
            Current::Ours(id) | Current::Span(id) => Some(id),
            Current::Unknown => panic!("the mirror is trusted"),
        }
    }

    fn current(mirror: &Mirror) -> Current {
        let mut place = Place::NOWHERE;
        mirror.current(&mut place)
    }

    proptest! {
        /// The naive model does what the Registry does: a list of ids with a mark for those that are on it already.
        #[test]
        fn it_mirrors_the_registrys_stack(steps in proptest::collection::vec((1_u64..6, any::<bool>()), 0..60)) {
            let mirror = Mirror::new();
            mirror.ask();
            mirror.decide(true);
            let mut model: Vec<(u64, bool)> = Vec::new();
            for (span, enters) in steps {
                if enters && model.len() < DEPTH {
                    model.push((span, model.iter().any(|(known, _)| *known == span)));
                    mirror.enter(span, Entered::Before);
                } else if let Some(at) = model.iter().rposition(|(known, _)| *known == span) {
                    model.remove(at);
                    mirror.exit(span);
                }
                let expected = model.iter().rev().find(|(_, again)| !again).map(|(id, _)| *id);
                prop_assert_eq!(id(current(&mirror)), expected);
            }
            model.iter().for_each(|(span, _)| mirror.exit(*span));
        }
    }

    /// Where the span that was created last is current, its place need not be asked for, until it is closed.
    #[test]
    fn the_place_is_known_from_the_start_to_the_end() {
        let mirror = Mirror::new();
        mirror.ask();
        mirror.decide(true);
        let of_epoch = |epoch| Place {
            epoch,
            ..Place::NOWHERE
        };
        // Claims a stack.
        mirror.enter(1, Entered::Before);
        for (entered, is_known) in [(Entered::Now, true), (Entered::Look, false)] {
            mirror.created(2, &of_epoch(2));
            assert!(matches!(current(&mirror), Current::Span(1)));
            mirror.enter(2, entered);
            let mut place = Place::NOWHERE;
            let found = mirror.current(&mut place);
            assert_eq!(matches!(found, Current::Ours(2)), is_known, "{found:?}");
            assert_eq!(place.epoch == 2, is_known);
            mirror.exit(2);
            mirror.closed(2);
            mirror.enter(2, Entered::Before);
            assert!(matches!(current(&mirror), Current::Span(2)), "another one");
            mirror.exit(2);
        }
        mirror.started(1, &of_epoch(1));
        assert!(matches!(current(&mirror), Current::Ours(1)));
        mirror.exit(1);
    }

    /// A verdict that comes while another thread looks is the other thread's too.
    #[test]
    fn threads_that_enter_their_first_spans_at_once_are_all_mirrored() {
        for _ in 0..2_000 {
            let mirror = Mirror::new();
            mirror.ask();
            let start = std::sync::Barrier::new(4);
            let enter = || {
                start.wait();
                mirror.takes(|| true)
            };
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
                for thread in threads {
                    assert!(thread.join().expect("no thread panics"));
                }
            });
        }
    }

    #[test]
    fn layers_beyond_the_room_ask_the_registry_and_so_do_deep_stacks() {
        let mirrors: Vec<Mirror> = (0..=LAYERS).map(|_| Mirror::new()).collect();
        mirrors.iter().for_each(|mirror| {
            mirror.ask();
            mirror.decide(true);
        });
        mirrors
            .iter()
            .for_each(|mirror| mirror.enter(1, Entered::Before));
        assert_eq!(
            mirrors.iter().filter(|mirror| mirror.is_trusted()).count(),
            LAYERS
        );
        mirrors.iter().for_each(|mirror| mirror.exit(1));
        let deep = Mirror::new();
        deep.ask();
        deep.decide(true);
        (1..=DEPTH as u64).for_each(|id| deep.enter(id, Entered::Before));
        assert!(deep.is_trusted());
        deep.enter(99, Entered::Before);
        assert!(matches!(current(&deep), Current::Unknown));
    }
}
