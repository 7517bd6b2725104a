//! First step: whether the Secrets that the object names are there, and what is published for it. Reads from the
//! cluster; of Secrets only metadata, so that no value of one enters this process.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;
use kube::core::PartialObjectMeta;

use super::error::{ControllerError, within};
use super::publish;
use crate::api::GatewaySync;
use crate::detection::ObjectKey;

/// What the object names beside itself.
#[derive(Debug)]
pub(super) struct Dereferenced {
    /// Whether the credentials for the repository are there.
    pub(super) git: Result<(), ControllerError>,
    /// Whether the API key of the gateways is there.
    pub(super) gateway_api: Result<(), ControllerError>,
    /// The ConfigMap that is published for the object, where there is one.
    pub(super) published: Option<ConfigMap>,
}

/// Looks for the Secrets of an object. A Secret that is missing is a finding; an error is that nobody could tell.
pub(super) async fn dereference(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Dereferenced, ControllerError> {
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let name = publish::metadata_name(key);
    let (secrets, published) = tokio::join!(
        secrets(client, key, sync),
        within("read the metadata ConfigMap", config_maps.get_opt(&name)),
    );
    let (git, gateway_api) = secrets?;
    Ok(Dereferenced {
        git,
        gateway_api,
        published: published?,
    })
}

type Found = Result<(), ControllerError>;

async fn secrets(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<(Found, Found), ControllerError> {
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), key.namespace());
    for (label, name) in git_secrets(sync) {
        let git = find(&secrets, key, label, name).await?;
        if git.is_err() {
            // Nothing is done with the gateways while the repository cannot be asked.
            return Ok((git, Ok(())));
        }
    }
    let name = &sync.spec.gateway.api.secret_name;
    let gateway_api = find(&secrets, key, "gateway API key", name).await?;
    Ok((Ok(()), gateway_api))
}

fn git_secrets(sync: &GatewaySync) -> Vec<(&'static str, &str)> {
    let Some(auth) = &sync.spec.git.auth else {
        return Vec::new();
    };
    let ssh_key = auth
        .ssh_key
        .as_ref()
        .map(|ssh| ("SSH key", ssh.secret_ref.name.as_str()));
    let token = auth
        .token
        .as_ref()
        .map(|token| ("token", token.secret_ref.name.as_str()));
    let app = auth.github_app.as_ref().map(|app| {
        (
            "GitHub App private key",
            app.private_key_secret_ref.name.as_str(),
        )
    });
    [ssh_key, token, app].into_iter().flatten().collect()
}

async fn find(
    secrets: &Api<PartialObjectMeta<Secret>>,
    key: &ObjectKey,
    label: &'static str,
    name: &str,
) -> Result<Result<(), ControllerError>, ControllerError> {
    let missing = |why: String| {
        Ok(Err(ControllerError::SecretMissing {
            label,
            name: name.to_owned(),
            why,
        }))
    };
    // A name with a slash would ask for another object.
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
