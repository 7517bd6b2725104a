//! The reads of objects for deliveries that are refused otherwise.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use stoker_api::detection::ObjectKey;
use tokio::time::{Instant, timeout_at};

use super::rate::{Rate, RateLimit};
use crate::recent::Recent;
use crate::request::{RequestError, Requests, Target};

/// The time for which the result of a read is used.
const PERIOD: Duration = Duration::from_secs(1);
/// The maximum number of results that are remembered.
const CAPACITY: usize = 4096;
/// How often reads may happen, for all objects: a hundred times a second. Senders that are not verified cause them.
const RATE: Rate = Rate {
    burst: 100,
    interval: Duration::from_millis(10),
};

/// The reads that refused deliveries caused within the last second.
pub struct RefusalReads {
    reads: Recent<ObjectKey, Found>,
    rate: RateLimit<()>,
    /// The read that began last.
    latest: Mutex<Option<Shared<BoxFuture<'static, Found>>>>,
}

/// What a read has found.
type Found = Result<Target, RequestError>;

impl Default for RefusalReads {
    fn default() -> Self {
        Self {
            reads: Recent::new(PERIOD, CAPACITY),
            rate: RateLimit::new(RATE),
            latest: Mutex::default(),
        }
    }
}

impl RefusalReads {
    /// Reads an object until the deadline, or returns the result of a read that began within the last second. Returns
    /// `None` if there were too many reads, and the last one shows that the API server answers. A refusal during an outage
    /// would otherwise be faster for an object that needs this read than for one with its own key.
    pub(super) async fn read(
        &self,
        requests: &Arc<dyn Requests>,
        key: &ObjectKey,
        deadline: Instant,
    ) -> Option<Found> {
        let read = || {
            self.rate.count(()).ok()?;
            let (requests, wanted) = (Arc::clone(requests), key.clone());
            let read = async move { requests.read(&wanted, deadline).await };
            let read = read.boxed().shared();
            *self.latest() = Some(read.clone());
            Some(read.boxed())
        };
        let found = self.reads.get_if(key, read).await;
        if found.is_some() {
            return found;
        }
        let latest = self.latest().clone()?;
        match timeout_at(deadline, latest).await {
            Ok(Err(RequestError::Unavailable(error))) => {
                Some(Err(RequestError::Unavailable(error)))
            }
            Ok(_) => None,
            Err(_) => Some(Err(RequestError::Unavailable(None))),
        }
    }

    fn latest(&self) -> MutexGuard<'_, Option<Shared<BoxFuture<'static, Found>>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_reads_of_refused_deliveries_are_limited_to_a_hundred_a_second() {
        let limit = RateLimit::new(RATE);
        let taken = || (0..1000).filter(|_| limit.count(()).is_ok()).count();
        assert_eq!(taken(), 100);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(taken(), 50);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(taken(), 100);
    }
}
