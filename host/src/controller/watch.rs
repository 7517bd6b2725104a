//! The watches that start passes: one of the objects, and one of the ConfigMaps that are published for them.

use std::future::ready;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, Resource};
use stoker_api::GatewaySync;
use stoker_api::names::label;

use crate::watch_backoff::watch_backoff;

type Guarded = DeserializeGuard<GatewaySync>;

/// Returns the objects whose spec, annotations or finalizers changed, and a store of all objects. A change of the
/// status, which the controller writes itself, starts no pass.
pub(super) fn objects(
    client: Client,
    namespace: Option<&str>,
) -> (
    impl Stream<Item = watcher::Result<Guarded>> + Send + use<>,
    Store<Guarded>,
) {
    let (reader, writer) = reflector::store();
    let changed = predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers);
    let events = watcher(
        api::<Guarded>(client, namespace),
        watcher::Config::default(),
    );
    let objects = restarted("GatewaySync", events)
        .reflect(writer)
        .applied_objects()
        .predicate_filter(changed, PredicateConfig::default());
    (objects, reader)
}

/// Returns the published ConfigMaps that were changed or deleted, so that their objects repair them.
///
/// A write of the controller itself also starts a pass, which finds nothing to do.
pub(super) fn config_maps(
    client: Client,
    namespace: Option<&str>,
) -> impl Stream<Item = watcher::Result<PartialObjectMeta<ConfigMap>>> + Send + use<> {
    let published =
        watcher::Config::default().labels(&format!("{}={}", label::MANAGED_BY, label::CONTROLLER));
    let events = watcher(api(client, namespace), published);
    restarted("ConfigMap", events).touched_objects()
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

/// Logs the errors of a watch and removes them: the controller would wait after each of them as well, and for longer
/// than [`watch_backoff`] does.
fn restarted<K: Send>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send {
    events.backoff(watch_backoff()).filter_map(move |event| {
        if let Err(error) = &event {
            tracing::warn!(kind, error = %stoker_report::chain(error), "the watch of the controller was interrupted");
        }
        ready(event.ok().map(Ok))
    })
}
