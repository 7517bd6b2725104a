//! The finalizer of an object, which keeps a deleted object until the garbage collector of Kubernetes can find what
//! belongs to it. Writes the finalizer and owner references.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch};
use kube::core::PartialObjectMeta;
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names::FINALIZER;

use super::error::{ControllerError, within};
use super::ownership::{self, Writer};
use super::{gateways, patch_params, publish};

/// The finalizer that Kubernetes sets on an object that is deleted without its dependents (`--cascade=orphan`).
const ORPHAN_FINALIZER: &str = "orphan";

/// Adds the finalizer.
pub(super) async fn add(
    client: &Client,
    key: &ObjectKey,
    meta: &ObjectMeta,
) -> Result<(), ControllerError> {
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.push(FINALIZER.to_owned());
    write(client, key, meta, &finalizers).await
}

/// Makes the deleted object the owner of its dependents, then removes the finalizer.
pub(super) async fn clean_up(
    client: &Client,
    key: &ObjectKey,
    meta: &ObjectMeta,
) -> Result<(), ControllerError> {
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|name| name != FINALIZER);
    if finalizers.len() == before {
        return Ok(());
    }
    if !finalizers.iter().any(|name| name == ORPHAN_FINALIZER) {
        for (prefix, writer) in [
            (publish::NAME_PREFIX, Writer::Controller),
            (gateways::REPORTS_PREFIX, Writer::Agent),
        ] {
            adopt(client, key, meta, prefix, writer).await?;
        }
    }
    unless_gone(write(client, key, meta, &finalizers).await)
}

/// Makes the object the owner of a ConfigMap that belongs to it. A ConfigMap with another owner is not changed.
async fn adopt(
    client: &Client,
    key: &ObjectKey,
    meta: &ObjectMeta,
    prefix: &str,
    writer: Writer,
) -> Result<(), ControllerError> {
    let name = format!("{prefix}{}", key.name());
    let config_maps =
        Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), key.namespace());
    let found = within("read a ConfigMap's metadata", config_maps.get_opt(&name)).await?;
    let (Some(found), Some(uid)) = (found, meta.uid.as_deref()) else {
        return Ok(());
    };
    if let Err(whose) = ownership::check(&found.metadata, key, Some(uid), writer) {
        tracing::info!(
            sync.namespace = key.namespace(),
            sync.name = key.name(),
            "the ConfigMap {name} stays: it {whose}"
        );
        return Ok(());
    }
    let owners = ownership::owners(&found.metadata, key, uid);
    let present = found.metadata.owner_references.as_deref();
    if ownership::is_same(present.unwrap_or_default(), &owners) {
        return Ok(());
    }
    // The UID and the version are preconditions. Nothing is written if another ConfigMap has the name in the meantime.
    let patch = json!({ "metadata": {
        "uid": found.metadata.uid,
        "resourceVersion": found.metadata.resource_version,
        "ownerReferences": owners,
    } });
    let (params, patch) = (patch_params(), Patch::Merge(&patch));
    let call = config_maps.patch(&name, &params, &patch);
    unless_gone(within("add an owner reference", call).await)
}

/// Writes the finalizers. The write applies only to the version that was read, because the list is replaced as a whole.
async fn write(
    client: &Client,
    key: &ObjectKey,
    meta: &ObjectMeta,
    finalizers: &[String],
) -> Result<(), ControllerError> {
    let patch = json!({ "metadata": { "resourceVersion": meta.resource_version, "finalizers": finalizers } });
    let objects =
        Api::<PartialObjectMeta<GatewaySync>>::namespaced(client.clone(), key.namespace());
    let (params, patch) = (patch_params(), Patch::Merge(&patch));
    let call = objects.patch(key.name(), &params, &patch);
    within("patch the finalizers", call).await?;
    Ok(())
}

fn unless_gone<T>(result: Result<T, ControllerError>) -> Result<(), ControllerError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(error),
    }
}
