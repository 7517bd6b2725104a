//! The permits to have a body in memory. No client can hold all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::server::{self, Peer};

/// The maximum number of bodies in memory: 21 MiB.
const PERMITS: usize = 3;
/// The maximum number of bodies of one client. Another client always gets the rest.
const SHARE: usize = 2;
/// The time limit for the wait for a permit. With that for the body, it is below the 10 s that the API server waits.
const WAIT: Duration = Duration::from_secs(3);

/// The permits for bodies.
pub(super) struct Permits {
    all: Semaphore,
    /// The shares of the clients that have a permit or wait for one.
    shares: Mutex<HashMap<Option<IpAddr>, Arc<Semaphore>>>,
}

/// The permit for a body. Dropping it returns it.
pub(super) struct Permit<'p> {
    _of_all: SemaphorePermit<'p>,
    _of_share: OwnedSemaphorePermit,
}

/// No permit became free in time.
#[derive(Debug, thiserror::Error)]
#[error("too many requests have not been read")]
pub(super) struct NoPermit;

impl Permits {
    pub(super) fn new() -> Self {
        Self {
            all: Semaphore::new(PERMITS),
            shares: Mutex::default(),
        }
    }

    /// Waits for a permit for a body of a client.
    pub(super) async fn take(&self, peer: Option<Peer>) -> Result<Permit<'_>, NoPermit> {
        let share = self.share(peer.map(|Peer(address)| server::group(address.ip())));
        let permit = async {
            Some(Permit {
                // A client waits for its share first, so that it does not stand in the way of others.
                _of_share: share.acquire_owned().await.ok()?,
                _of_all: self.all.acquire().await.ok()?,
            })
        };
        let permit = tokio::time::timeout(WAIT, permit).await;
        permit.ok().flatten().ok_or(NoPermit)
    }

    /// Returns the share of a client. Shares that nobody uses are removed.
    fn share(&self, client: Option<IpAddr>) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, share| Arc::strong_count(share) > 1);
        let share = shares.entry(client);
        Arc::clone(share.or_insert_with(|| Arc::new(Semaphore::new(SHARE))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::time::Instant;

    use super::*;

    async fn take<'p>(permits: &'p Permits, address: &str) -> Result<Permit<'p>, NoPermit> {
        let peer = Peer((address.parse::<IpAddr>().unwrap(), 1).into());
        permits.take(Some(peer)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_does_not_get_all_permits() {
        let permits = Permits::new();
        let mut taken = Vec::new();
        for address in ["2001:db8::1", "2001:db8::2"] {
            taken.push(take(&permits, address).await.unwrap());
        }
        let started = Instant::now();
        assert!(take(&permits, "2001:db8::4").await.is_err());
        assert_eq!(started.elapsed(), WAIT);
        let other = take(&permits, "192.0.2.1").now_or_never();
        let other = other.expect("there is a permit").unwrap();
        assert!(take(&permits, "192.0.2.2").await.is_err());
        drop(other);
        assert!(take(&permits, "192.0.2.2").await.is_ok());
        taken.pop();
        assert!(take(&permits, "2001:db8::4").await.is_ok());
    }

    #[tokio::test]
    async fn shares_that_nobody_uses_are_removed() {
        let permits = Permits::new();
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            drop(take(&permits, address).await.unwrap());
        }
        assert_eq!(permits.shares.lock().unwrap().len(), 1);
    }
}
