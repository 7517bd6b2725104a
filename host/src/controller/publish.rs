//! Fourth step: writes the ConfigMap for the agents if it differs.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PostParams};
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;

use super::dereference::References;
use super::error::{ControllerError, within};
use super::ownership::{self, Writer};
use super::resolve::{Blocked, Resolution, Resolved};
use super::validate::Desired;
use super::{Context, FIELD_MANAGER, config_map, patch_params};

/// The beginning of the names of the ConfigMaps. The name of the object follows.
pub(super) const NAME_PREFIX: &str = "stoker-metadata-";

/// The name of the ConfigMap of an object.
pub(super) fn metadata_name(key: &ObjectKey) -> String {
    format!("{NAME_PREFIX}{}", key.name())
}

/// The result of the step.
#[derive(Debug)]
pub(super) enum Publication {
    /// The ConfigMap has the commit.
    Published,
    /// There is no commit to publish.
    Skipped,
    /// The commit is not published, because the Secret with the API key of the gateways is missing.
    Blocked(Blocked),
    /// The ConfigMap could not be written.
    Failed(ControllerError),
}

/// Publishes the commit of an object.
///
/// # Errors
///
/// Fails only if another client has written in the meantime. There is nothing to report in this case, because the next
/// pass follows immediately.
pub(super) async fn publish<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    refs: &References,
    desired: &Desired,
    resolution: &Resolution,
) -> Result<Publication, ControllerError> {
    let Resolution::Resolved(resolved) = resolution else {
        return Ok(Publication::Skipped);
    };
    if let Err(secret) = &desired.gateway {
        return Ok(Publication::Blocked(Blocked {
            secret: secret.clone(),
            retry: context.states.record_failure(key, &desired.lookup_key),
        }));
    }
    match write(
        &context.client,
        key,
        sync,
        refs.config_map.as_ref(),
        resolved,
    )
    .await
    {
        Ok(()) => Ok(Publication::Published),
        Err(error) if error.is_conflict() => Err(error),
        Err(error) => Ok(Publication::Failed(error)),
    }
}

/// Tells the agents of a paused object to stop syncing. They keep what they have: nothing else of the ConfigMap changes.
/// The next pass over the object after the pause publishes that it is over.
pub(super) async fn pause(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<(), ControllerError> {
    let name = metadata_name(key);
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let found = within("read the metadata ConfigMap", config_maps.get_opt(&name)).await?;
    let Some(found) = found else {
        return Ok(());
    };
    let uid = sync.uid();
    let is_own = ownership::check(&found.metadata, key, uid.as_deref(), Writer::Controller).is_ok();
    let data = found.data.as_ref();
    let is_told = data.is_some_and(|data| {
        data.get(config_map::PAUSED)
            .is_some_and(|text| text == "true")
    });
    if is_own && !is_told {
        let patch = json!({
            "metadata": { "resourceVersion": found.metadata.resource_version },
            "data": { config_map::PAUSED: "true" },
        });
        let (params, patch) = (patch_params(), Patch::Merge(&patch));
        let call = config_maps.patch(&name, &params, &patch);
        within("patch the metadata ConfigMap", call).await?;
    }
    Ok(())
}

/// Creates the ConfigMap, or updates it if it belongs to the object.
async fn write(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    present: Option<&ConfigMap>,
    resolved: &Resolved,
) -> Result<(), ControllerError> {
    let wanted = config_map::wanted(key, sync, resolved)?;
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let Some(present) = present else {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let call = config_maps.create(&params, &wanted);
        within("create the metadata ConfigMap", call).await?;
        return Ok(());
    };
    let name = metadata_name(key);
    ownership::check(
        &present.metadata,
        key,
        sync.uid().as_deref(),
        Writer::Controller,
    )
    .map_err(|whose| ControllerError::MetadataTaken {
        name: name.clone(),
        whose,
    })?;
    if let Some(patch) = config_map::difference(key, present, &wanted) {
        let (params, patch) = (patch_params(), Patch::Merge(&patch));
        let call = config_maps.patch(&name, &params, &patch);
        within("patch the metadata ConfigMap", call).await?;
    }
    Ok(())
}
