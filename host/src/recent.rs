//! Reads that are shared: at most one per key and period, no matter how many callers need it.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use lru::LruCache;
use tokio::time::Instant;

/// The results of reads that began a short time ago.
pub(crate) struct Recent<K, V> {
    /// In the order in which the reads began.
    entries: Mutex<LruCache<K, Entry<V>>>,
    period: Duration,
    capacity: usize,
}

/// A read that may be under way.
type Read<V> = Shared<BoxFuture<'static, V>>;

struct Entry<V> {
    began: Instant,
    read: Read<V>,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    /// Returns a store of at most `capacity` results, each of which is used for `period` from the start of its read.
    #[must_use]
    pub(crate) fn new(period: Duration, capacity: usize) -> Self {
        Self {
            entries: Mutex::new(LruCache::unbounded()),
            period,
            capacity,
        }
    }

    /// Returns the result of a read that began within the period, or of a new one. Callers that come while a read is
    /// under way wait for its result.
    pub(crate) async fn get(&self, key: &K, read: impl FnOnce() -> BoxFuture<'static, V>) -> V {
        self.get_after(key, None, read).await
    }

    /// As [`Self::get`], but the result of a read that did not begin after this time is not used.
    pub(crate) async fn get_after(
        &self,
        key: &K,
        time: Option<Instant>,
        read: impl FnOnce() -> BoxFuture<'static, V>,
    ) -> V {
        let shared = {
            let mut entries = self.entries();
            let current = self.current(&entries, key, time);
            current.unwrap_or_else(|| self.add(&mut entries, key, read()))
        };
        shared.await
    }

    /// As [`Self::get`]. Returns `None` if a new read is necessary, and `read` does not permit it.
    pub(crate) async fn get_if(
        &self,
        key: &K,
        read: impl FnOnce() -> Option<BoxFuture<'static, V>>,
    ) -> Option<V> {
        let shared = {
            let mut entries = self.entries();
            match self.current(&entries, key, None) {
                Some(current) => current,
                None => self.add(&mut entries, key, read()?),
            }
        };
        Some(shared.await)
    }

    fn entries(&self) -> MutexGuard<'_, LruCache<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(
        &self,
        entries: &LruCache<K, Entry<V>>,
        key: &K,
        after: Option<Instant>,
    ) -> Option<Read<V>> {
        let entry = entries.peek(key)?;
        let is_current =
            entry.began.elapsed() < self.period && after.is_none_or(|after| after < entry.began);
        is_current.then(|| entry.read.clone())
    }

    fn add(
        &self,
        entries: &mut LruCache<K, Entry<V>>,
        key: &K,
        read: BoxFuture<'static, V>,
    ) -> Read<V> {
        let (began, read) = (Instant::now(), read.shared());
        let entry = Entry {
            began,
            read: read.clone(),
        };
        entries.put(key.clone(), entry);
        if entries.len() > self.capacity {
            entries.pop_lru();
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const PERIOD: Duration = Duration::from_secs(1);

    /// Counts the reads. Each takes 100 ms.
    #[derive(Clone, Default)]
    struct Reads(Arc<AtomicUsize>);

    impl Reads {
        #[expect(clippy::unnecessary_wraps, reason = "as a caller permits a read")]
        fn read(&self) -> Option<BoxFuture<'static, usize>> {
            let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let read = async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                count
            };
            Some(read.boxed())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_share_a_read_for_a_second_from_its_start() {
        let (recent, reads) = (Recent::new(PERIOD, 8), Reads::default());
        let get = || recent.get_if(&"a", || reads.read());
        assert_eq!(
            tokio::join!(get(), get(), get()),
            (Some(1), Some(1), Some(1))
        );
        tokio::time::advance(Duration::from_millis(899)).await;
        assert_eq!(get().await, Some(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(get().await, Some(2));
        assert_eq!(recent.get_if(&"b", || reads.read()).await, Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_began_too_early_is_not_shared() {
        let (recent, reads) = (Recent::new(PERIOD, 8), Reads::default());
        let read = || reads.read().unwrap();
        assert_eq!(recent.get(&"a", read).await, 1);
        let now = Instant::now();
        assert_eq!(recent.get(&"a", read).await, 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        let get = || recent.get_after(&"a", Some(now), read);
        assert_eq!(tokio::join!(get(), get()), (2, 2));
        assert_eq!(get().await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_whose_caller_left_is_neither_repeated_nor_lost() {
        let (recent, reads) = (Recent::new(PERIOD, 8), Reads::default());
        let left = tokio::time::timeout(
            Duration::from_millis(10),
            recent.get_if(&"a", || reads.read()),
        );
        assert!(left.await.is_err());
        assert_eq!(recent.get_if(&"a", || reads.read()).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_not_permitted_is_not_remembered() {
        let (recent, reads) = (Recent::new(PERIOD, 8), Reads::default());
        assert_eq!(recent.get_if(&"a", || None).await, None);
        assert_eq!(recent.get_if(&"a", || reads.read()).await, Some(1));
        assert_eq!(recent.get_if(&"a", || None).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_results_is_bounded() {
        let (recent, reads) = (Recent::new(PERIOD, 3), Reads::default());
        for key in 0..10 {
            recent.get_if(&key, || reads.read()).await;
            assert!(recent.entries.lock().unwrap().len() <= 3);
        }
        assert_eq!(
            recent.get_if(&9, || None).await,
            Some(10),
            "the newest stay"
        );
    }
}
