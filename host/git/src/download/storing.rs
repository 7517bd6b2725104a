//! Stores a pack in a thread of its own, while it arrives.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, Bytes};
use stoker_api::detection::CommitId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::GitError;
use crate::store::{self, Basis, FetchLock, IndexError, ObjectStore, PackLimits};

/// The maximum number of parts of a pack, of 64 KiB each, that wait for being written.
const WAITING_PARTS: usize = 16;

/// A thread that stores a pack. It stops soon after the value is dropped.
pub(super) struct Storing {
    task: JoinHandle<Result<(), GitError>>,
    stop: Arc<AtomicBool>,
}

impl Storing {
    /// Starts a thread that stores a pack as it arrives, and checks that the commit is complete then. Returns where
    /// the parts of the pack go. The store is locked until the thread has ended.
    pub(super) fn start(
        store: &ObjectStore,
        basis: &Basis,
        commit: &CommitId,
        limits: PackLimits,
        lock: FetchLock,
    ) -> Result<(mpsc::Sender<Bytes>, Self), GitError> {
        let (sender, receiver) = mpsc::channel(WAITING_PARTS);
        let stop = Arc::new(AtomicBool::new(false));
        let (store, basis, stopped) = (store.clone(), basis.clone(), Arc::clone(&stop));
        let commit = commit.clone();
        let directory = store.incoming()?;
        let task = tokio::task::spawn_blocking(move || {
            let _lock = lock;
            let parts = Parts {
                receiver,
                part: Bytes::new(),
            };
            let format = store::object_id(&commit).kind();
            let earlier = (!basis.commits.is_empty()).then_some(&*basis.packs);
            let indexed = store::index(parts, directory, format, earlier, limits, &stopped)
                .map_err(|error| pack_error(error, limits))?;
            if store.install(&commit, indexed, &basis)? {
                Ok(())
            } else {
                Err(GitError::Incomplete { id: commit })
            }
        });
        Ok((sender, Self { task, stop }))
    }

    pub(super) async fn join(mut self) -> Result<(), GitError> {
        match (&mut self.task).await {
            Ok(outcome) => outcome,
            // The libraries do not panic on purpose, but the pack comes from outside.
            Err(error) => Err(GitError::Pack(error.into())),
        }
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn pack_error(error: IndexError, limits: PackLimits) -> GitError {
    match error {
        IndexError::Store(error) => GitError::Store(error),
        IndexError::TooManyObjects { count } => GitError::TooManyObjects {
            count,
            limit: limits.objects,
        },
        IndexError::ObjectTooLarge => GitError::ObjectTooLarge {
            limit: limits.object_bytes,
        },
        error @ IndexError::Damaged(_) => GitError::Pack(error.into()),
    }
}

/// The parts of a pack, as they arrive. The end of the channel is the end of the pack.
struct Parts {
    receiver: mpsc::Receiver<Bytes>,
    part: Bytes,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            self.part = self.receiver.blocking_recv().unwrap_or_default();
        }
        let count = self.part.len().min(buffer.len());
        self.part.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_store_is_locked_until_the_thread_of_a_fetch_has_ended() {
        let home = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(home.path()).unwrap();
        let commit = CommitId::parse(&"1".repeat(40)).unwrap();
        let limits = PackLimits {
            objects: 1000,
            object_bytes: 1024,
        };
        let lock = store.lock_for_fetch().await;
        let (parts, storing) =
            Storing::start(&store, &Basis::default(), &commit, limits, lock).unwrap();
        let next = timeout(Duration::from_millis(20), store.lock_for_fetch()).await;
        assert!(next.is_err(), "the thread waits for parts");
        drop((storing, parts));
        drop(store.lock_for_fetch().await);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
