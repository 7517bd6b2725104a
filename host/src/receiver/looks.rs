//! The reads of objects for deliveries that are refused otherwise.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use stoker_api::detection::ObjectKey;
use tokio::time::Instant;

use super::rate::{Rate, RateLimit};
use crate::recent::Recent;
use crate::request::{RequestError, Requests, Target};

/// The time for which the result of a read is used.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// The maximum number of results that are remembered.
const LOOK_CAPACITY: usize = 4096;
/// How often reads may happen, for all objects: a hundred times a second. Senders that are not verified cause them.
const LOOKS: Rate = Rate {
    burst: 100,
    interval: Duration::from_millis(10),
};

/// The reads that refused deliveries caused within the last second.
pub struct Looks {
    reads: Recent<ObjectKey, Result<Target, RequestError>>,
    rate: RateLimit<()>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            reads: Recent::new(LOOK_PERIOD, LOOK_CAPACITY),
            rate: RateLimit::new(LOOKS),
        }
    }
}

impl Looks {
    /// Reads an object until the deadline, or returns the result of a read that began within the last second. Returns
    /// `None` if there were too many reads.
    pub(super) async fn look(
        &self,
        requests: &Arc<dyn Requests>,
        key: &ObjectKey,
        deadline: Instant,
    ) -> Option<Result<Target, RequestError>> {
        let read = || {
            let is_allowed = self.rate.count(()).is_ok();
            let (requests, wanted) = (Arc::clone(requests), key.clone());
            let read = async move { requests.read(&wanted, deadline).await };
            is_allowed.then(|| read.boxed())
        };
        self.reads.get_if(key, read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_reads_of_refused_deliveries_are_limited_to_a_hundred_a_second() {
        let limit = RateLimit::new(LOOKS);
        let taken = || (0..1000).filter(|_| limit.count(()).is_ok()).count();
        assert_eq!(taken(), 100);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(taken(), 50);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(taken(), 100);
    }
}
