//! The finalizer of an object, which keeps a deleted object until its ConfigMaps are deleted. Writes the finalizer, and
//! deletes the ConfigMaps and the Secret with a token.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt as _};
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names::{self, FINALIZER};

use super::error::{ControllerError, within};
use super::ownership::{self, Writer};
use super::{patch_params, token_secret};

/// The finalizer that Kubernetes sets on an object that is deleted without its dependents (`--cascade=orphan`).
const ORPHAN_FINALIZER: &str = "orphan";
/// The beginning of the names of the ConfigMaps that the Go operator reserves for changes of the gateways. The name of
/// the object follows. No present agent writes one.
const CHANGES_PREFIX: &str = "stoker-changes-";

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

/// Deletes the ConfigMaps of the deleted object and its Secret with a token, then removes the finalizer.
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
        let config_maps = Api::namespaced(client.clone(), key.namespace());
        let published = find(&config_maps, key, names::METADATA_PREFIX).await?;
        // Kubernetes removes the owner references and then its finalizer, which may have happened before this pass.
        let is_orphaned = |published: &ConfigMapMeta| {
            let uid = meta.uid.as_deref();
            ownership::check(&published.metadata, key, uid, Writer::Controller).is_ok()
                && !ownership::has_owner(&published.metadata, key)
        };
        if !published.as_ref().is_some_and(is_orphaned) {
            delete(&config_maps, key, meta, published, Writer::Controller).await?;
            for prefix in [names::REPORTS_PREFIX, CHANGES_PREFIX] {
                let written = find(&config_maps, key, prefix).await?;
                delete(&config_maps, key, meta, written, Writer::Agent).await?;
            }
            token_secret::delete(client, key, meta).await?;
        }
    }
    unless_gone(write(client, key, meta, &finalizers).await)
}

type ConfigMapMeta = PartialObjectMeta<ConfigMap>;

async fn find(
    config_maps: &Api<ConfigMapMeta>,
    key: &ObjectKey,
    prefix: &str,
) -> Result<Option<ConfigMapMeta>, ControllerError> {
    let name = format!("{prefix}{}", key.name());
    within("read a ConfigMap's metadata", config_maps.get_opt(&name)).await
}

/// Deletes a ConfigMap that belongs to the object. A ConfigMap of others is not changed.
async fn delete(
    config_maps: &Api<ConfigMapMeta>,
    key: &ObjectKey,
    meta: &ObjectMeta,
    found: Option<ConfigMapMeta>,
    writer: Writer,
) -> Result<(), ControllerError> {
    let Some(found) = found else {
        return Ok(());
    };
    let name = found.name_any();
    if let Err(whose) = ownership::check(&found.metadata, key, meta.uid.as_deref(), writer) {
        tracing::info!(
            sync.namespace = key.namespace(),
            sync.name = key.name(),
            "the ConfigMap {name} stays: it {whose}"
        );
        return Ok(());
    }
    let params = only(found.metadata);
    let call = config_maps.delete(&name, &params);
    unless_gone(within("delete a ConfigMap", call).await)
}

/// Returns the parameters with which nothing is deleted if the object was changed, or another one has the name, in the
/// meantime.
pub(super) fn only(found: ObjectMeta) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions {
        uid: found.uid,
        resource_version: found.resource_version,
    })
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

/// Returns the result of a call for an object that need not exist.
pub(super) fn unless_gone<T>(result: Result<T, ControllerError>) -> Result<(), ControllerError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(error),
    }
}
