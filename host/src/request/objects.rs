//! The watched objects, with the data that the receiver uses without a call to the API server.

use std::sync::Arc;

use futures::StreamExt as _;
use kube::api::{Api, ObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde::{Deserialize, Serialize};
use stoker_api::detection::{DetectorSelection, ObjectKey};
use stoker_api::names::annotation;
use stoker_api::requested_over;
use stoker_api::{GatewaySync, WebhookSpec};
use tokio::sync::OnceCell;

use super::accepted::AcceptedDeliveries;
use super::state::{RequestState, Resolved};
use super::{Policy, RequestError, Snapshot, Target};
use crate::cluster::watch_backoff::WatchMetrics;

/// The fields of a `GatewaySync` that the receiver uses. Each may be absent, so that an object that the controller
/// rejects still takes requests.
#[derive(Resource, Debug, Clone, Default, Deserialize, Serialize)]
#[resource(inherit = GatewaySync)]
pub(super) struct StoredObject {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<Spec>,
    #[serde(default)]
    status: Option<StoredStatus>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Spec {
    git: Git,
    paused: Option<bool>,
    webhook: Option<WebhookSpec>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Git {
    repo: String,
    r#ref: String,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct StoredStatus {
    observed_generation: Option<i64>,
    ref_resolution_status: Option<String>,
    last_sync_commit: Option<String>,
    last_sync_ref: Option<String>,
    last_sync_ref_kind: Option<String>,
    last_handled_requested_at: Option<String>,
}

/// An object as the API server sends it. If one object does not have the expected shape, only this object fails, and
/// not the whole list.
pub(super) type GuardedObject = DeserializeGuard<StoredObject>;

/// The name of the watch.
const WATCH: &str = "receiver-objects";

/// The objects, as the watch reported them last.
pub struct ObjectCache {
    store: Store<GuardedObject>,
    listed: OnceCell<()>,
    watches: WatchMetrics,
}

impl ObjectCache {
    pub(super) fn new(store: Store<GuardedObject>, watches: WatchMetrics) -> Self {
        Self {
            store,
            listed: OnceCell::new(),
            watches,
        }
    }

    /// Returns whether the objects were listed once.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.listed.initialized()
    }

    /// Returns the last error of the watch in words, if there was one.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.watches.last_error(WATCH)
    }

    /// Waits until the objects were listed once.
    pub async fn wait_until_ready(&self) {
        // One waiter at a time: a `Store` wakes only the one that began to wait last.
        let listed = async {
            // The writer lives as long as the watch. Without it, the objects are never listed.
            if self.store.wait_until_ready().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        self.listed.get_or_init(|| listed).await;
    }

    /// Finds an object. One that does not have the expected shape is missing.
    pub(super) fn find(&self, key: &ObjectKey) -> Option<Target> {
        target(key, &*self.store.get(&reference(key))?).ok()
    }
}

/// Reads what decides about deliveries for an object.
pub(super) fn target(key: &ObjectKey, object: &GuardedObject) -> Result<Target, RequestError> {
    let object = object.0.as_ref().map_err(|invalid| RequestError::Invalid {
        key: key.clone(),
        why: stoker_report::without_values(&invalid.error),
    })?;
    let webhook = object.spec.as_ref().and_then(|spec| spec.webhook.as_ref());
    let detectors = webhook.and_then(|webhook| webhook.detectors.as_deref());
    let metadata = &object.metadata;
    Ok(Target {
        key: key.clone(),
        policy: Policy {
            detectors: detectors.map_or_else(DetectorSelection::all, DetectorSelection::only),
            secret: webhook.and_then(|webhook| webhook.secret_ref.clone()),
            allowed_sources: webhook.and_then(|webhook| webhook.allowed_sources.clone()),
        },
        snapshot: Snapshot {
            state: state(object),
            webhook: webhook.cloned().unwrap_or_default(),
            version: metadata.resource_version.clone(),
            uid: metadata.uid.clone(),
        },
    })
}

fn state(object: &StoredObject) -> RequestState {
    let annotation = |name: &str| {
        object
            .annotations()
            .get(name)
            .filter(|text| !text.is_empty())
            .cloned()
    };
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    // After a change of the spec, which may name another repository, nothing is known to be resolved.
    let is_observed = status.observed_generation == object.metadata.generation;
    let is_resolved = status.ref_resolution_status.as_deref() == Some("Resolved");
    let is_fixed = matches!(status.last_sync_ref_kind.as_deref(), Some("Tag" | "Commit"));
    let name = status.last_sync_ref.filter(|_| is_observed && is_resolved);
    let spec_ref = spec.git.r#ref;
    let note = annotation(annotation::REQUESTED_OVER);
    let requested_at = annotation(annotation::REQUESTED_AT);
    let note = note.as_deref().zip(requested_at.as_deref());
    let requested_ref = annotation(annotation::REQUESTED_REF).filter(|requested| {
        let over = note.and_then(|(note, at)| requested_over::overridden_ref(note, requested, at));
        !requested_over::is_superseded(requested, &spec_ref, over)
    });
    RequestState {
        repo: spec.git.repo,
        spec_ref,
        is_paused: spec.paused.unwrap_or(false),
        is_deleting: object.metadata.deletion_timestamp.is_some(),
        requested_ref,
        requested_at,
        handled_at: status.last_handled_requested_at,
        ref_kind: status.last_sync_ref_kind,
        resolved: name.map(|name| Resolved {
            name,
            commit: status.last_sync_commit,
            is_fixed,
        }),
        accepted: AcceptedDeliveries::read(
            annotation(annotation::ACCEPTED_DELIVERIES).as_deref(),
            annotation(annotation::ACCEPTED_EVENTS).as_deref(),
        ),
    }
}

/// Returns the cache of one namespace or of all, and the watch that keeps it current for as long as it is polled.
///
/// When objects are deleted, `forget` is called with a function that recognises them.
pub fn follow<F>(
    client: &Client,
    namespace: Option<&str>,
    metrics: &WatchMetrics,
    forget: F,
) -> (Arc<ObjectCache>, impl Future<Output = ()> + Send + use<F>)
where
    F: Fn(&dyn Fn(&ObjectKey) -> bool) + Send + Sync,
{
    let api: Api<GuardedObject> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let writer = reflector::store::Writer::default();
    let store = writer.as_reader();
    let cache = Arc::new(ObjectCache::new(store.clone(), metrics.clone()));
    let events = watcher(api, watcher::Config::default());
    let events = metrics
        .resumed(WATCH, events)
        .modify(drop_unused)
        .reflect(writer);
    let listed = Arc::clone(&cache);
    let follow = async move {
        let followed = events.for_each(|event| {
            if let Ok(event) = event {
                forget_deleted(&event, &store, &forget);
            }
            std::future::ready(())
        });
        // What is listed is noted even if nobody else waits for it.
        tokio::join!(followed, listed.wait_until_ready());
    };
    (cache, follow)
}

/// Forgets what an event says is deleted. After a list, which may follow a gap, this is every object that is not in it.
fn forget_deleted(
    event: &watcher::Event<GuardedObject>,
    store: &Store<GuardedObject>,
    forget: impl Fn(&dyn Fn(&ObjectKey) -> bool),
) {
    match event {
        watcher::Event::Delete(object) => forget(&|key| {
            let (namespace, name) = (object.namespace(), &object.meta().name);
            namespace.as_deref() == Some(key.namespace()) && name.as_deref() == Some(key.name())
        }),
        watcher::Event::InitDone => forget(&|key| store.get(&reference(key)).is_none()),
        watcher::Event::Apply(_) | watcher::Event::Init | watcher::Event::InitApply(_) => {}
    }
}

fn reference(key: &ObjectKey) -> ObjectRef<GuardedObject> {
    ObjectRef::new(key.name()).within(key.namespace())
}

/// Drops what only other programs use, so that a cached object stays small.
fn drop_unused(object: &mut GuardedObject) {
    object.meta_mut().managed_fields = None;
    object
        .annotations_mut()
        .retain(|name, _| name.starts_with("stoker.io/"));
    object.labels_mut().clear();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::task::JoinSet;

    use super::*;

    fn read(object: Value) -> Result<Target, RequestError> {
        let key = ObjectKey::new("plants", "north").unwrap();
        target(&key, &serde_json::from_value(object).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn every_waiter_is_woken_when_the_objects_are_listed() {
        let mut writer = reflector::store::Writer::default();
        let cache = Arc::new(ObjectCache::new(
            writer.as_reader(),
            WatchMetrics::default(),
        ));
        let mut waiting = JoinSet::new();
        for _ in 0..3 {
            let cache = Arc::clone(&cache);
            waiting.spawn(async move { cache.wait_until_ready().await });
        }
        tokio::task::yield_now().await;
        writer.apply_watcher_event(&watcher::Event::Init);
        writer.apply_watcher_event(&watcher::Event::InitDone);
        let woken = tokio::time::timeout(Duration::from_mins(1), waiting.join_all()).await;
        assert!(woken.is_ok(), "a waiter was not woken");
        assert!(cache.is_listed());
    }

    #[test]
    fn objects_that_are_deleted_are_forgotten() {
        let object = |name: &str| -> GuardedObject {
            let metadata = json!({"namespace": "plants", "name": name});
            serde_json::from_value(json!({ "metadata": metadata })).unwrap()
        };
        let mut writer = reflector::store::Writer::default();
        let store = writer.as_reader();
        let mut forgotten = |event: watcher::Event<GuardedObject>| {
            let forgotten = std::cell::RefCell::new(Vec::new());
            writer.apply_watcher_event(&event);
            forget_deleted(&event, &store, |is_gone: &dyn Fn(&ObjectKey) -> bool| {
                let keys = ["a", "b"].map(|name| ObjectKey::new("plants", name).unwrap());
                let gone = keys.into_iter().filter(is_gone);
                forgotten
                    .borrow_mut()
                    .extend(gone.map(|key| key.name().to_owned()));
            });
            forgotten.into_inner()
        };
        assert_eq!(forgotten(watcher::Event::Apply(object("a"))), [""; 0]);
        assert_eq!(forgotten(watcher::Event::Apply(object("b"))), [""; 0]);
        assert_eq!(forgotten(watcher::Event::Delete(object("a"))), ["a"]);
        // After a gap.
        assert_eq!(forgotten(watcher::Event::Init), [""; 0]);
        assert_eq!(forgotten(watcher::Event::InitApply(object("a"))), [""; 0]);
        assert_eq!(forgotten(watcher::Event::InitDone), ["b"]);
    }

    #[test]
    fn an_object_without_spec_and_status_takes_requests() {
        let metadata = json!({"namespace": "plants", "name": "north"});
        let target = read(json!({ "metadata": metadata })).unwrap();
        assert!(target.policy.detectors.has("generic"));
        let target = read(json!({"metadata": metadata, "spec": null, "status": null})).unwrap();
        assert_eq!(target.snapshot.state, RequestState::default());
    }

    #[test]
    fn an_object_of_another_shape_is_invalid() {
        let metadata = json!({"namespace": "plants", "name": "north"});
        let address = "https://user:s3cret@host/x.git";
        for spec in [
            json!(5),
            json!({"webhook": {"detectors": "github"}}),
            json!({ "git": address }),
            json!({ "webhook": address }),
        ] {
            let invalid = read(json!({"metadata": metadata, "spec": spec})).unwrap_err();
            assert!(matches!(invalid, RequestError::Invalid { .. }));
            let text = stoker_report::chain(&invalid).to_string();
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn nothing_is_resolved_after_a_change_of_the_spec() {
        let object = |generation: i64| {
            json!({
                "metadata": {"namespace": "plants", "name": "north", "generation": generation},
                "status": {
                    "observedGeneration": 2, "refResolutionStatus": "Resolved",
                    "lastSyncRef": "v1", "lastSyncRefKind": "Tag",
                },
            })
        };
        assert!(read(object(2)).unwrap().snapshot.state.resolved.is_some());
        assert!(read(object(3)).unwrap().snapshot.state.resolved.is_none());
    }

    #[test]
    fn a_request_does_not_count_after_a_change_of_the_spec() {
        let requested = |spec: &str, over: Option<&str>| {
            let mut annotations =
                json!({"stoker.io/requested-ref": "v1", "stoker.io/requested-at": "t1"});
            if let Some(over) = over {
                annotations["stoker.io/requested-over"] = over.into();
            }
            let object = json!({
                "metadata": {"namespace": "plants", "name": "north", "annotations": annotations},
                "spec": {"git": {"repo": "https://h/r", "ref": spec}},
            });
            read(object).unwrap().snapshot.state.requested_ref.is_some()
        };
        assert!(requested("main", Some("v1 t1 main")));
        assert!(requested("v1", Some("v1 t1 main")));
        assert!(requested("main", None));
        assert!(!requested("v2", Some("v1 t1 main")));
        assert!(!requested("v2", Some("t1 main")), "an earlier version");
        assert!(requested("v2", Some("v1 t0 main")), "another time");
        assert!(requested("v2", Some("v0 t1 main")), "another ref");
    }
}
