//! Limits of rates, each by a token bucket per key.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

/// The maximum number of keys. The key that was not used for the longest time is forgotten.
const MAX_KEYS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// How often something may happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// How often it may happen at once.
    pub(super) burst: u32,
    /// The time after which it may happen once more.
    pub(super) interval: Duration,
}

/// How often something may happen for each key.
pub(super) struct RateLimit<K> {
    rate: Rate,
    /// For each key, the time at which its bucket is full again.
    full_at: Mutex<LruCache<K, Instant>>,
}

impl<K: Hash + Eq> RateLimit<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            full_at: Mutex::new(LruCache::new(MAX_KEYS)),
        }
    }

    /// Counts an event. The error is the time after which the next one is allowed.
    pub(super) fn count(&self, key: K) -> Result<(), Duration> {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = full_at.get_or_insert_mut(key, || now);
        let after = (*full_at).max(now) + self.rate.interval;
        let capacity = self.rate.interval * self.rate.burst;
        match (after - now).checked_sub(capacity) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *full_at = after;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_burst_and_a_rate() {
        let limit = RateLimit::new(Rate {
            burst: 3,
            interval: Duration::from_millis(100),
        });
        for _ in 0..3 {
            limit.count("a").unwrap();
        }
        assert_eq!(limit.count("a"), Err(Duration::from_millis(100)));
        limit.count("b").unwrap();
        tokio::time::advance(Duration::from_millis(30)).await;
        assert_eq!(limit.count("a"), Err(Duration::from_millis(70)));
        tokio::time::advance(Duration::from_millis(70)).await;
        limit.count("a").unwrap();
        limit.count("a").unwrap_err();
        tokio::time::advance(Duration::from_mins(1)).await;
        for _ in 0..3 {
            limit.count("a").unwrap();
        }
        limit.count("a").unwrap_err();
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let limit = RateLimit::new(Rate {
            burst: 1,
            interval: Duration::from_secs(1),
        });
        for key in 0..2 * MAX_KEYS.get() {
            limit.count(key).unwrap();
        }
        assert_eq!(limit.full_at.lock().unwrap().len(), MAX_KEYS.get());
    }
}
