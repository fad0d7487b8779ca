use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn records(per_second: f64) -> Limiter {
    Limiter::new(Some(per_second), None, None).expect("a limit")
}

#[test]
fn where_nothing_is_limited_there_is_no_limiter() {
    assert!(Limiter::new(None, None, Some(SECOND)).is_none());
}

#[test]
fn the_more_severe_has_room_for_longer() {
    for window in [None, Some(SECOND)] {
        let limiter = Limiter::new(Some(100.0), None, window).expect("a limit");
        let left = |quarters| {
            let begun = (0..1_000).take_while(|_| {
                let has_room = limiter.has_room(7, quarters);
                if has_room {
                    limiter.charge(7, 400);
                }
                has_room
            });
            begun.count()
        };
        assert_eq!([2, 1, 0].map(left), [50, 25, 25], "{window:?}");
        assert_eq!([2, 1, 0].map(left), [0; 3]);
        // All has come back.
        assert!(limiter.has_room(7 + SECOND, 2));
    }
}

#[test]
fn one_a_second_is_for_everybody() {
    let limiter = records(1.0);
    assert!(limiter.has_room(0, 2));
    limiter.charge(0, 1);
    assert!(!limiter.has_room(SECOND - 1, 0));
    assert!(limiter.has_room(SECOND, 2));
}

#[test]
fn what_goes_on_is_charged_beyond_what_is_there_and_paid_back() {
    let limiter = records(10.0);
    (0..35).for_each(|_| limiter.charge(0, 1));
    // 25 too many, and one that is there again.
    assert!(!limiter.has_room(26 * SECOND / 10 - 1, 0));
    assert!(limiter.has_room(26 * SECOND / 10, 0));
}

#[test]
fn bytes_are_counted_to_the_byte() {
    let limiter = Limiter::new(None, Some(102_400.0), None).expect("a limit");
    // 400 bytes are no KiB each: 261 of them are 101 KiB, and 100 are there.
    let begun = (0..1_000).take_while(|_| {
        let has_room = limiter.has_room(0, 0);
        limiter.charge(0, 400);
        has_room
    });
    assert_eq!(begun.count(), 256);
}

proptest! {
    /// In no span of time, not only from the beginning.
    #[test]
    fn who_asks_and_is_charged_at_once_never_exceeds_it(
        per_second in 4_u32..200,
        window in prop::option::of(SECOND / 10..3 * SECOND),
        steps in prop::collection::vec((0..60_000_000_u64, 0_u64..3), 1..400),
    ) {
        let limiter = Limiter::new(Some(per_second.into()), None, window).expect("a limit");
        let (mut now, mut taken) = (SECOND, Vec::new());
        for (step, quarters) in steps {
            now += step;
            if limiter.has_room(now, quarters) {
                limiter.charge(now, 400);
                taken.push(now);
            }
        }
        let rate = f64::from(per_second);
        for (first, from) in taken.iter().enumerate() {
            for (last, to) in taken.iter().enumerate().skip(first) {
                let (sum, time) = (last - first + 1, (to - from) as f64 / 1e9);
                match window {
                    None => prop_assert!(sum as f64 <= rate * (time + 1.0) + 1e-6),
                    Some(window) if to - from < window => {
                        let most = (rate * window as f64 / 1e9).max(1.0);
                        prop_assert!(sum as f64 <= most, "{} of {}", sum, most);
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// It takes no more memory, however much is charged, and whoever reads the clock first.
    #[test]
    fn a_window_has_few_pieces(steps in prop::collection::vec((0..40_000_000_u64, 0..9_000_000_u64), 1..2_000)) {
        let mut window = Window::new(50.0, SECOND);
        let mut now = SECOND;
        for (step, late) in steps {
            now += step;
            window.charge(now - late, 1);
            prop_assert!(window.pieces() <= 66, "{}", window.pieces());
            prop_assert!(window.left(now) <= 50);
        }
        prop_assert_eq!(window.left(now + 2 * SECOND), 50);
    }
}

#[test]
fn threads_lose_no_charge() {
    let limiter = Limiter::new(Some(10_000.0), Some(10_240_000.0), None).expect("a limit");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).for_each(|_| limiter.charge(5, 1_000)));
        }
    });
    let left = |meter: &Option<Meter>| meter.as_ref().map(|meter| meter.left(5).0);
    assert_eq!(left(&limiter.records), Some(6_000));
    assert_eq!(left(&limiter.kib), Some(10_000 - 4_000_000 / 1_024));
}

#[test]
fn a_count_of_bytes_that_wraps_takes_nothing_away() {
    let limiter = Limiter::new(None, Some(1e6), None).expect("a limit");
    limiter.bytes.store(u64::MAX - 10, Ordering::Relaxed);
    limiter.charge(0, 400);
    assert!(limiter.has_room(0, 3));
}
