//! A limit of the memory that all bodies take together.
//!
//! A body reserves memory for its announced length when its first bytes arrive, and then needs no more. A body without
//! such a length reserves the memory of one of the most bytes of its pool, and of the next pool when it becomes larger.
//! Bodies of different sizes have different pools, so that none waits for much larger ones:
//!
//! - bodies of at most 64 KiB, as nearly all webhooks are,
//! - larger ones, up to a third of their pool, so that it has room for several,
//! - the largest ones.
//!
//! If a pool has no room, a body waits. A sender that does not keep the pace holds its memory for nothing, and its body
//! ends when another one waits. A body whose sender keeps the pace never ends for another one, unless it waits for the
//! memory of the next pool: meanwhile it is not read, and counts as late.

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
const SMALL_BYTES: usize = 64 << 10;
/// The least memory beside that of the largest bodies, in bytes.
const MIN_SHARED_BYTES: usize = 1 << 20;
/// The number of medium bodies for which their pool has room at least.
const MEDIUM_BODIES: usize = 3;
/// How far a sender may be behind its pace. A lost packet is sent again within this time.
const GRACE: Duration = Duration::from_secs(1);
/// The same for a small body. It usually arrives at once, and many that do not arrive would let all others wait.
const SMALL_GRACE: Duration = Duration::from_millis(100);

/// The maximum number of small bodies that wait. It is enough for a burst of a sender, and each step looks at all of them.
const MAX_WAITING: usize = 512;
/// The same for the bodies of each other pool.
const MAX_LARGE_WAITING: usize = 128;

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
    /// Returns a budget of this many bytes. Half of them, and at least `largest`, the maximum size of a body, are for the
    /// largest bodies.
    pub(super) fn new(bytes: usize, largest: usize, used: &Gauge) -> Self {
        let large = largest.max(bytes / 2);
        let shared = bytes.saturating_sub(large).max(MIN_SHARED_BYTES);
        let (small, medium) = (shared / 2, shared - shared / 2);
        let medium_bytes = (medium.min(largest) / MEDIUM_BODIES).max(SMALL_BYTES);
        let pool = |bytes, grace, waiting| {
            Arc::new(Mutex::new(Pool::new(bytes, grace, waiting, used.clone())))
        };
        Self {
            pools: [
                (SMALL_BYTES, pool(small, SMALL_GRACE, MAX_WAITING)),
                (medium_bytes, pool(medium, GRACE, MAX_LARGE_WAITING)),
                (largest, pool(large, GRACE, MAX_LARGE_WAITING)),
            ],
        }
    }

    /// Returns the most bytes that a body may have in the pool for bodies of this size.
    pub(super) fn room(&self, bytes: usize) -> usize {
        let (room, _) = self.pool(bytes);
        *room
    }

    fn pool(&self, bytes: usize) -> &(usize, Arc<Mutex<Pool>>) {
        let [small, medium, large] = &self.pools;
        let fits = [small, medium].into_iter().find(|(room, _)| bytes <= *room);
        fits.unwrap_or(large)
    }

    /// Returns a share of this many bytes for a body of this source whose first bytes have arrived. Waits until there is
    /// room. Dropping the future ends the wait.
    pub(super) async fn reserve(
        &self,
        source: Option<IpAddr>,
        bytes: usize,
    ) -> Result<Share, Lost> {
        let (_, pool) = self.pool(bytes);
        let pool = Arc::clone(pool);
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
