//! First step: reads the objects that an object refers to. Of Secrets, it reads only metadata, so that no value of a
//! Secret enters this process.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;

use super::error::{ControllerError, MissingSecret, within};
use super::publish;

/// The objects that an object refers to.
#[derive(Debug)]
pub(super) struct References {
    /// Whether all Secrets with credentials for the repository exist.
    pub(super) git_secrets: Result<(), MissingSecret>,
    /// Whether the Secret with the API key of the gateways exists. It is not checked if a Secret for the repository is
    /// missing.
    pub(super) gateway_secret: Result<(), MissingSecret>,
    /// The ConfigMap with the name that the object's metadata is published under.
    pub(super) config_map: Option<ConfigMap>,
}

/// Reads the objects that an object refers to. A missing Secret is a result, and not an error.
pub(super) async fn dereference(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<References, ControllerError> {
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let name = publish::metadata_name(key);
    let (secrets, config_map) = tokio::join!(
        secrets(client, key, sync),
        within("read the metadata ConfigMap", config_maps.get_opt(&name)),
    );
    let (git_secrets, gateway_secret) = secrets?;
    Ok(References {
        git_secrets,
        gateway_secret,
        config_map: config_map?,
    })
}

type Existence = Result<(), MissingSecret>;

async fn secrets(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<(Existence, Existence), ControllerError> {
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), key.namespace());
    for (label, name) in git_secrets(sync) {
        let git = find(&secrets, key, label, name).await?;
        if git.is_err() {
            return Ok((git, Ok(())));
        }
    }
    let name = &sync.spec.gateway.api.secret_name;
    let gateway = find(&secrets, key, "gateway API key", name).await?;
    Ok((Ok(()), gateway))
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
) -> Result<Existence, ControllerError> {
    let missing = |why: String| {
        Ok(Err(MissingSecret {
            label,
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
