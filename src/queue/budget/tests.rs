use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::Budget;

#[derive(Clone, Debug)]
enum Step {
    Reserve(usize, usize),
    Release,
    Limit(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..400, 0_usize..200).prop_map(|(bytes, others)| Step::Reserve(bytes, others)),
        2 => Just(Step::Release),
        1 => (0_usize..1_500).prop_map(Step::Limit),
    ]
}

proptest! {
    /// The naive model: a sum, and a list of what was taken.
    #[test]
    fn what_is_reserved_fits_the_limit_as_it_is_then(steps in prop::collection::vec(step(), 1..200)) {
        let budget = Budget::new(1_000);
        let (mut limit, mut taken): (usize, Vec<usize>) = (1_000, Vec::new());
        for step in steps {
            let used: usize = taken.iter().sum();
            match step {
                Step::Reserve(bytes, others) => {
                    let fits = used + bytes <= limit.saturating_sub(others);
                    prop_assert_eq!(budget.reserve_leaving(bytes, others), fits);
                    taken.extend(fits.then_some(bytes));
                }
                Step::Release => taken.pop().into_iter().for_each(|bytes| budget.release(bytes)),
                Step::Limit(bytes) => {
                    limit = bytes.min(1_000);
                    budget.set_limit(bytes);
                    prop_assert_eq!(budget.limit(), limit);
                    prop_assert_eq!(budget.scaled(500), limit / 2);
                }
            }
            prop_assert_eq!(budget.used(), taken.iter().sum::<usize>());
            prop_assert!(budget.used() <= 1_000);
        }
    }
}

/// Each thread knows of a limit before it asks, so what it gets was within one that held since.
#[test]
fn threads_never_exceed_it_while_it_falls_and_rises() {
    const MOST: usize = 1 << 20;
    let (budget, is_over) = (Budget::new(MOST), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (budget, is_over) = (&budget, &is_over);
            scope.spawn(move || {
                let (mut random, mut taken) = (fastrand::Rng::with_seed(seed), Vec::new());
                while !is_over.load(Ordering::Relaxed) {
                    let bytes = random.usize(1..64 << 10);
                    if budget.reserve(bytes) {
                        taken.push(bytes);
                    }
                    assert!(budget.used() <= MOST);
                    if taken.len() > 8 || random.bool() {
                        taken
                            .pop()
                            .into_iter()
                            .for_each(|bytes| budget.release(bytes));
                    }
                }
                taken.into_iter().for_each(|bytes| budget.release(bytes));
            });
        }
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            budget.set_limit(random.usize(0..2 * MOST));
            assert!(budget.limit() <= MOST && budget.used() <= MOST);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(budget.used(), 0);
}
