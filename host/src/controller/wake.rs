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

use super::{FIELD_MANAGER, publish};
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
        Event::Apply(map) | Event::InitApply(map) => (!is_as_we_left_it(&map)).then_some(map),
        Event::Init | Event::InitDone => None,
    }
}

/// Whether nobody else wrote a field that is still there, or removed one of ours.
fn is_as_we_left_it(map: &Metadata) -> bool {
    let writers = map.managed_fields();
    writers
        .iter()
        .all(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
        && publish::FIELDS.iter().all(|field| {
            let mut owned = writers.iter().filter_map(|entry| entry.fields_v1.as_ref());
            owned.any(|fields| fields.0.pointer(field).is_some())
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A ConfigMap of which each of the managers wrote what it is said to have.
    fn map(managers: &[(&str, Value)]) -> Metadata {
        let entries: Vec<_> = managers
            .iter()
            .map(|(manager, fields)| json!({"manager": manager, "fieldsV1": fields}))
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "stoker-metadata-plant", "managedFields": entries},
        }))
        .unwrap()
    }

    /// What is owned by whoever wrote all of it.
    fn whole() -> Value {
        let mut fields =
            json!({"f:metadata": {"f:labels": {}, "f:ownerReferences": {}}, "f:data": {}});
        for field in publish::FIELDS {
            let (parent, name) = field.rsplit_once('/').unwrap();
            let name = name.replace("~1", "/");
            fields.pointer_mut(parent).unwrap()[name] = json!({});
        }
        fields
    }

    #[test]
    fn only_what_others_did_wakes() {
        let ours = || (FIELD_MANAGER, whole());
        let other = json!({"f:metadata": {"f:annotations": {"f:note": {}}}});
        for (managers, wakes) in [
            (vec![ours()], false),
            (vec![ours(), ("kubectl-edit", other)], true),
            (vec![("kubectl-edit", whole())], true),
            (vec![], true),
        ] {
            for event in [
                Event::Apply(map(&managers)),
                Event::InitApply(map(&managers)),
            ] {
                assert_eq!(touched(event).is_some(), wakes, "{managers:?}");
            }
        }
        assert!(touched(Event::Delete(map(&[ours()]))).is_some());
        assert!(touched(Event::InitDone).is_none());
    }

    #[test]
    fn what_others_removed_wakes() {
        for field in publish::FIELDS {
            let (parent, name) = field.rsplit_once('/').unwrap();
            let mut fields = whole();
            let siblings = fields.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            siblings.remove(&name.replace("~1", "/")).unwrap();
            let event = Event::Apply(map(&[(FIELD_MANAGER, fields)]));
            assert!(touched(event).is_some(), "{field}");
        }
    }
}
