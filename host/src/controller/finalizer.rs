//! Holding an object until what belongs to it is removed. Writes to the cluster: the finalizer, and deletions.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use serde_json::json;

use super::FIELD_MANAGER;
use super::error::{ControllerError, within};
use crate::api::GatewaySync;
use crate::api::names::FINALIZER;
use crate::detection::ObjectKey;

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

/// Removes what belongs to a deleted object, then the finalizer.
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
    let config_maps =
        Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), key.namespace());
    for prefix in ["stoker-metadata-", "stoker-status-", "stoker-changes-"] {
        let name = format!("{prefix}{}", key.name());
        unless_gone(
            within(
                "delete a ConfigMap",
                config_maps.delete(&name, &DeleteParams::default()),
            )
            .await,
        )?;
    }
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), key.namespace());
    let name = format!("stoker-github-token-{}", key.name());
    unless_gone(
        within(
            "delete the token Secret",
            secrets.delete(&name, &DeleteParams::default()),
        )
        .await,
    )?;
    unless_gone(write(client, key, meta, &finalizers).await)
}

/// Writes the finalizers and nothing else, and only into the version that was read: the list is replaced as a whole.
async fn write(
    client: &Client,
    key: &ObjectKey,
    meta: &ObjectMeta,
    finalizers: &[String],
) -> Result<(), ControllerError> {
    let patch = json!({ "metadata": { "resourceVersion": meta.resource_version, "finalizers": finalizers } });
    let objects =
        Api::<PartialObjectMeta<GatewaySync>>::namespaced(client.clone(), key.namespace());
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    within(
        "patch the finalizers",
        objects.patch(key.name(), &params, &Patch::Merge(&patch)),
    )
    .await?;
    Ok(())
}

fn unless_gone<T>(result: Result<T, ControllerError>) -> Result<(), ControllerError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(error),
    }
}
