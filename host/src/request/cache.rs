//! What is known of the objects without asking: a watch keeps it current, within the time that a watch takes.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use kube::api::{Api, ApiResource, Object};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, mpsc};

use super::repeat::{News, ResolvedRef, Standing};
use crate::api::GatewaySync;
use crate::api::names::annotation;
use crate::detection::{GitRef, ObjectKey, Selection};

/// What of an object is kept. Everything may be absent: an object that the controller cannot read still takes
/// requests.
pub(super) type Target = Object<TargetSpec, TargetStatus>;

/// How long a write may be ahead of the watch. A watch that is further behind is broken, and kube restarts it.
const WATCH_LAG: Duration = Duration::from_secs(30);
/// Writes that are ahead of the watch at one time; one more forgets those that are too old.
const MAX_AHEAD: usize = 4096;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct TargetSpec {
    git: TargetGit,
    webhook: TargetWebhook,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct TargetWebhook {
    detectors: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct TargetGit {
    repo: String,
    r#ref: String,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TargetStatus {
    observed_generation: Option<i64>,
    ref_resolution_status: Option<String>,
    last_sync_ref: Option<String>,
    last_sync_ref_kind: Option<String>,
    last_handled_requested_at: Option<String>,
}

/// How the kind `GatewaySync` is addressed.
pub(super) fn resource() -> ApiResource {
    ApiResource::erase::<GatewaySync>(&())
}

/// The objects, as the watch told last.
pub struct ObjectCache {
    store: Store<Target>,
    ahead: Mutex<HashMap<ObjectKey, Ahead>>,
    deferred: Mutex<HashMap<ObjectKey, Deferred>>,
    resource: ApiResource,
    listed: OnceCell<()>,
}

/// A write that the watch may not have told of yet.
struct Ahead {
    requested_at: Timestamp,
    git_ref: GitRef,
    written: Instant,
}

/// A delivery that found its own ref requested and not yet handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deferred {
    pub(super) requested_at: String,
    pub(super) git_ref: GitRef,
    pub(super) plugin: String,
}

/// An object, with what decides about requests for it.
pub(super) struct Known {
    pub(super) standing: Standing,
    /// `spec.git.repo`.
    pub(super) repo: String,
}

/// The plugins that may answer for an object.
pub(super) fn selection(target: &Target) -> Selection {
    let detectors = target.spec.webhook.detectors.as_ref();
    detectors.map_or_else(Selection::all, |names| Selection::only(names.as_slice()))
}

impl ObjectCache {
    fn new(store: Store<Target>, resource: ApiResource) -> Self {
        Self {
            store,
            ahead: Mutex::default(),
            deferred: Mutex::default(),
            resource,
            listed: OnceCell::new(),
        }
    }

    /// Waits until the objects were listed once.
    pub async fn wait_until_ready(&self) {
        // One at a time: of those who wait for a `Store`, it wakes only the one that asked last.
        let listed = async {
            // The other end lives as long as the watch; without it, there is nothing to wait for.
            if self.store.wait_until_ready().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        self.listed.get_or_init(|| listed).await;
    }

    /// The object, unless it is unknown.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<Known> {
        let target = self.find(key)?;
        Some(Known {
            standing: standing(&target),
            repo: target.spec.git.repo.clone(),
        })
    }

    /// The plugins that may answer for the object, unless it is unknown.
    pub(super) fn selection(&self, key: &ObjectKey) -> Option<Selection> {
        self.find(key).map(|target| selection(&target))
    }

    fn find(&self, key: &ObjectKey) -> Option<Arc<Target>> {
        let reference =
            ObjectRef::new_with(key.name(), self.resource.clone()).within(key.namespace());
        self.store.get(&reference)
    }

    /// Notes a write of our own, of which the watch has yet to tell.
    pub(super) fn note_write(&self, key: &ObjectKey, requested_at: Timestamp, git_ref: &GitRef) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.len() >= MAX_AHEAD {
            ahead.retain(|_, write| write.written.elapsed() < WATCH_LAG);
        }
        let git_ref = git_ref.clone();
        let written = Instant::now();
        ahead.insert(
            key.clone(),
            Ahead {
                requested_at,
                git_ref,
                written,
            },
        );
    }

    /// Whether a request would be news, as far as the watch can tell. None where it cannot, because it may be behind:
    /// the same request was written a moment ago, or the controller may just have handled it.
    pub(super) fn opinion(
        &self,
        key: &ObjectKey,
        known: Option<&Known>,
        git_ref: &GitRef,
    ) -> Option<News> {
        let Some(Known { standing, .. }) = known else {
            return Some(News::Fresh);
        };
        if let Some(written) = self.written_since(key, standing) {
            // To write once more than needed is always right.
            return (written != *git_ref).then_some(News::Fresh);
        }
        match standing.news(git_ref) {
            News::Pending { .. } => None,
            news => Some(news),
        }
    }

    /// The ref of our own last write to the object, unless the watch has told of it.
    fn written_since(&self, key: &ObjectKey, standing: &Standing) -> Option<GitRef> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let write = ahead.get(key)?;
        let told: Option<Timestamp> = standing
            .requested_at
            .as_deref()
            .and_then(|text| text.parse().ok());
        let is_told = told.is_some_and(|told| told >= write.requested_at);
        if is_told || write.written.elapsed() > WATCH_LAG {
            ahead.remove(key);
            return None;
        }
        Some(write.git_ref.clone())
    }

    /// Keeps a delivery until the pending request is handled.
    pub(super) fn defer(&self, key: &ObjectKey, deferred: Deferred) {
        let mut all = self.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_AHEAD || all.contains_key(key) {
            all.insert(key.clone(), deferred);
        }
    }

    /// The delivery that waited for what the object now says was handled, if its ref may have moved meanwhile.
    fn take_due(&self, target: &Target) -> Option<(ObjectKey, Deferred)> {
        let mut all = self.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return None;
        }
        let key = ObjectKey::new(&target.namespace()?, &target.name_any()).ok()?;
        let standing = standing(target);
        let deferred = all.get(&key)?;
        let is_handled = standing.handled_at.as_ref() == Some(&deferred.requested_at);
        let is_replaced = standing.requested_at.as_ref() != Some(&deferred.requested_at);
        if !is_handled && !is_replaced {
            return None;
        }
        let deferred = all.remove(&key)?;
        (!is_replaced && !standing.is_settled(&deferred.git_ref)).then_some((key, deferred))
    }
}

