//! Choices one by one, then by the thousand; `simulation` has servers that come and go on a virtual clock.

use proptest::prelude::*;

use super::*;

mod simulation {
    mod tests;
}

fn place(endpoint: usize) -> Place {
    Place {
        endpoint,
        address: None,
    }
}

/// So many endpoints, which are asked in their order.
fn balance(choice: Choice, endpoints: usize) -> Balance {
    let mut balance = Balance::new(choice);
    (0..endpoints).for_each(|number| balance.set(number, &[None], || number as u64));
    balance
}

fn address(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

const TAKEN: Outcome = Outcome::Answered { share: 0.01 };
const FAILED: Outcome = Outcome::Failed { after: None };

struct World {
    balance: Balance,
    now: Instant,
}

impl World {
    fn new(choice: Choice, endpoints: usize) -> Self {
        Self {
            balance: balance(choice, endpoints),
            now: Instant::now(),
        }
    }

    fn begin(&mut self) -> usize {
        let place = self.balance.begin(self.now, &[]);
        place.expect("there is always one").endpoint
    }

    fn end(&mut self, endpoint: usize, outcome: Outcome) {
        self.balance.end(self.now, place(endpoint), outcome, 1.0);
    }

    /// One request, from beginning to end.
    fn send(&mut self, outcome: Outcome) -> usize {
        let endpoint = self.begin();
        self.end(endpoint, outcome);
        endpoint
    }

    fn sleep(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }
}

#[test]
fn one_request_at_a_time_stays_where_it_is_taken() {
    let mut world = World::new(Choice::LeastOutstanding, 3);
    assert_eq!([0; 9].map(|_| world.send(TAKEN)), [0; 9]);
    assert_eq!(world.send(FAILED), 0);
    assert_eq!([0; 9].map(|_| world.send(TAKEN)), [1; 9]);
    world.sleep(60_000);
    assert_eq!(world.send(TAKEN), 1, "nor does it go back by itself");
}

#[test]
fn several_requests_go_to_those_with_the_fewest() {
    let mut world = World::new(Choice::LeastOutstanding, 3);
    assert_eq!([0; 6].map(|_| world.begin()), [0, 1, 2, 0, 1, 2]);
    world.end(1, TAKEN);
    world.end(1, TAKEN);
    assert_eq!([0; 2].map(|_| world.begin()), [1, 1]);
}

#[test]
fn in_order_the_first_that_is_well_has_all() {
    let mut world = World::new(Choice::Failover, 3);
    assert_eq!([0; 3].map(|_| world.begin()), [0; 3]);
    (0..3).for_each(|_| world.end(0, FAILED));
    assert_eq!(world.send(TAKEN), 1);
    world.sleep(500);
    assert_eq!(world.send(TAKEN), 0, "as soon as it may be well again");
}

#[test]
fn one_that_fails_is_left_out_for_longer_each_time_and_comes_back_slowly() {
    let mut world = World::new(Choice::Failover, 2);
    for millis in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        assert_eq!(world.send(FAILED), 0);
        world.sleep(millis - 1);
        assert_eq!(world.send(TAKEN), 1);
        world.sleep(1);
    }
    for allowed in [1, 2, 4, 8] {
        let begun: Vec<_> = (0..20).map(|_| world.begin()).collect();
        let own = begun.iter().filter(|endpoint| **endpoint == 0).count();
        assert_eq!(own, allowed);
        (0..allowed).for_each(|_| world.end(0, Outcome::Nothing));
        (allowed..20).for_each(|_| world.end(1, Outcome::Nothing));
        world.send(TAKEN);
    }
    let begun: Vec<_> = (0..20).map(|_| world.begin()).collect();
    assert_eq!(begun, [0; 20]);
}

#[test]
fn what_a_server_asks_for_is_waited_for_while_there_are_others() {
    let mut world = World::new(Choice::Failover, 2);
    let after = Some(Duration::from_secs(100));
    assert_eq!(world.send(Outcome::Failed { after }), 0);
    world.sleep(100_000);
    assert_eq!(world.send(TAKEN), 1, "with a tenth of jitter upon it");
    world.sleep(10_000);
    assert_eq!(world.send(TAKEN), 0);
}

#[test]
fn where_none_is_well_the_least_bad_is_asked() {
    let mut world = World::new(Choice::LeastOutstanding, 3);
    assert_eq!([0; 3].map(|_| world.send(FAILED)), [0, 1, 2]);
    assert!(!world.balance.has_healthy(world.now, &[]));
    world.sleep(100);
    assert_eq!([0; 3].map(|_| world.send(FAILED)), [0, 1, 2], "in turn");
    let tried = [place(0), place(2)];
    let left = world.balance.begin(world.now, &tried);
    assert_eq!(left, Some(place(1)));
    let all = [place(0), place(1), place(2)];
    assert_eq!(world.balance.begin(world.now, &all), None);
}

#[test]
fn one_that_is_slow_is_left_where_another_is_faster_and_forgiven_in_a_minute() {
    let mut world = World::new(Choice::LeastOutstanding, 2);
    let slow = Outcome::Answered { share: 0.3 };
    assert_eq!(world.send(slow), 0);
    assert_eq!(world.send(TAKEN), 1);
    // Two of its requests take as long as one there.
    assert_eq!([0; 5].map(|_| world.begin()), [1, 1, 1, 1, 0]);
    (0..4).for_each(|_| world.end(1, TAKEN));
    world.sleep(60_000);
    assert_eq!(world.begin(), 1);
    assert_eq!(world.begin(), 1, "one is in flight at the other");
}

