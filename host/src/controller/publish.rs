//! Fourth step: writes the ConfigMap for the agents if it differs, and the Secret with the token of a GitHub App.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::ResourceExt as _;
use kube::api::{Api, Patch};
use kube::core::PartialObjectMeta;
use serde_json::{Value, json};
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names;

use super::dereference::{Present, References};
use super::error::{ControllerError, within};
use super::own_writes::{OwnWrites, Written};
use super::ownership::{self, Writer};
use super::published::PublishedCommit;
use super::resolve::{Blocked, Resolution};
use super::validate::Desired;
use super::{Context, config_map, create_params, patch_params, token_secret};

/// The result of the step.
#[derive(Debug)]
pub(super) enum Publication {
    /// The ConfigMap has the commit, and the Secret has the token.
    Published,
    /// There is no commit to publish.
    Skipped,
    /// The commit is not published, because the Secret with the API key of the gateways is missing.
    Blocked(Blocked),
    /// The ConfigMap or the Secret could not be written.
    Failed(ControllerError),
}

/// Returns the commit of a publication that replaces an earlier one of this process, so that it is not expected to fail.
/// The status can then be written at the same time.
pub(super) fn expected(
    refs: &References,
    desired: &Desired,
    resolution: &Resolution,
) -> Option<PublishedCommit> {
    let Resolution::Resolved(resolved) = resolution else {
        return None;
    };
    let is_expected = matches!(refs.config_map, Present::Written(_))
        && desired.gateway.is_ok()
        && desired.app_token.is_none();
    is_expected.then(|| PublishedCommit::next(refs.published.as_ref(), &resolved.found.commit))
}

/// Publishes the commit of an object. Returns the commit that is in the ConfigMap then, too.
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
) -> Result<(Publication, Option<PublishedCommit>), ControllerError> {
    let client = &context.client;
    let before = refs.published.clone();
    let resolved = match (resolution, &desired.gateway) {
        (Resolution::Resolved(resolved), Ok(())) => resolved,
        (Resolution::Resolved(_), Err(secret)) => {
            let blocked = Blocked {
                secret: secret.clone(),
                retry: context.states.record_blocked(key, &desired.lookup_key),
            };
            let ended = end_pause(client, key, sync, refs).await;
            return Ok((unless_failed(ended, Publication::Blocked(blocked))?, before));
        }
        (Resolution::Blocked(_) | Resolution::Failed(_), _) => {
            let ended = end_pause(client, key, sync, refs).await;
            return Ok((unless_failed(ended, Publication::Skipped)?, before));
        }
    };
    let token = async {
        match &desired.app_token {
            Some(token) => {
                let present = refs.token_secret.as_ref();
                token_secret::write(client, key, sync, present, token).await
            }
            None => Ok(()),
        }
    };
    let config_map = async {
        let wanted = config_map::wanted(key, sync, resolved)?;
        let writes = &context.config_maps.writes;
        match &refs.config_map {
            Present::Written(written) => rewrite(client, writes, key, written, &wanted).await?,
            Present::Read(found) => {
                write(client, writes, key, sync, found.as_deref(), &wanted).await?;
            }
        }
        let published = PublishedCommit::next(refs.published.as_ref(), &resolved.found.commit);
        context.config_maps.set(key, &published);
        Ok(published)
    };
    let (config_map, token) = tokio::join!(config_map, token);
    let (written, published) = match config_map {
        Ok(published) => (token, Some(published)),
        Err(error) => (Err(error), before),
    };
    let publication = unless_failed(written, Publication::Published)?;
    Ok((publication, published))
}

/// Returns a publication whose writes succeeded, or why they did not.
fn unless_failed(
    written: Result<(), ControllerError>,
    publication: Publication,
) -> Result<Publication, ControllerError> {
    match written {
        Ok(()) => Ok(publication),
        Err(error) if error.is_conflict() => Err(error),
        Err(error) => Ok(Publication::Failed(error)),
    }
}

