//! What a watch shows of the objects: the ref and the commit of each, and when a webhook was resolved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use stoker_api::GatewaySync;
use tokio::task::JoinHandle;

/// The objects of a namespace, as a watch shows them.
pub(super) struct Statuses {
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// The ref that was resolved last, by the name of the object.
    resolved: HashMap<String, String>,
    /// The webhooks that are not resolved: the ref and the time of each, by the name of the object.
    expected: HashMap<String, (String, Instant)>,
    taken: Vec<Duration>,
}

impl Statuses {
    pub(super) fn watch(objects: Api<GatewaySync>) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let seen = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut events = watcher(objects, watcher::Config::default())
                .default_backoff()
                .applied_objects()
                .boxed();
            while let Ok(Some(object)) = events.try_next().await {
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .see(&object);
            }
        });
        Self { shared, task }
    }

    /// Notes that a webhook is sent now, which makes an object follow another ref.
    pub(super) fn expect(&self, name: &str, git_ref: String) {
        self.with(|shared| {
            let now = Instant::now();
            shared.expected.insert(name.to_owned(), (git_ref, now));
        });
    }

    /// Returns the number of webhooks that are not resolved.
    pub(super) fn unresolved(&self) -> usize {
        self.with(|shared| shared.expected.len())
    }

    /// Returns how long the resolved webhooks took, sorted, and forgets them.
    pub(super) fn take(&self) -> Vec<Duration> {
        let mut taken = self.with(|shared| std::mem::take(&mut shared.taken));
        taken.sort_unstable();
        taken
    }

    /// Waits until a number of objects have a ref and every webhook is resolved.
    pub(super) async fn until(&self, objects: usize, patience: Duration) -> Result<Duration> {
        let started = Instant::now();
        loop {
            let (resolved, expected) =
                self.with(|shared| (shared.resolved.len(), shared.expected.len()));
            if resolved >= objects && expected == 0 {
                return Ok(started.elapsed());
            }
            if started.elapsed() > patience {
                bail!(
                    "{resolved} of {objects} objects are resolved, and {expected} webhooks are not"
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn with<R>(&self, access: impl FnOnce(&mut Shared) -> R) -> R {
        access(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Statuses {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn see(&mut self, object: &GatewaySync) {
        let status = object.status.as_ref();
        let Some(git_ref) = status.and_then(|status| status.last_sync_ref.clone()) else {
            return;
        };
        let name = object.name_any();
        if let Some((expected, since)) = self.expected.get(&name)
            && *expected == git_ref
        {
            self.taken.push(since.elapsed());
            self.expected.remove(&name);
        }
        self.resolved.insert(name, git_ref);
    }
}
