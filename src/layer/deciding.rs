//! Which spans this thread asks the sampler about at the moment.
//!
//! A sampler may enter, or record in, the very span that it is asked about, as one does that traces while a span is entered. Asking
//! it again would have no end. So for as long as it is asked, the span is not there for it.

use std::cell::Cell;

use crate::quiet::MAX_DEPTH;

/// A layer, by its address, and a span.
type Asked = Option<(usize, u64)>;

const DEPTH: usize = MAX_DEPTH as usize;

thread_local! {
    // Without a destructor, so it can be read while the thread's other locals are destroyed.
    static ASKED: Cell<[Asked; DEPTH]> = const { Cell::new([None; DEPTH]) };
}

/// Runs `ask` unless it runs on this thread for this span already, or for as many others as user code may be deep.
pub(super) fn once<T>(layer: usize, id: u64, ask: impl FnOnce() -> T) -> Option<T> {
    struct Restore([Asked; DEPTH]);
    impl Drop for Restore {
        fn drop(&mut self) {
            ASKED.set(self.0);
        }
    }
    let this = Some((layer, id));
    let outer = ASKED.get();
    if outer.contains(&this) {
        return None;
    }
    let mut asked = outer;
    *asked.iter_mut().find(|asked| asked.is_none())? = this;
    let _restore = Restore(outer);
    ASKED.set(asked);
    Some(ask())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_span_is_asked_about_once_at_a_time() {
        let within = once(1, 1, || {
            assert_eq!(once(1, 1, || ()), None, "the same");
            assert_eq!(once(2, 1, || ()), Some(()), "of another layer");
            let deeper = once(1, 2, || once(1, 1, || ()));
            assert_eq!(deeper, Some(None), "the same, further in");
        });
        assert_eq!((within, once(1, 1, || ())), (Some(()), Some(())));
    }

    #[test]
    fn it_ends_however_many_spans_there_are() {
        fn deep(id: u64) -> u64 {
            once(1, id, || deep(id + 1)).unwrap_or(id)
        }
        assert_eq!(deep(0), DEPTH as u64);
        assert_eq!(deep(0), DEPTH as u64, "all are done");
    }

    #[test]
    fn a_panic_ends_it_too() {
        let panics = || once(1, 1, || panic!("as it should"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(once(1, 1, || ()), Some(()));
    }
}
