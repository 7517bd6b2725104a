//! The watches that start passes: of the objects, of the ConfigMaps that are published for them and in which agents
//! report, of the pods of gateways, and of the RoleBindings of agents.

use std::future::ready;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::Api;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, Resource, ResourceExt as _};
use stoker_api::detection::ObjectKey;
use stoker_api::names::{self, annotation, label};

use super::agent_binding;
use super::gateways::{PodFields, PodIndex};
use super::own_writes::OwnWrites;
use crate::cluster::watch_backoff::WatchMetrics;
use crate::cluster::written::{GuardedSync, WrittenObjects};

/// The annotation in which `kubectl apply` keeps a copy of an object.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns the objects whose spec, annotations or finalizers changed, and a store of all objects. A change of the
/// status, which the controller writes itself, starts no pass. Neither does one of the deliveries that were accepted,
/// which only the receiver reads.
pub(super) fn objects(
    client: Client,
    metrics: &WatchMetrics,
    written: &WrittenObjects,
    namespace: Option<&str>,
) -> (
    impl Stream<Item = watcher::Result<GuardedSync>> + Send + use<>,
    Store<GuardedSync>,
) {
    let (reader, writer) = reflector::store();
    let changed = predicates::generation
        .combine(annotations)
        .combine(predicates::finalizers);
    let events = watcher(
        api::<GuardedSync>(client, namespace),
        watcher::Config::default(),
    );
    let events = metrics.resumed("controller-objects", events);
    let objects = written
        .merged_into(events, reader.clone())
        .modify(drop_unused)
        .reflect(writer)
        .applied_objects()
        .predicate_filter(changed, PredicateConfig::default());
    (objects, reader)
}

/// Returns a hash of the annotations of an object, without those that only the receiver reads.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is a predicate, which may have no value"
)]
fn annotations(object: &GuardedSync) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    object
        .annotations()
        .iter()
        .filter(|(name, _)| !annotation::RECEIVER_ONLY.contains(&name.as_str()))
        .for_each(|annotation| annotation.hash(&mut hasher));
    Some(hasher.finish())
}

/// Drops what only other programs use. It would take more memory than the rest of an object.
fn drop_unused(object: &mut GuardedSync) {
    object.meta_mut().managed_fields = None;
    object.annotations_mut().remove(LAST_APPLIED);
}

/// Returns the ConfigMaps that were changed or deleted: the published ones, so that their objects repair them, and those
/// in which agents report, also without the label of their manager. A write of the controller itself starts no pass.
pub(super) fn config_maps(
    client: &Client,
    metrics: &WatchMetrics,
    namespace: Option<&str>,
    writes: &Arc<OwnWrites>,
) -> impl Stream<Item = watcher::Result<PartialObjectMeta<ConfigMap>>> + Send + use<> {
    let (by, managers) = (
        label::MANAGED_BY,
        format!("({},{})", label::CONTROLLER, label::AGENT),
    );
    let managed = format!("{by} in {managers}");
    // A selector has no "or".
    let unmanaged = format!("{},{by} notin {managers}", label::CR_NAME);
    let [managed, unmanaged] = [
        ("controller-config-maps", managed),
        ("controller-unmanaged-config-maps", unmanaged),
    ]
    .map(|(name, labels)| {
        let labelled = watcher::Config::default().labels(&labels);
        metrics.resumed(name, watcher(api(client.clone(), namespace), labelled))
    });
    let managed = written_by_others(managed, names::METADATA_PREFIX, Arc::clone(writes));
    // The controller writes none of these. If somebody removes a label, the other watch reports a deletion.
    stream::select(managed, unmanaged.touched_objects())
}

/// Returns the RoleBindings of agents that were changed or deleted, so that their objects repair them. A write of the
/// controller itself starts no pass.
pub(super) fn role_bindings(
    client: Client,
    metrics: &WatchMetrics,
    namespace: Option<&str>,
    writes: Arc<OwnWrites>,
) -> impl Stream<Item = watcher::Result<PartialObjectMeta<RoleBinding>>> + Send + use<> {
    let labels = format!("{}={}", label::MANAGED_BY, label::OPERATOR);
    let labelled = watcher::Config::default().labels(&labels);
    let events = metrics.resumed(
        "controller-role-bindings",
        watcher(api(client, namespace), labelled),
    );
    written_by_others(events, agent_binding::NAME_PREFIX, writes)
}

/// Returns the objects that were changed or deleted, except those with this beginning of the name that are as the
/// controller wrote them last.
fn written_by_others<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<PartialObjectMeta<K>>>> + Send,
    prefix: &'static str,
    writes: Arc<OwnWrites>,
) -> impl Stream<Item = watcher::Result<PartialObjectMeta<K>>> + Send {
    events.filter_map(move |event| {
        let touched = match event {
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                let is_other = super::owner(&object, prefix).is_none_or(|key| {
                    writes.report(&key, object.metadata.resource_version.as_deref())
                });
                is_other.then_some(Ok(object))
            }
            Ok(Event::Init) => {
                writes.forget_all();
                None
            }
            Ok(Event::InitDone) => None,
            Err(error) => Some(Err(error)),
        };
        ready(touched)
    })
}

/// Keeps the pods of gateways current, and returns the objects whose pods changed.
pub(super) fn pods(
    client: Client,
    metrics: &WatchMetrics,
    namespace: Option<&str>,
    index: Arc<PodIndex>,
) -> impl Stream<Item = ObjectRef<GuardedSync>> + Send + use<> {
    let events = watcher(
        api::<PodFields>(client, namespace),
        watcher::Config::default(),
    );
    metrics
        .resumed("controller-pods", events)
        .flat_map(move |event| {
            let changed = event.map(|event| index.apply(event)).unwrap_or_default();
            let object = |key: ObjectKey| ObjectRef::new(key.name()).within(key.namespace());
            stream::iter(changed.into_iter().map(object))
        })
}

/// The API of one namespace, or of all.
fn api<K>(client: Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}
