//! What wakes a pass: changes that somebody else made. The controller's own writes, a status and a ConfigMap for each
//! commit, would each wake another pass that finds nothing to do and reads the cluster for it.

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, Resource, ResourceExt as _};

use super::FIELD_MANAGER;
use crate::api::GatewaySync;
use crate::api::names::label;

type Watched = DeserializeGuard<GatewaySync>;
type Metadata = PartialObjectMeta<ConfigMap>;

/// The objects whose spec, annotations or finalizers changed, and a store of all of them.
pub(super) fn objects(
    client: Client,
    namespace: Option<&str>,
) -> (
    impl Stream<Item = Result<Watched, watcher::Error>> + Send + use<>,
    Store<Watched>,
) {
    let (reader, writer) = reflector::store();
    let changed = predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers);
    let objects = watcher(
        api::<Watched>(client, namespace),
        watcher::Config::default(),
    )
    .reflect(writer)
    .applied_objects()
    .predicate_filter(changed, PredicateConfig::default());
    (objects, reader)
}

/// The published ConfigMaps that somebody else changed, or that were deleted: their objects repair them.
pub(super) fn published(
    client: Client,
    namespace: Option<&str>,
) -> impl Stream<Item = Result<Metadata, watcher::Error>> + Send + use<> {
    let by_us =
        watcher::Config::default().labels(&format!("{}={}", label::MANAGED_BY, label::CONTROLLER));
    watcher(api::<Metadata>(client, namespace), by_us).filter_map(|event| {
        std::future::ready(match event {
            Ok(event) => touched(event).map(Ok),
            Err(error) => Some(Err(error)),
        })
    })
}

/// Of one namespace, or of all.
fn api<K>(client: Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

fn touched(event: Event<Metadata>) -> Option<Metadata> {
    match event {
        Event::Delete(map) => Some(map),
        Event::Apply(map) | Event::InitApply(map) => (!is_ours_alone(&map)).then_some(map),
        Event::Init | Event::InitDone => None,
    }
}

/// Whether nobody else wrote a field that is still there.
fn is_ours_alone(map: &Metadata) -> bool {
    let ours = Some(FIELD_MANAGER);
    let writers = map.managed_fields();
    !writers.is_empty() && writers.iter().all(|entry| entry.manager.as_deref() == ours)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(managers: &[&str]) -> Metadata {
        let entries: Vec<_> = managers
            .iter()
            .map(|manager| json!({"manager": manager}))
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "stoker-metadata-plant", "managedFields": entries},
        }))
        .unwrap()
    }

    #[test]
    fn only_what_others_wrote_wakes() {
        for (managers, wakes) in [
            (&[FIELD_MANAGER][..], false),
            (&[FIELD_MANAGER, "kubectl-edit"], true),
            (&["kubectl-edit"], true),
            (&[], true),
        ] {
            for event in [Event::Apply(map(managers)), Event::InitApply(map(managers))] {
                assert_eq!(touched(event).is_some(), wakes, "{managers:?}");
            }
        }
        assert!(touched(Event::Delete(map(&[FIELD_MANAGER]))).is_some());
        assert!(touched(Event::InitDone).is_none());
    }
}
