//! A limit of the memory that all bodies take together.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// A part of the memory is taken in steps of this size in bytes.
const STEP: usize = 64 << 10;
/// The size of the steps of a small body in bytes. Most webhooks have some KiB.
const SMALL_STEP: usize = 4 << 10;

/// The memory for bodies.
///
/// A body takes its share as it grows, because an announced length may be a lie. If bodies only took from one pool,
/// some large ones could wait for each other with none of them complete. Therefore, a reserve for one body of the
/// largest size is kept apart. When the shared memory is exhausted, one body at a time may use the reserve, so that it
/// does not have to wait any longer.
#[derive(Clone)]
pub(super) struct Budget {
    shared: Arc<Semaphore>,
    reserve: Arc<Mutex<()>>,
    used: Gauge,
}

/// The share of one body. Dropping it returns the share.
pub(super) struct Share {
    budget: Budget,
    shared: Option<OwnedSemaphorePermit>,
    reserve: Option<OwnedMutexGuard<()>>,
    bytes: usize,
}

impl Budget {
    /// Returns a budget of this many bytes, of which `largest`, the maximum size of a body, are the reserve.
    pub(super) fn new(bytes: usize, largest: usize, used: Gauge) -> Self {
        let shared = (bytes.saturating_sub(largest) / SMALL_STEP).min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Semaphore::new(shared)),
            reserve: Arc::default(),
            used,
        }
    }

    /// Returns the share of a body that has no bytes yet.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            shared: None,
            reserve: None,
            bytes: 0,
        }
    }
}

impl Share {
    /// Increases the share to at least this many bytes. Waits until they are available.
    pub(super) async fn grow(&mut self, bytes: usize) {
        if bytes <= self.bytes {
            return;
        }
        let step = if bytes <= STEP { SMALL_STEP } else { STEP };
        let bytes = bytes.next_multiple_of(step);
        if self.reserve.is_none() {
            self.take((bytes - self.bytes) / SMALL_STEP).await;
        }
        self.budget.used.inc_by(signed(bytes - self.bytes));
        self.bytes = bytes;
    }

    async fn take(&mut self, steps: usize) {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let shared = Arc::clone(&self.budget.shared).acquire_many_owned(steps);
        let reserve = Arc::clone(&self.budget.reserve).lock_owned();
        tokio::select! {
            biased;
            Ok(permit) = shared => match &mut self.shared {
                Some(taken) => taken.merge(permit),
                taken => *taken = Some(permit),
            },
            guard = reserve => {
                self.reserve = Some(guard);
                // The reserve is as large as the largest body, so the other bodies get the rest back.
                self.shared = None;
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.dec_by(signed(self.bytes));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn bytes_are_taken_in_steps() {
        let used = Gauge::default();
        let budget = Budget::new(2 << 20, 1 << 20, used.clone());
        let mut share = budget.share();
        for (bytes, taken) in [
            (1, 4 << 10),
            (4 << 10, 4 << 10),
            (5 << 10, 8 << 10),
            (65 << 10, 128 << 10),
        ] {
            share.grow(bytes).await;
            assert_eq!(used.get(), taken, "{bytes}");
        }
        drop(share);
        assert_eq!(used.get(), 0);
    }

    #[tokio::test]
    async fn one_body_completes_where_several_would_wait_for_each_other() {
        let (mib, used) = (1 << 20, Gauge::default());
        let budget = Budget::new(3 * mib, mib, used.clone());
        let mut shares = [(); 3].map(|()| budget.share());
        for share in &mut shares {
            share.grow(640 << 10).await;
        }
        // The shared 2 MiB have no room for a second half of all three.
        let [first, second, third] = &mut shares;
        first.grow(mib).now_or_never().expect("the reserve is free");
        second
            .grow(mib)
            .now_or_never()
            .expect("the first returned its share");
        third
            .grow(mib)
            .now_or_never()
            .expect("the first returned its share");
        let mut fourth = budget.share();
        assert!(fourth.grow(1).now_or_never().is_none());
        assert!(used.get() <= signed(3 * mib));
        drop(shares);
        fourth.grow(1).now_or_never().expect("there is room");
    }
}