pub(super) fn standing(target: &Target) -> Standing {
    let annotation = |name: &str| {
        target
            .annotations()
            .get(name)
            .filter(|text| !text.is_empty())
            .cloned()
    };
    let status = target.status.clone().unwrap_or_default();
    // An object that changed since may name another repository: then nothing is known to be resolved.
    let is_observed = status.observed_generation == target.metadata.generation;
    let is_resolved = status.ref_resolution_status.as_deref() == Some("Resolved");
    let resolved = status.last_sync_ref.filter(|_| is_observed && is_resolved);
    let is_fixed = matches!(status.last_sync_ref_kind.as_deref(), Some("Tag" | "Commit"));
    Standing {
        spec_ref: target.spec.git.r#ref.clone(),
        requested_ref: annotation(annotation::REQUESTED_REF),
        requested_at: annotation(annotation::REQUESTED_AT),
        handled_at: status.last_handled_requested_at,
        resolved: resolved.map(|name| ResolvedRef { name, is_fixed }),
    }
}

/// The cache, and the watch that keeps it current for as long as it is polled, of one namespace or of all. Deliveries
/// that are due again come out of the channel.
pub fn follow(
    client: &Client,
    namespace: Option<&str>,
) -> (
    ObjectCache,
    impl Future<Output = ()> + Send + use<>,
    DueDeliveries,
) {
    let resource = resource();
    let api: Api<Target> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let writer = reflector::store::Writer::new(resource.clone());
    let cache = ObjectCache::new(writer.as_reader(), resource);
    let (sender, due) = mpsc::channel(64);
    let events = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(slim)
        .reflect(writer);
    (cache, drive(events, sender), DueDeliveries(due))
}

/// What the watch hands on to the writer: every object as it comes in.
pub struct DueDeliveries(mpsc::Receiver<Target>);

impl DueDeliveries {
    /// Waits for the next object that a deferred delivery may be due for.
    pub(super) async fn next(&mut self, cache: &ObjectCache) -> Option<(ObjectKey, Deferred)> {
        loop {
            let target = self.0.recv().await?;
            if let Some(due) = cache.take_due(&target) {
                return Some(due);
            }
        }
    }
}

async fn drive(
    events: impl Stream<Item = watcher::Result<watcher::Event<Target>>>,
    due: mpsc::Sender<Target>,
) {
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(target) | watcher::Event::InitApply(target)) => {
                // The receiver is gone at the end of the process only.
                if due.send(target).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %crate::report::chain(&error), "the watch of the objects was interrupted");
            }
        }
    }
}

/// Leaves out what only other programs need.
fn slim(target: &mut Target) {
    target.managed_fields_mut().clear();
    target
        .annotations_mut()
        .retain(|name, _| name.starts_with("stoker.io/"));
    target.labels_mut().clear();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_who_waits_for_the_objects_is_woken() {
        let mut writer = reflector::store::Writer::new(resource());
        let cache = Arc::new(ObjectCache::new(writer.as_reader(), resource()));
        let mut waiting = JoinSet::new();
        for _ in 0..3 {
            let cache = Arc::clone(&cache);
            waiting.spawn(async move { cache.wait_until_ready().await });
        }
        tokio::task::yield_now().await;
        writer.apply_watcher_event(&watcher::Event::Init);
        writer.apply_watcher_event(&watcher::Event::InitDone);
        let woken = tokio::time::timeout(Duration::from_mins(1), waiting.join_all()).await;
        assert!(woken.is_ok(), "somebody waits for ever");
    }
}
