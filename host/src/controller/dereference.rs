//! First step: reads the objects that an object refers to. Of the Secret with the API key of the gateways, it reads only
//! metadata, so that the key does not enter this process.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt as _};
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;

use super::credentials::{self, CredentialsError, GitSecrets};
use super::error::{ControllerError, MissingSecret, within};
use super::own_writes::{OwnWrites, Written};
use super::{publish, token_secret};

/// The objects that an object refers to.
#[derive(Debug)]
pub(super) struct References {
    /// What the Secrets with credentials for the repository contain.
    pub(super) git: Result<GitSecrets, CredentialsError>,
    /// Whether the Secret with the API key of the gateways exists.
    pub(super) gateway_secret: Result<(), MissingSecret>,
    /// The ConfigMap with the name that the object's metadata is published under.
    pub(super) config_map: Present,
    /// The Secret with the name that the token of the object's GitHub App is published under. It is read only for an
    /// object with a GitHub App.
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

/// Reads the objects that an object refers to. A missing Secret is a result, and not an error.
pub(super) async fn dereference(
    client: &Client,
    published: &OwnWrites,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<References, ControllerError> {
    let (git, gateway_secret, config_map, token_secret) = tokio::join!(
        credentials::read(client, key, sync),
        gateway_secret(client, key, sync),
        config_map(client, published, key, sync),
        token_secret(client, key, sync),
    );
    Ok(References {
        git: git?,
        gateway_secret: gateway_secret?,
        config_map: config_map?,
        token_secret: token_secret?,
    })
}

async fn config_map(
    client: &Client,
    published: &OwnWrites,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Present, ControllerError> {
    if let Some(written) = published.current(key, sync.uid().as_deref()) {
        return Ok(Present::Written(written));
    }
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let name = publish::metadata_name(key);
    let call = config_maps.get_opt(&name);
    let found = within("read the metadata ConfigMap", call).await?;
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

async fn gateway_secret(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Result<(), MissingSecret>, ControllerError> {
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), key.namespace());
    let name = &sync.spec.gateway.api.secret_name;
    let missing = |why: String| {
        Ok(Err(MissingSecret {
            label: "gateway API key",
            name: name.to_owned(),
            why,
        }))
    };
    // A name with a slash would be the path of another object.
    if let Err(error) = ObjectKey::new(key.namespace(), name) {
        return missing(error.to_string());
    }
    match within("read a Secret's metadata", secrets.get(name)).await {
        Ok(_) => Ok(Ok(())),
        Err(ControllerError::Refused { status, .. })
            if status.is_not_found() || status.is_forbidden() =>
        {
            missing(status.message)
        }
        Err(error) => Err(error),
    }
}
