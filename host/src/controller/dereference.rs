//! First step: reads the objects that an object refers to. Of the Secret with the API key of the gateways, it reads only
//! metadata, so that the key does not enter this process.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, TryFutureExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt as _};
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use tokio::time::Instant;

use super::credentials::{self, CredentialsError, GitSecrets};
use super::error::{ControllerError, MissingSecret, within};
use super::own_writes::{OwnWrites, Written};
use super::published::PublishedCommit;
use super::resolve::Resolution;
use super::state::LookupKey;
use super::{Context, publish, token_secret};
use crate::recent::Recent;

/// The objects that an object refers to.
#[derive(Debug)]
pub(super) struct References {
    /// What the Secrets with credentials for the repository contain.
    pub(super) git: Result<GitSecrets, CredentialsError>,
    /// Whether the Secret with the API key of the gateways exists.
    pub(super) gateway_secret: Result<(), MissingSecret>,
    /// When this pass asked for this Secret, if the answer is that of an earlier read. The Secret may be gone since.
    pub(super) shared_since: Option<Instant>,
    /// The ConfigMap in which the commit is published.
    pub(super) config_map: Present,
    /// The commit in it.
    pub(super) published: Option<PublishedCommit>,
    /// The Secret in which the token of the object's GitHub App is published. It is read only for an object with a
    /// GitHub App.
    pub(super) token_secret: Option<Secret>,
}

/// A ConfigMap, as far as it must be known before it is written.
#[derive(Debug)]
pub(super) enum Present {
    /// It is as the controller wrote it last.
    Written(Written),
    /// It was read. `None` if it does not exist.
    Read(Option<Box<ConfigMap>>),
}

/// The reads of Secrets with API keys, which objects share.
pub(super) type SecretReads =
    Recent<ObjectKey, Result<Result<(), MissingSecret>, Arc<ControllerError>>>;

/// How long the objects that refer to one Secret share a read of it. Many objects are polled at the same time. A pass that
/// somebody waits for, or that publishes another commit, uses no earlier read.
pub(super) const SHARED_FOR: Duration = Duration::from_secs(1);
/// The purpose of the Secret that gateways need.
const API_KEY: &str = "gateway API key";
/// The maximum number of shared reads.
const SHARED: usize = 1024;

/// Returns a store of reads that are shared for this time.
pub(super) fn secret_reads(shared_for: Duration) -> SecretReads {
    Recent::new(shared_for, SHARED)
}

/// Reads the objects that an object refers to. A missing Secret is a result, and not an error.
pub(super) async fn dereference<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<References, ControllerError> {
    let client = &context.client;
    let began = Instant::now();
    let is_changed = context.states.is_changed(key, &LookupKey::of(sync));
    let (git, gateway_secret, config_map, token_secret) = tokio::join!(
        credentials::read(client, key, sync),
        gateway_secret(context, key, sync, is_changed.then_some(began)),
        config_map(client, &context.config_maps.writes, key, sync),
        token_secret(client, key, sync),
    );
    let (git, (gateway_secret, is_shared), config_map) = (git?, gateway_secret?, config_map?);
    let now = (context.clock)();
    Ok(References {
        git,
        gateway_secret,
        shared_since: (is_shared && !is_changed).then_some(began),
        published: context.config_maps.find(key, sync, &config_map, now),
        config_map,
        token_secret: token_secret?,
    })
}

async fn config_map(
    client: &Client,
    writes: &OwnWrites,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Present, ControllerError> {
    if let Some(written) = writes.current(key, sync.uid().as_deref()) {
        return Ok(Present::Written(written));
    }
    let found = publish::metadata_map(client, key).read().await?;
    Ok(Present::Read(found.map(Box::new)))
}

async fn token_secret(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Option<Secret>, ControllerError> {
    let auth = sync.spec.git.auth.as_ref();
    match auth.and_then(|auth| auth.github_app.as_ref()) {
        Some(_) => token_secret::read(client, key).await,
        None => Ok(None),
    }
}

/// Returns whether the Secret with the API key of the gateways exists. If another commit than the one that the agents
/// follow is to be published, a read that began before this pass does not show that.
pub(super) async fn confirm<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    refs: &References,
    resolution: &Resolution,
) -> Result<Result<(), MissingSecret>, ControllerError> {
    let published = refs.published.as_ref().map(|one| one.commit.as_str());
    let is_other = match resolution {
        Resolution::Resolved(resolved) => published != Some(resolved.found.commit.as_str()),
        Resolution::Failed(_) | Resolution::Blocked(_) => false,
    };
    let Some(since) = refs.shared_since.filter(|_| is_other) else {
        return Ok(refs.gateway_secret.clone());
    };
    let (found, _) = gateway_secret(context, key, sync, Some(since)).await?;
    Ok(found)
}

/// Returns whether the Secret exists, and whether the answer is that of another pass, whose read began after this time.
async fn gateway_secret<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    after: Option<Instant>,
) -> Result<(Result<(), MissingSecret>, bool), ControllerError> {
    let name = &sync.spec.gateway.api.secret_name;
    let secret = match MissingSecret::key(API_KEY, key.namespace(), name) {
        Ok(secret) => secret,
        Err(missing) => return Ok((Err(missing), false)),
    };
    let read = || find_secret(context.client.clone(), secret.clone());
    let mut is_shared = true;
    let found = context.secret_reads.get_after(&secret, after, || {
        is_shared = false;
        read().map_err(Arc::new).boxed()
    });
    match found.await.map_err(ControllerError::Shared)? {
        // It may have been created since the read of another pass.
        Err(_) if is_shared => Ok((read().await?, false)),
        found => Ok((found, is_shared)),
    }
}

async fn find_secret(
    client: Client,
    secret: ObjectKey,
) -> Result<Result<(), MissingSecret>, ControllerError> {
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client, secret.namespace());
    let answer = within("read a Secret's metadata", secrets.get(secret.name())).await;
    let found = MissingSecret::check(API_KEY, secret.name(), answer)?;
    Ok(found.map(drop))
}
