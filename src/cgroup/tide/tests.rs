use proptest::prelude::*;

use super::*;

const MIB: usize = 1 << 20;
const NOTHING: Reading = Reading {
    limit: None,
    spare: None,
    stalled: 0.0,
};

fn spare(mib: i64) -> Reading {
    Reading {
        spare: Some(mib << 20),
        ..NOTHING
    }
}

fn stalled(percent: f64) -> Reading {
    Reading {
        stalled: percent,
        ..NOTHING
    }
}

fn tide() -> Tide {
    Tide::new(32 * MIB, 0, MIB)
}

#[test]
fn it_falls_at_once_and_comes_back_slowly() {
    let mut tide = tide();
    let mut at = |second: u64, reading| tide.next(second * SECOND, 0, &reading) / MIB;
    assert_eq!(at(0, spare(100)), 32);
    assert_eq!(at(5, spare(-1)), 16, "half, where a little is missing");
    assert_eq!(at(6, spare(0)), 16, "not tight, and no room either");
    assert_eq!(at(10, spare(-10)), 6, "or what is not missing");
    assert_eq!(at(11, spare(-100)), 4, "never below the least");
    assert_eq!(at(20, spare(100)), 4, "not before ten seconds have passed");
    assert_eq!([21, 22, 30].map(|second| at(second, spare(100))), [6; 3]);
    assert_eq!(
        [31, 41, 51].map(|second| at(second, spare(100))),
        [8, 10, 12]
    );
    assert_eq!(
        (61..500).map(|second| at(second, spare(100))).max(),
        Some(32)
    );
}

#[test]
fn who_waits_for_memory_says_more_than_what_is_free() {
    let mut tide = tide();
    let mut at = |second: u64, percent| tide.next(second * SECOND, 0, &stalled(percent)) / MIB;
    assert_eq!([at(1, 0.0), at(2, 9.9), at(3, 10.0)], [32, 32, 16]);
    // Between half of what is tight and that, nothing changes, and nothing is forgotten.
    assert_eq!([at(4, 4.0), at(13, 5.0), at(14, 4.0)], [16; 3]);
    assert_eq!([at(22, 4.0), at(23, 4.0)], [16, 18]);
    assert_eq!([at(24, 40.0), at(25, 99.0)], [4; 2]);
}

#[test]
fn a_small_cgroup_gives_a_small_part() {
    let mut tide = tide();
    let limit = |mib: u64| Reading {
        limit: Some(mib << 20),
        spare: Some(1 << 40),
        ..NOTHING
    };
    let mut at = |second: u64, mib| tide.next(second * SECOND, 0, &limit(mib)) / MIB;
    assert_eq!([at(0, 1_024), at(1, 256), at(2, 64)], [32, 32, 8]);
    assert_eq!([at(3, 8), at(4, 0)], [4, 4], "the least");
    assert_eq!(
        [at(20, 64), at(40, 64), at(60, 64), at(80, 64)],
        [6, 8, 8, 8]
    );
}

#[test]
fn what_is_set_aside_is_on_top_of_the_least() {
    let smallest = |most, set_aside| {
        let mut tide = Tide::new(most * MIB, set_aside * MIB, MIB);
        tide.next(0, 0, &stalled(100.0)) / MIB
    };
    assert_eq!(smallest(32, 0), 4);
    assert_eq!(smallest(32, 10), 11);
    assert_eq!(smallest(2, 1), 2);
    assert_eq!(smallest(1, 0), 1);
}

#[test]
fn it_is_looked_at_once_a_second() {
    let mut tide = tide();
    assert!(tide.is_due(0));
    tide.next(5 * SECOND, 0, &NOTHING);
    assert!(!tide.is_due(5 * SECOND) && !tide.is_due(6 * SECOND - 1));
    assert!(tide.is_due(6 * SECOND));
}

fn readings() -> impl Strategy<Value = Reading> {
    let limit = prop::option::of(0_u64..1 << 30);
    let spare = prop::option::of(prop_oneof![-(64_i64 << 20)..1 << 30, any::<i64>()]);
    let stalled = prop_oneof![Just(0.0), 0.0..100.0];
    (limit, spare, stalled).prop_map(|(limit, spare, stalled)| Reading {
        limit,
        spare,
        stalled,
    })
}

proptest! {
    #[test]
    fn it_is_never_above_what_was_configured_nor_below_the_least(
        most in MIB..64 * MIB,
        set_aside in 0..32 * MIB,
        steps in prop::collection::vec((readings(), 0_u64..20, 0..64 * MIB), 1..100),
    ) {
        let mut tide = Tide::new(most, set_aside.min(most / 2), MIB);
        let (least, mut now, mut before) = (tide.least, 0, most);
        prop_assert!(least >= most / 8 && least <= most);
        for (reading, seconds, used) in steps {
            now += seconds * SECOND;
            let limit = tide.next(now, used, &reading);
            prop_assert!((least..=most).contains(&limit));
            prop_assert!(limit <= before + most / STEP, "it rises by a step at most");
            if let Some(part) = reading.limit {
                prop_assert!(limit <= (part / PART).max(least as u64) as usize);
            }
            if reading.stalled >= TIGHT || reading.spare.is_some_and(|spare| spare < 0) {
                prop_assert!(limit <= (before / 2).max(least), "what is tight halves it");
            }
            before = limit;
        }
    }

    /// Whatever others use, where all that may be used is, and what is released is free: the limit comes to rest, and does not waver.
    #[test]
    fn it_does_not_oscillate_by_what_follows_from_it(
        cgroup in 64_usize..2_048,
        others in 0_usize..2_048,
        most in 1_usize..64,
    ) {
        let (cgroup, others, most) = (cgroup * MIB, others * MIB, most * MIB);
        let mut tide = Tide::new(most, 0, MIB);
        let (mut limit, mut turns, mut rises) = (most, 0, false);
        let mut settled = Vec::new();
        for second in 0..1_000_u64 {
            let used = limit;
            let left = cgroup as i64 - (cgroup / 16) as i64 - (others + used) as i64;
            let reading = Reading { limit: Some(cgroup as u64), spare: Some(left), stalled: 0.0 };
            let next = tide.next(second * SECOND, used, &reading);
            if next != limit {
                turns += u32::from((next > limit) != rises);
                rises = next > limit;
                limit = next;
            }
            if second > 500 {
                settled.push(limit);
            }
        }
        prop_assert!(turns <= 2, "{turns} turns");
        prop_assert!(settled.iter().all(|it| *it == limit), "it rests");
        // And it wastes no more than a step, as far as it may be used.
        let room = cgroup.saturating_sub(cgroup / 16 + others);
        let most = tide.most_within(Some(cgroup as u64));
        prop_assert!(limit + tide.step() > room.min(most) || limit == tide.least);
    }
}