/// Tells the agents of a paused object to stop syncing. They keep what they have: nothing else of the ConfigMap changes.
/// Without a ConfigMap, one without a commit is created, because an agent lets its gateway start when it knows of the
/// pause. The next pass over the object after the pause publishes that it is over.
pub(super) async fn pause<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<(), ControllerError> {
    let client = &context.client;
    // Each pass of a pause reads the ConfigMap.
    context.config_maps.writes.forget(key);
    let name = names::metadata_map(key.name());
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let found = within("read the metadata ConfigMap", config_maps.get_opt(&name)).await?;
    let Some(found) = found else {
        let (params, wanted) = (create_params(), config_map::without_commit(key, sync)?);
        let call = config_maps.create(&params, &wanted);
        within("create the metadata ConfigMap", call).await?;
        return Ok(());
    };
    tell_paused(client, key, sync, &found, Some(true)).await
}

/// Tells the agents that a pause is over if there is no commit to publish, which would tell them. While the ConfigMap has
/// what the object asked for earlier, it stays paused: a pause often ends together with a correction.
pub(super) async fn end_pause(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    refs: &References,
) -> Result<(), ControllerError> {
    match &refs.config_map {
        Present::Read(Some(found)) => {
            let is_over = config_map::is_current(found, sync)?;
            tell_paused(client, key, sync, found, is_over.then_some(false)).await
        }
        // What a pass has written is not paused, and has an owner.
        Present::Read(None) | Present::Written(_) => Ok(()),
    }
}

/// Writes whether the agents stop syncing into the ConfigMap of the object, if it is known and the ConfigMap says
/// something else. Also restores its labels and its owner, without which it would stay when the object is deleted.
async fn tell_paused(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    found: &ConfigMap,
    is_paused: Option<bool>,
) -> Result<(), ControllerError> {
    let uid = sync.uid();
    if ownership::check(&found.metadata, key, uid.as_deref(), Writer::Controller).is_err() {
        return Ok(());
    }
    let Some(patch) = config_map::pause(key, sync, found, is_paused) else {
        return Ok(());
    };
    let config_maps =
        Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), key.namespace());
    let (name, params, patch) = (
        names::metadata_map(key.name()),
        patch_params(),
        Patch::Merge(&patch),
    );
    let call = config_maps.patch(&name, &params, &patch);
    within("patch the metadata ConfigMap", call).await?;
    Ok(())
}

/// Updates a ConfigMap that is as it was written last. Everything but the data is the same for all commits of an object.
async fn rewrite(
    client: &Client,
    writes: &OwnWrites,
    key: &ObjectKey,
    written: &Written,
    wanted: &ConfigMap,
) -> Result<(), ControllerError> {
    if writes.has(written, wanted) {
        return Ok(());
    }
    let patch = json!({
        "metadata": { "resourceVersion": written.version },
        "data": wanted.data,
    });
    patch_config_map(client, writes, key, &patch, wanted).await
}

/// Creates the ConfigMap, or updates it if it belongs to the object.
async fn write(
    client: &Client,
    writes: &OwnWrites,
    key: &ObjectKey,
    sync: &GatewaySync,
    present: Option<&ConfigMap>,
    wanted: &ConfigMap,
) -> Result<(), ControllerError> {
    let Some(present) = present else {
        let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
        let (params, writing) = (create_params(), writes.begin(key));
        let call = config_maps.create(&params, wanted);
        let stored = within("create the metadata ConfigMap", call).await?;
        writing.stored(&stored.metadata, wanted);
        return Ok(());
    };
    ownership::check(
        &present.metadata,
        key,
        sync.uid().as_deref(),
        Writer::Controller,
    )
    .map_err(|whose| ControllerError::MetadataTaken {
        name: names::metadata_map(key.name()),
        whose,
    })?;
    if let Some(patch) = config_map::difference(key, present, wanted) {
        return patch_config_map(client, writes, key, &patch, wanted).await;
    }
    writes.confirm(key, &present.metadata, wanted);
    Ok(())
}

async fn patch_config_map(
    client: &Client,
    writes: &OwnWrites,
    key: &ObjectKey,
    patch: &Value,
    wanted: &ConfigMap,
) -> Result<(), ControllerError> {
    let config_maps =
        Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), key.namespace());
    let (name, params, patch) = (
        names::metadata_map(key.name()),
        patch_params(),
        Patch::Merge(patch),
    );
    let writing = writes.begin(key);
    let call = config_maps.patch(&name, &params, &patch);
    let stored = within("patch the metadata ConfigMap", call).await?;
    writing.stored(&stored.metadata, wanted);
    Ok(())
}