#[test]
fn a_name_changes_and_what_is_known_of_those_that_stay_is_kept() {
    let (one, two, three) = (
        address("10.0.0.1:4317"),
        address("10.0.0.2:4317"),
        address("10.0.0.3:4317"),
    );
    let now = Instant::now();
    let mut balance = Balance::new(Choice::LeastOutstanding);
    assert!(balance.is_empty() && balance.begin(now, &[]).is_none());
    let mut order = 0..;
    balance.set(0, &[one, two, two], || order.next().unwrap());
    assert_eq!(balance.count_of(0), 2);
    let at = |address| Place {
        endpoint: 0,
        address,
    };
    assert_eq!(balance.begin(now, &[]), Some(at(one)));
    balance.end(now, at(one), FAILED, 1.0);
    balance.set(0, &[one, three], || order.next().unwrap());
    assert!(!balance.knows(at(two)));
    assert_eq!(
        balance.begin(now, &[]),
        Some(at(three)),
        "the first has failed"
    );
    balance.set(0, &[two], || order.next().unwrap());
    // What was begun before it went ends without harm.
    balance.end(now, at(three), TAKEN, 1.0);
    assert_eq!(balance.begin(now, &[]), Some(at(two)));
}

#[test]
fn addresses_of_the_second_family_come_last() {
    let (v6, v4) = (address("[::1]:4317"), address("127.0.0.1:4317"));
    for (addresses, first) in [([v6, v4], v6), ([v4, v6], v4)] {
        let mut order = (0..10).rev();
        let mut balance = Balance::new(Choice::LeastOutstanding);
        balance.set(0, &addresses, || order.next().unwrap());
        let chosen = balance.begin(Instant::now(), &[]).unwrap();
        assert_eq!(chosen.address, first);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    End { which: usize, outcome: u8 },
    Sleep { millis: u64 },
    Names { endpoints: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let end = |(which, outcome)| Step::End { which, outcome };
    prop_oneof![
        4 => Just(Step::Begin),
        4 => (any::<usize>(), any::<u8>()).prop_map(end),
        1 => (0_u64..40_000).prop_map(|millis| Step::Sleep { millis }),
        1 => (1_u8..16).prop_map(|endpoints| Step::Names { endpoints }),
    ]
}

proptest! {
    /// Whatever happens: there is always a place; one that is left out is chosen only where none is well; what is in flight is
    /// what was begun and has not ended; and where all do well again, all are used again.
    #[test]
    fn never_all_are_left_out_and_those_left_out_come_back(
        failover: bool,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let choice = if failover { Choice::Failover } else { Choice::LeastOutstanding };
        let mut balance = balance(choice, 4);
        let mut now = Instant::now();
        let mut flying = Vec::new();
        for step in steps {
            match step {
                Step::Begin => {
                    let was_well = balance.has_healthy(now, &[]);
                    let place = balance.begin(now, &[]).expect("there is always one");
                    let peer = balance.peers.iter().find(|peer| peer.place == place).unwrap();
                    let is_out = peer.until.is_some_and(|until| now < until);
                    prop_assert!(!(was_well && is_out));
                    flying.push(place);
                }
                Step::End { which, outcome } if !flying.is_empty() => {
                    let place = flying.swap_remove(which % flying.len());
                    let share = f64::from(outcome) / 255.0;
                    let outcome = match outcome % 3 {
                        0 => FAILED,
                        1 => Outcome::Nothing,
                        _ => Outcome::Answered { share },
                    };
                    balance.end(now, place, outcome, share);
                }
                Step::End { .. } => {}
                Step::Sleep { millis } => now += Duration::from_millis(millis),
                Step::Names { endpoints } => for number in 0..4_u64 {
                    let stays = endpoints & (1 << number) != 0;
                    let addresses: &[_] = if stays { &[None] } else { &[] };
                    flying.retain(|place| stays || place.endpoint as u64 != number);
                    balance.set(number as usize, addresses, || number);
                },
            }
            let in_flight: u32 = balance.peers.iter().map(|peer| peer.in_flight).sum();
            prop_assert_eq!(in_flight as usize, flying.len());
        }
        flying.into_iter().for_each(|place| balance.end(now, place, TAKEN, 0.5));
        now += Duration::from_secs(120);
        prop_assert!(balance.peers.iter().all(|peer| peer.is_ready(now)), "all are well again");
    }

    /// With as many requests in flight as there are places, each place has one.
    #[test]
    fn none_starves_where_there_are_enough_requests(places in 1_usize..10, rounds in 1_usize..5) {
        let mut balance = balance(Choice::LeastOutstanding, places);
        let now = Instant::now();
        let begun: Vec<_> = (0..places * rounds).filter_map(|_| balance.begin(now, &[])).collect();
        for number in 0..places {
            let own = begun.iter().filter(|place| place.endpoint == number).count();
            prop_assert_eq!(own, rounds);
        }
    }
}
