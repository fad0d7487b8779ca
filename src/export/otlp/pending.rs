//! What may hang and cannot be cancelled: a look-up of a name, a read of files.

use std::io;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// One of its kind at a time: an attempt that is given up leaves it under way, and the next one waits for the same. Who comes
/// while another waits has its own begun after that.
#[derive(Debug)]
pub(super) struct Pending<T>(Mutex<Option<JoinHandle<io::Result<T>>>>);

impl<T> Pending<T> {
    /// The result of what is under way, else of what is begun now.
    pub(super) async fn join(
        &self,
        begin: impl FnOnce() -> io::Result<JoinHandle<io::Result<T>>>,
    ) -> io::Result<T> {
        let mut under_way = self.0.lock().await;
        let handle = match under_way.take() {
            Some(handle) => handle,
            None => begin()?,
        };
        let joined = under_way.insert(handle).await;
        *under_way = None;
        joined.map_err(io::Error::other)?
    }
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn f_21_what_hangs_is_waited_for_and_not_repeated() {
        let pending = Pending::default();
        let (answer, answered) = oneshot::channel();
        let hangs = async { answered.await.map_err(io::Error::other) };
        let mut begin = Some(|| Ok(tokio::spawn(hangs)));
        for _ in 0..3 {
            let begin = || begin.take().expect("it is begun once")();
            let joined = tokio::time::timeout(Duration::from_millis(1), pending.join(begin)).await;
            assert!(joined.is_err(), "{joined:?}");
        }
        answer.send(7).unwrap();
        let again = || unreachable!("it is still under way");
        assert_eq!(pending.join(again).await.unwrap(), 7);
        let next = pending.join(|| Ok(tokio::spawn(async { Ok(8) })));
        assert_eq!(next.await.unwrap(), 8, "the next one begins anew");
    }

    #[tokio::test]
    async fn several_at_once_are_served_one_after_the_other() {
        let pending = Pending::default();
        let begin = |number: u32| move || Ok(tokio::spawn(async move { Ok(number) }));
        let (first, second, third) = tokio::join!(
            pending.join(begin(1)),
            pending.join(begin(2)),
            pending.join(begin(3)),
        );
        let results = [first, second, third].map(Result::unwrap);
        assert_eq!(results, [1, 2, 3]);
    }

    #[tokio::test]
    async fn what_cannot_be_begun_is_not_under_way() {
        let pending = Pending::default();
        let failed = pending.join(|| Err(io::Error::other("no thread"))).await;
        assert!(failed.is_err());
        let next = pending.join(|| Ok(tokio::spawn(async { Ok(8) })));
        assert_eq!(next.await.unwrap(), 8);
    }
}
