//! A limit of the memory that all bodies take together.
//!
//! A body takes its share as it grows, because an announced length may be a lie. The memory has three parts. Small bodies
//! have a part of their own, so that they never wait for large ones. Large bodies share another part. If they only took
//! from it, some could wait for each other with none of them complete. Therefore, a part for one body of the largest size
//! is kept apart, and one body at a time moves to it when the others have taken theirs.
//!
//! A body that needs memory ends others that have not arrived completely, if they hold enough:
//!
//! - A sender that does not keep the pace holds its share for nothing. Such a body ends while others need the memory.
//! - If that is not enough, the address with the most incomplete bodies loses its oldest ones, as long as it has more
//!   than the address of the body that needs the memory. A large body is only ended if it waits for memory itself.
//!
//! Otherwise, the body waits. The clock of its sender stops. The number of bodies that wait is limited, and whatever
//! happens to a body costs at most one pass over those that wait and those that hold memory.

mod table;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use self::table::Table;

/// A part of the memory is taken in steps of this size in bytes.
const STEP: usize = 64 << 10;
/// The size of the steps of a small body in bytes. Most webhooks have some KiB.
const SMALL_STEP: usize = 4 << 10;
/// The maximum size of a small body in bytes.
const SMALL_BYTES: usize = 64 << 10;
/// The least memory beside that of one body of the largest size, in bytes.
const MIN_SHARED_BYTES: usize = 1 << 20;
/// The memory for bodies.
#[derive(Clone)]
pub(super) struct Budget {
    table: Arc<Mutex<Table>>,
    used: Gauge,
}

/// The share of one body. Dropping it returns the share.
pub(super) struct Share {
    budget: Budget,
    id: u64,
    /// Woken when the memory that the body waits for is there, and when the share was taken away.
    wake: Arc<Notify>,
    /// Whether the announced length is that of a large body.
    is_large: bool,
    /// The least size of the share in bytes once the first bytes have arrived.
    least: usize,
    bytes: usize,
}

/// The share was taken away for another body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Budget {
    /// Returns a budget of this many bytes, of which `largest`, the maximum size of a body, are for one body.
    pub(super) fn new(bytes: usize, largest: usize, used: Gauge) -> Self {
        let shared = bytes.saturating_sub(largest).max(MIN_SHARED_BYTES);
        let table = Table::new([shared / 2, shared - shared / 2]);
        Self {
            table: Arc::new(Mutex::new(table)),
            used,
        }
    }

    /// Returns the share of a body of this source that has no bytes yet.
    ///
    /// A body whose announced length is that of a large one takes nothing from the part for small ones. Another one with
    /// an announced length takes all of it when its first bytes arrive, so that it never waits while it holds memory.
    pub(super) fn share(&self, source: Option<IpAddr>, announced: Option<usize>) -> Share {
        let wake = Arc::new(Notify::new());
        let is_large = announced.is_some_and(|bytes| bytes > SMALL_BYTES);
        let least = announced.filter(|_| !is_large).unwrap_or_default();
        let id = self.table().add(source, is_large, Arc::clone(&wake));
        Share {
            budget: self.clone(),
            id,
            wake,
            is_large,
            least,
            bytes: 0,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Notes how many bytes have arrived, and increases the share to at least as many. Waits until they are available.
    pub(super) async fn grow(&mut self, arrived: usize) -> Result<(), Lost> {
        let step = if self.is_large || arrived > SMALL_BYTES {
            STEP
        } else {
            SMALL_STEP
        };
        let needed = arrived.max(self.least).next_multiple_of(step);
        let bytes = needed.max(self.bytes);
        self.budget.table().arrive(self.id, arrived, bytes);
        while self.is_waiting()? {
            self.wake.notified().await;
        }
        self.budget.used.inc_by(signed(bytes - self.bytes));
        self.bytes = bytes;
        Ok(())
    }

    /// Notes that the body has arrived completely. Its share is not taken away any more.
    pub(super) fn complete(&mut self) -> Result<(), Lost> {
        self.budget.table().complete(self.id)
    }

    /// Waits until the share was taken away.
    pub(super) async fn lost(&self) -> Lost {
        loop {
            let due = self.budget.table().keep(self.id);
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

    fn is_waiting(&self) -> Result<bool, Lost> {
        self.budget.table().is_waiting(self.id)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.table().end(self.id);
        self.budget.used.dec_by(signed(self.bytes));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
