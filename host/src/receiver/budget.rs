//! A limit of the memory that all bodies take together.
//!
//! A body reserves memory for its announced length when its first bytes arrive. It then needs no more, so that it never
//! waits while it holds memory that others wait for. Bodies of different sizes have different pools, so that none waits
//! for much larger ones:
//!
//! - bodies of at most 64 KiB, as nearly all webhooks are,
//! - larger ones, up to the size of their pool,
//! - the largest ones, in a pool for one body of the maximum size.
//!
//! If a pool has no room, a body waits. A sender that does not keep the pace holds its memory for nothing, and its body
//! ends when another one waits. A body whose sender keeps the pace never ends for another one.

mod pool;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use self::pool::Pool;

/// The maximum size of a small body in bytes.
pub(super) const SMALL_BYTES: usize = 64 << 10;
/// The least memory beside that of one body of the maximum size, in bytes.
const MIN_SHARED_BYTES: usize = 1 << 20;
/// How far a sender may be behind its pace. A lost packet is sent again within this time.
const GRACE: Duration = Duration::from_secs(1);
/// The same for a small body. It usually arrives at once, and many that do not arrive would let all others wait.
const SMALL_GRACE: Duration = Duration::from_millis(100);

/// The memory for bodies.
pub(super) struct Budget {
    /// The pools, and the size of the largest body that each is for. Each size is larger than the one before.
    pools: [(usize, Arc<Mutex<Pool>>); 3],
}

/// The share of one body. Dropping it returns the memory.
pub(super) struct Share {
    pool: Arc<Mutex<Pool>>,
    id: u64,
    bytes: usize,
    /// Woken when the memory that the body waits for is there, and when the share was taken away.
    wake: Arc<Notify>,
    is_complete: bool,
}

/// The share was taken away for another body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Budget {
    /// Returns a budget of this many bytes, of which `largest`, the maximum size of a body, are for the largest ones.
    pub(super) fn new(bytes: usize, largest: usize, used: &Gauge) -> Self {
        let shared = bytes.saturating_sub(largest).max(MIN_SHARED_BYTES);
        let (small, medium) = (shared / 2, shared - shared / 2);
        let pool = |bytes, grace| Arc::new(Mutex::new(Pool::new(bytes, grace, used.clone())));
        Self {
            pools: [
                (SMALL_BYTES, pool(small, SMALL_GRACE)),
                (medium, pool(medium, GRACE)),
                (usize::MAX, pool(largest, GRACE)),
            ],
        }
    }

    /// Returns a share of this many bytes for a body of this source whose first bytes have arrived. Waits until there is
    /// room. Dropping the future ends the wait.
    pub(super) async fn reserve(
        &self,
        source: Option<IpAddr>,
        bytes: usize,
    ) -> Result<Share, Lost> {
        let mut pools = self.pools.iter();
        let pool = pools.find_map(|(largest, pool)| (bytes <= *largest).then_some(pool));
        let pool = Arc::clone(pool.ok_or(Lost)?);
        let wake = Arc::new(Notify::new());
        let id = lock(&pool).add(source, bytes, Arc::clone(&wake));
        let share = Share {
            pool,
            id,
            bytes,
            wake,
            is_complete: false,
        };
        while lock(&share.pool).is_waiting(id)? {
            share.wake.notified().await;
        }
        Ok(share)
    }
}

impl Share {
    /// The number of bytes that the body may have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that this many more bytes have arrived.
    pub(super) fn arrived(&self, bytes: usize) {
        lock(&self.pool).arrived(self.id, bytes);
    }

    /// Notes that the body has arrived completely, with this many bytes. Its share is not taken away any more.
    pub(super) fn complete(&mut self, bytes: usize) -> Result<(), Lost> {
        self.bytes = lock(&self.pool).complete(self.id, bytes)?;
        self.is_complete = true;
        Ok(())
    }

    /// Waits until the share was taken away.
    pub(super) async fn lost(&self) -> Lost {
        loop {
            let due = lock(&self.pool).keep(self.id);
            match due {
                Err(Lost) => return Lost,
                Ok(None) => self.wake.notified().await,
                Ok(Some(due)) => tokio::select! {
                    () = self.wake.notified() => (),
                    () = sleep_until(due) => (),
                },
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut pool = lock(&self.pool);
        if self.is_complete {
            pool.release(self.bytes);
        } else {
            pool.end(self.id);
        }
    }
}

fn lock(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}
