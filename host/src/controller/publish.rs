//! Fourth step: writes the ConfigMap for the agents if it differs, and the Secret with the token of a GitHub App.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::ResourceExt as _;
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names;

use super::dereference::{Present, References};
use super::error::ControllerError;
use super::own_writes::{OwnWrites, Written};
use super::owned::{Calls, Owned};
use super::ownership::{self, Writer};
use super::published::PublishedCommit;
use super::resolve::{Blocked, Resolution};
use super::validate::Desired;
use super::{Context, config_map, token_secret};

const CALLS: Calls = Calls {
    read: "read the metadata ConfigMap",
    create: "create the metadata ConfigMap",
    patch: "patch the metadata ConfigMap",
};

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

/// Returns the commit of a publication that replaces an earlier one of this process, so that it is not expected to
/// fail. The status can then be written at the same time.
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

/// Returns the ConfigMap in which the commit of an object is published.
pub(super) fn metadata_map(client: &Client, key: &ObjectKey) -> Owned<ConfigMap> {
    Owned::new(client, key, names::metadata_map(key.name()), &CALLS)
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
        write_or_rewrite(context, key, sync, &refs.config_map, &wanted).await?;
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
        Err(error) => {
            let error = ControllerError::Unpublished(Box::new(error));
            Ok(Publication::Failed(error))
        }
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
    let map = metadata_map(client, key);
    let Some(found) = map.read().await? else {
        map.create(&config_map::without_commit(key, sync)?).await?;
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
    metadata_map(client, key).patch(&patch).await?;
    Ok(())
}

/// Creates or updates the ConfigMap.
async fn write_or_rewrite<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    present: &Present,
    wanted: &ConfigMap,
) -> Result<(), ControllerError> {
    let map = metadata_map(&context.client, key);
    let writes = &context.config_maps.writes;
    let written = match present {
        Present::Written(written) => written,
        Present::Read(found) => {
            return write(&map, writes, key, sync, found.as_deref(), wanted).await;
        }
    };
    let rewritten = rewrite(&map, writes, key, written, wanted).await;
    let has_changed = |error: &ControllerError| error.is_conflict() || error.is_gone();
    if !rewritten.as_ref().is_err_and(has_changed) {
        return rewritten;
    }
    // Others have changed or deleted it, and the watch has not reported this yet. The status may already name the commit.
    let found = map.read().await?;
    write(&map, writes, key, sync, found.as_ref(), wanted).await
}

/// Updates a ConfigMap that is as it was written last. Everything but the data is the same for all commits of an object.
async fn rewrite(
    map: &Owned<ConfigMap>,
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
    writes.write(key, wanted, map.patch(&patch)).await
}

/// Creates the ConfigMap, or updates it if it belongs to the object.
async fn write(
    map: &Owned<ConfigMap>,
    writes: &OwnWrites,
    key: &ObjectKey,
    sync: &GatewaySync,
    present: Option<&ConfigMap>,
    wanted: &ConfigMap,
) -> Result<(), ControllerError> {
    let Some(present) = present else {
        return writes.write(key, wanted, map.create(wanted)).await;
    };
    ownership::check(
        &present.metadata,
        key,
        sync.uid().as_deref(),
        Writer::Controller,
    )
    .map_err(|whose| ControllerError::MetadataTaken {
        name: map.name.clone(),
        whose,
    })?;
    if let Some(patch) = config_map::difference(key, present, wanted) {
        return writes.write(key, wanted, map.patch(&patch)).await;
    }
    writes.confirm(key, &present.metadata, wanted);
    Ok(())
}
