//! The requests that a watch shows on the objects during the run.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use stoker_api::GatewaySync;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::deliveries::number_of;
use super::verdict::Store;

/// The pause of the watch after an error.
const PAUSE: Duration = Duration::from_millis(100);

/// Follows the objects until it is dropped.
pub(super) struct History {
    stores: Arc<Mutex<Vec<Store>>>,
    task: JoinHandle<()>,
}

impl History {
    /// Follows the objects. All times are measured from `start`.
    pub(super) fn follow(objects: Api<GatewaySync>, start: Instant) -> Self {
        let stores = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&stores);
        let task = tokio::spawn(async move {
            let mut events = pin!(watcher(objects, watcher::Config::default()).applied_objects());
            // An object is reported for each change of its status too.
            let mut latest: HashMap<String, String> = HashMap::new();
            while let Some(event) = events.next().await {
                let Ok(object) = event else {
                    sleep(PAUSE).await;
                    continue;
                };
                let stamp = object.requested_at().unwrap_or_default().to_owned();
                let number = object.requested_ref().and_then(number_of);
                let is_new = latest.insert(object.name_any(), stamp.clone()) != Some(stamp);
                if let (true, Some(number)) = (is_new, number) {
                    let seen = start.elapsed();
                    let store = Store { number, seen };
                    found
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(store);
                }
            }
        });
        Self { stores, task }
    }

    /// Returns what was stored so far.
    pub(super) fn stores(&self) -> Vec<Store> {
        let stores = self.stores.lock();
        stores.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}
