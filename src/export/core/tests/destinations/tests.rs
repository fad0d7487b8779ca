//! Several destinations that share chunks: each has a fate of its own, and a chunk is free when the last one lets go.

use std::rc::Weak;

use super::super::*;
use crate::export::share::{self, Holder};

const CHARGE: usize = 1_000;

/// What happens to a request of a destination.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Taken,
    Refused,
    NotNow,
    TooLarge,
    Silence,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Taken),
        Just(Fate::Refused),
        Just(Fate::NotNow),
        Just(Fate::TooLarge),
        Just(Fate::Silence),
    ]
}

/// Destinations, and the memory that they share.
struct Places {
    worlds: Vec<World>,
    chunks: Vec<Weak<Sealed>>,
    limit: usize,
}

impl Holder for &mut World {
    fn charge(&self) -> usize {
        self.core.charge()
    }

    fn evict(&mut self) -> bool {
        World::evict(self) > 0
    }
}

impl Places {
    fn new(count: usize, limit: usize) -> Self {
        Self {
            worlds: std::iter::repeat_with(World::new).take(count).collect(),
            chunks: Vec::new(),
            limit,
        }
    }

    /// A chunk of so many records, which every destination gets.
    fn record(&mut self, records: u32) {
        let (first, others) = self.worlds.split_first_mut().unwrap();
        first.record(records);
        let mut sealed = Rc::into_inner(first.waiting.pop().unwrap()).unwrap();
        sealed.charge = CHARGE;
        let chunk = Rc::new(sealed);
        self.chunks.push(Rc::downgrade(&chunk));
        for world in others {
            world.waiting.push(Rc::clone(&chunk));
            world.accepted += u64::from(records);
        }
        first.waiting.push(chunk);
    }

    fn used(&self) -> usize {
        CHARGE
            * self
                .chunks
                .iter()
                .filter(|chunk| chunk.strong_count() > 0)
                .count()
    }

    /// Takes in what was recorded, and gives up what there is no room for.
    fn collect(&mut self) {
        self.worlds.iter_mut().for_each(World::collect);
        let (chunks, limit) = (&self.chunks, self.limit);
        let used = || {
            CHARGE
                * chunks
                    .iter()
                    .filter(|chunk| chunk.strong_count() > 0)
                    .count()
        };
        let mut holders: Vec<&mut World> = self.worlds.iter_mut().collect();
        let exceeds = |part, of| used() > limit / of * part;
        share::make_room(limit, share::USUAL, exceeds, &mut holders);
    }
}

/// Everything that is left is taken.
fn drain(world: &mut World) {
    world.flush(1, 1_000_000 * SECOND);
    for _ in 0..10_000 {
        if world.core.holds() == 0 {
            return;
        }
        if !world.is_busy() {
            world.sleep_to_request();
        }
        world.answer(Ok(Answer::delivered()));
    }
    panic!("it is never drained");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever becomes of requests, each destination's books balance, the memory suffices and a chunk is free exactly once.
    #[test]
    fn spec_2_36_each_destination_settles_every_record(
        rounds in proptest::collection::vec((1_u32..30, proptest::collection::vec(fate(), 3)), 1..60),
    ) {
        let mut places = Places::new(3, 24 * CHARGE);
        for (records, fates) in &rounds {
            places.record(*records);
            places.collect();
            prop_assert!(places.used() <= places.limit);
            for (world, fate) in places.worlds.iter_mut().zip(fates) {
                world.pass(6 * SECOND);
                if !world.is_busy() {
                    continue;
                }
                match fate {
                    Fate::Taken => world.answer(Ok(Answer::delivered())),
                    Fate::Refused => world.answer(Err(Failure::reject("no"))),
                    Fate::NotNow => world.answer(Err(Failure::retry("not now"))),
                    Fate::TooLarge => world.answer(Err(Failure::too_large("no"))),
                    Fate::Silence => {}
                }
                prop_assert_eq!(world.accepted, world.resolved() + world.core.holds());
            }
        }
        places.worlds.iter_mut().for_each(drain);
        let accepted: u64 = rounds.iter().map(|(records, _)| u64::from(*records)).sum();
        for world in &places.worlds {
            prop_assert_eq!((world.accepted, world.resolved()), (accepted, accepted));
        }
        prop_assert_eq!(places.used(), 0);
        let free: usize = places.worlds.iter().map(|world| world.released.len()).sum();
        let numbers: BTreeSet<u64> = places.worlds.iter().flat_map(|world| world.released.clone()).collect();
        prop_assert_eq!((free, numbers.len()), (rounds.len(), rounds.len()), "each chunk once");
    }
}

#[test]
fn p_17_a_dead_destination_holds_its_share_and_delays_no_other() {
    let mut places = Places::new(2, 40 * CHARGE);
    let mut late = 0;
    for _ in 0..1_000 {
        places.record(10);
        places.collect();
        let [dead, healthy] = &mut places.worlds[..] else {
            panic!("there are two");
        };
        assert!(dead.core.charge() <= 20 * CHARGE);
        for world in [&mut *dead, &mut *healthy] {
            world.pass(6 * SECOND);
        }
        if dead.is_busy() {
            dead.answer(Err(Failure::retry("connection refused")));
        }
        while healthy.is_busy() {
            healthy.answer(Ok(Answer::delivered()));
        }
        late = late.max(healthy.core.holds());
    }
    let [dead, healthy] = &places.worlds[..] else {
        panic!("there are two");
    };
    assert_eq!((healthy.delivered, healthy.dropped, late), (10_000, 0, 0));
    assert_eq!(dead.delivered, 0);
    assert!(dead.dropped >= 10_000 - 200, "{}", dead.dropped);
    assert_eq!(dead.accepted, dead.resolved() + dead.core.holds());
}
