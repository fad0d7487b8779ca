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

/// What is current on this thread, where nothing but the mirror need be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Top {
    /// No span is.
    Nothing,
    /// This span of ours, whose place is this.
    Ours(u64, Place),
    /// More has to be looked at: see [`Current`].
    Other,
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
/// Nobody has asked yet, but the dispatcher finds the layer.
const FOUND: u64 = 2;
const TRUSTED: u64 = 3;
const BROKEN: u64 = 4;

/// What is known of a span that is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Nothing,
    /// Its place, which is fixed.
    Known,
    /// It is on the stack already, further below: the Registry does not count it again.
    Again,
}

/// A span that is entered.
#[derive(Debug)]
#[repr(align(64))]
struct Level {
    id: Cell<u64>,
    mark: Cell<Mark>,
    /// Behind the last one, that of `created`.
    place: Cell<Place>,
}

#[derive(Debug)]
struct Stack {
    layer: Cell<u64>,
    depth: Cell<usize>,
    /// The span that was created last, until another one is entered or left; as a rule it is entered next. 0 is none.
    created: Cell<u64>,
    levels: [Level; DEPTH],
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
        self.step(UNASKED, ASKED);
        self.step(FOUND, TRUSTED);
    }

    /// A dispatcher is made that finds the layer.
    pub(super) fn find(&self) {
        self.step(UNASKED, FOUND);
        self.step(ASKED, TRUSTED);
    }

    fn step(&self, from: u64, to: u64) {
        let _ = self
            .state
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
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
        // Of two threads the first one decides, and a mirror that is broken stays so.
        self.step(ASKED, if sees_all { TRUSTED } else { BROKEN });
        self.is_trusted()
    }

    #[inline]
    pub(super) fn is_trusted(&self) -> bool {
        self.state.load(Ordering::Relaxed) == TRUSTED
    }

    /// Works on this layer's stack on this thread.
    #[inline(always)]
    fn with<T>(&self, work: impl FnOnce(Option<&Stack>) -> T) -> T {
        STACKS.with(|stacks| work(stacks.iter().find(|stack| stack.layer.get() == self.layer)))
    }

    /// A span of this layer was created on this thread.
    #[inline]
    pub(super) fn created(&self, id: u64, place: &Place) {
        self.with(|stack| {
            if let Some(stack) = stack {
                stack.create(id, place);
            }
        });
    }

    /// A span has started in `place`, which is kept of the one that was entered last on this thread.
    pub(super) fn started(&self, id: u64, place: &Place) {
        self.with(|stack| {
            if let Some(stack) = stack {
                stack.learn(id, place);
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

    /// Whether this is the span that was created last on this thread, and nothing was entered or left since.
    #[inline]
    pub(super) fn has_created(&self, id: u64) -> bool {
        self.with(|stack| stack.is_some_and(|stack| stack.created.get() == id))
    }

    /// Enters the span that was created last on this thread, if this is it, there is room for it, and it `starts` with this. `false`: it
    /// is another case, and nothing has been done.
    #[inline(always)]
    pub(super) fn enter_created(&self, id: u64, starts: impl FnOnce() -> bool) -> bool {
        self.is_trusted()
            && self.with(|stack| {
                stack.is_some_and(|stack| {
                    stack.created.get() == id && starts() && stack.push(id, Mark::Known)
                })
            })
    }

    #[inline]
    pub(super) fn enter(&self, id: u64, entered: Entered) {
        let pushed = self.with(|stack| {
            stack.is_some_and(|stack| {
                // What is entered for the first time is not there yet.
                let mark = if entered == Entered::Now {
                    if stack.created.get() == id {
                        Mark::Known
                    } else {
                        Mark::Nothing
                    }
                } else if stack.has(id) {
                    Mark::Again
                } else {
                    Mark::Nothing
                };
                stack.push(id, mark)
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
                    stack.push(id, Mark::Nothing);
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

    /// What is current, if that needs no more than a look at the top of the stack.
    ///
    /// In two small looks: what is large is not inlined where it is used.
    #[inline(always)]
    pub(super) fn top(&self) -> Top {
        if !self.is_trusted() {
            return Top::Other;
        }
        match self.with(|stack| stack.map_or(Some(0), Stack::known)) {
            None => Top::Other,
            Some(0) => Top::Nothing,
            Some(id) => Top::Ours(
                id,
                self.with(|stack| stack.map_or(Place::NOWHERE, Stack::place)),
            ),
        }
    }

    /// The span of ours that was entered last, if it is current and its place is known: its id, its epoch, and whether it is recorded.
    #[inline(always)]
    pub(super) fn here(&self) -> Option<(u64, u64, bool)> {
        if !self.is_trusted() {
            return None;
        }
        self.with(|stack| {
            let last = stack?.last()?;
            if last.mark.get() != Mark::Known {
                return None;
            }
            let place = last.place.get();
            Some((last.id.get(), place.epoch, place.is_recorded))
        })
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
            created: Cell::new(0),
            levels: [const { Level::new() }; DEPTH],
        }
    }

    #[inline]
    fn create(&self, id: u64, place: &Place) {
        if let Some(next) = self.levels.get(self.depth.get()) {
            next.place.set(*place);
            self.created.set(id);
        }
    }

    /// The span that was entered last.
    #[inline]
    fn last(&self) -> Option<&Level> {
        self.levels.get(self.depth.get().wrapping_sub(1))
    }

    fn learn(&self, id: u64, place: &Place) {
        if let Some(last) = self.last()
            && last.id.get() == id
            && last.mark.get() != Mark::Again
        {
            last.place.set(*place);
            last.mark.set(Mark::Known);
        }
    }

    /// A span is closed: another one may get its id.
    #[inline]
    fn forget(&self, id: u64) {
        if self.created.get() == id {
            self.created.set(0);
        }
        if let Some(last) = self.last()
            && last.id.get() == id
            && last.mark.get() == Mark::Known
        {
            last.mark.set(Mark::Nothing);
        }
    }

    #[inline(never)]
    fn has(&self, id: u64) -> bool {
        let entered = self.levels.iter().take(self.depth.get());
        entered.into_iter().any(|level| level.id.get() == id)
    }

    /// `false` when there is no room.
    #[inline]
    fn push(&self, id: u64, mark: Mark) -> bool {
        let depth = self.depth.get();
        let Some(level) = self.levels.get(depth) else {
            return false;
        };
        level.id.set(id);
        level.mark.set(mark);
        self.created.set(0);
        self.depth.set(depth + 1);
        true
    }

    #[inline]
    fn pop(&self, id: u64) {
        self.created.set(0);
        match self.last() {
            Some(last) if last.id.get() == id => self.depth.set(self.depth.get() - 1),
            _ => self.take_out(id),
        }
    }

    /// Spans are left out of order.
    #[cold]
    fn take_out(&self, id: u64) {
        let entered = self.levels.get(..self.depth.get()).unwrap_or_default();
        let Some(at) = entered.iter().rposition(|level| level.id.get() == id) else {
            return;
        };
        for pair in entered[at..].windows(2) {
            if let [level, next] = pair {
                level.id.set(next.id.get());
                level.mark.set(next.mark.get());
                level.place.set(next.place.get());
            }
        }
        self.depth.set(entered.len() - 1);
    }

    /// The span that was entered last, if its place is known; 0 where none is entered.
    #[inline(always)]
    fn known(&self) -> Option<u64> {
        if self.depth.get() == 0 {
            return Some(0);
        }
        let last = self.last()?;
        (last.mark.get() == Mark::Known).then(|| last.id.get())
    }

    /// The place of the span that was entered last, as far as it is known.
    #[inline(always)]
    fn place(&self) -> Place {
        self.last().map_or(Place::NOWHERE, |last| last.place.get())
    }

    #[inline]
    fn current(&self, place: &mut Place) -> Current {
        let entered = self.levels.get(..self.depth.get()).unwrap_or_default();
        let counted = |level: &&Level| level.mark.get() != Mark::Again;
        let Some(current) = entered.iter().rfind(counted) else {
            return Current::Nothing;
        };
        let id = current.id.get();
        if current.mark.get() != Mark::Known {
            return Current::Span(id);
        }
        *place = current.place.get();
        Current::Ours(id)
    }
}

impl Level {
    const fn new() -> Self {
        Self {
            id: Cell::new(0),
            mark: Cell::new(Mark::Nothing),
            place: Cell::new(Place::NOWHERE),
        }
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
        let current = mirror.current(&mut place);
        if let Current::Ours(id) = current {
            assert_eq!(place.epoch, id, "the place of another span");
        }
        current
    }

    fn trusted() -> Mirror {
        let mirror = Mirror::new();
        mirror.ask();
        mirror.decide(true);
        mirror
    }

    /// The place of the span of this id.
    fn place_of(id: u64) -> Place {
        Place {
            epoch: id,
            ..Place::NOWHERE
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Create,
        Enter,
        Leave,
        Learn,
    }

    proptest! {
        /// The naive model does what the Registry does: a list of ids with a mark for those that are on it already. And a place
        /// that is known is the span's own.
        #[test]
        fn it_mirrors_the_registrys_stack(steps in proptest::collection::vec((1_u64..6, 0..4_usize), 0..60)) {
            let mirror = trusted();
            let mut model: Vec<(u64, bool)> = Vec::new();
            for (span, step) in steps {
                let at = model.iter().rposition(|(known, _)| *known == span);
                match [Step::Create, Step::Enter, Step::Leave, Step::Learn][step] {
                    Step::Create => mirror.created(span, &place_of(span)),
                    Step::Enter if model.len() < DEPTH => {
                        mirror.enter(span, if at.is_none() { Entered::Now } else { Entered::Before });
                        model.push((span, at.is_some()));
                    }
                    Step::Enter => {}
                    Step::Leave => {
                        mirror.exit(span);
                        at.map(|at| model.remove(at));
                    }
                    Step::Learn => mirror.started(span, &place_of(span)),
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
        let mirror = trusted();
        // Claims a stack.
        mirror.enter(1, Entered::Before);
        for (entered, is_known) in [(Entered::Now, true), (Entered::Look, false)] {
            mirror.created(2, &place_of(2));
            assert!(matches!(current(&mirror), Current::Span(1)));
            mirror.enter(2, entered);
            let found = current(&mirror);
            assert_eq!(matches!(found, Current::Ours(2)), is_known, "{found:?}");
            mirror.closed(2);
            assert!(matches!(current(&mirror), Current::Span(2)), "no longer");
            mirror.exit(2);
            mirror.enter(2, Entered::Before);
            assert!(matches!(current(&mirror), Current::Span(2)), "another one");
            mirror.exit(2);
        }
        mirror.exit(1);
    }

    #[test]
    fn the_place_of_a_parent_is_known_behind_its_children() {
        let mirror = trusted();
        mirror.enter(1, Entered::Before);
        mirror.started(1, &place_of(1));
        for child in [2, 3] {
            mirror.created(child, &place_of(child));
            mirror.enter(child, Entered::Now);
            assert!(matches!(current(&mirror), Current::Ours(_)));
            mirror.exit(child);
            mirror.closed(child);
            assert!(matches!(current(&mirror), Current::Ours(1)));
        }
        mirror.exit(1);
    }

    /// What was created before another one came or went lay elsewhere.
    #[test]
    fn a_place_holds_for_the_next_span_alone() {
        let mirror = trusted();
        mirror.enter(1, Entered::Before);
        for between in [3, 1] {
            mirror.created(2, &place_of(2));
            if between == 1 {
                mirror.exit(1);
            } else {
                mirror.enter(between, Entered::Now);
            }
            mirror.enter(2, Entered::Now);
            assert!(matches!(current(&mirror), Current::Span(2)));
            mirror.exit(2);
            mirror.exit(3);
        }
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
        let mirrors: Vec<Mirror> = (0..=LAYERS).map(|_| trusted()).collect();
        mirrors
            .iter()
            .for_each(|mirror| mirror.enter(1, Entered::Before));
        assert_eq!(
            mirrors.iter().filter(|mirror| mirror.is_trusted()).count(),
            LAYERS
        );
        mirrors.iter().for_each(|mirror| mirror.exit(1));
        let deep = trusted();
        (1..=DEPTH as u64).for_each(|id| deep.enter(id, Entered::Before));
        assert!(deep.is_trusted());
        deep.enter(99, Entered::Before);
        assert!(matches!(current(&deep), Current::Unknown));
    }
}
