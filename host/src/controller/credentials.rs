//! Part of the first step: the credentials for the repository, from the Secrets that an object names. No value of a
//! Secret is kept after the pass, except the tokens of GitHub Apps, which end within an hour.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use stoker_api::detection::ObjectKey;
use stoker_api::names::reason;
use stoker_api::{GatewaySync, GitAuth, GitHubApp, SecretKey, SshKey};
use stoker_git::{Credentials, Sensitive};

use super::error::{ControllerError, MissingSecret, within};
use crate::github_app::{
    GitHubAppError, Installation, InstallationToken, InstallationTokens, PUBLIC_API,
};

/// The purposes of the Secrets, as they appear in messages.
const SSH_KEY: &str = "SSH key";
const TOKEN: &str = "token";
const APP_KEY: &str = "GitHub App private key";
const KNOWN_HOSTS: &str = "known hosts";

/// What the Secrets of an object contain.
#[derive(Debug, Clone)]
pub(super) enum GitSecrets {
    /// Credentials.
    Credentials(Credentials),
    /// The key of a GitHub App, which is to be exchanged for a token.
    App(Installation),
}

impl GitSecrets {
    /// Returns how the repository is read. The token of a GitHub App may have to be exchanged, which takes as long as
    /// GitHub takes to answer, and at most 30 seconds.
    pub(super) async fn access(
        self,
        tokens: &InstallationTokens,
    ) -> Result<GitAccess, CredentialsError> {
        match self {
            Self::Credentials(credentials) => Ok(GitAccess {
                credentials,
                app_token: None,
            }),
            Self::App(installation) => {
                let issued = tokens.get(&installation).await?;
                Ok(GitAccess {
                    credentials: Credentials::Token(issued.token.clone()),
                    app_token: Some(issued),
                })
            }
        }
    }
}

/// How an object's repository is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GitAccess {
    /// The credentials.
    pub(super) credentials: Credentials,
    /// The token of a GitHub App, which the agents need too.
    pub(super) app_token: Option<InstallationToken>,
}

/// The reason why an object's repository cannot be read with its credentials.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum CredentialsError {
    /// A Secret is missing.
    #[error(transparent)]
    Missing(#[from] MissingSecret),
    /// The Secret with the known hosts is missing. It is reported together with the ref, as everything about it.
    #[error(transparent)]
    KnownHosts(MissingSecret),
    /// A Secret has no usable value.
    #[error("the {label} secret {name:?} {why}")]
    Unusable {
        /// The purpose of the Secret.
        label: &'static str,
        /// Its name.
        name: String,
        /// What is wrong, as the end of a sentence.
        why: String,
    },
    /// There is no token for the GitHub App.
    #[error(transparent)]
    GitHubApp(#[from] Arc<GitHubAppError>),
}

impl CredentialsError {
    /// Returns the reason for conditions and events.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => reason::RECONCILING,
            Self::GitHubApp(_) | Self::Unusable { label: APP_KEY, .. } => {
                reason::GITHUB_APP_EXCHANGE_FAILED
            }
            Self::KnownHosts(_) | Self::Unusable { .. } => reason::REF_RESOLUTION_FAILED,
        }
    }
}

/// Reads the credentials of an object. If it has several kinds, a GitHub App takes precedence over an ssh key, and an
/// ssh key over a token. All Secrets must exist, as the agents may need another kind.
///
/// # Errors
///
/// The outer error is that of the API server, and the inner one is about the object.
pub(super) async fn read(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Result<GitSecrets, CredentialsError>, ControllerError> {
    let secrets = Secrets {
        api: Api::namespaced(client.clone(), key.namespace()),
        namespace: key.namespace(),
    };
    let auth = sync.spec.git.auth.as_ref();
    match read_all(&secrets, auth.unwrap_or(&GitAuth::default())).await {
        Ok(GitSecrets::App(installation)) => Ok(Ok(GitSecrets::App(Installation {
            ca_bundle: sync.spec.git.ca_bundle().map(Arc::from),
            ..installation
        }))),
        Ok(found) => Ok(Ok(found)),
        Err(Failure::Object(error)) => Ok(Err(error)),
        Err(Failure::Call(error)) => Err(error),
    }
}

/// An error of the API server, or one about the object.
enum Failure {
    Call(ControllerError),
    Object(CredentialsError),
}

impl<E: Into<CredentialsError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Object(error.into())
    }
}

async fn read_all(secrets: &Secrets<'_>, auth: &GitAuth) -> Result<GitSecrets, Failure> {
    let ssh_key = match &auth.ssh_key {
        Some(ssh_key) => Some((ssh_key, secrets.get(SSH_KEY, &ssh_key.secret_ref).await?)),
        None => None,
    };
    let token = match &auth.token {
        Some(token) => Some((
            &token.secret_ref,
            secrets.get(TOKEN, &token.secret_ref).await?,
        )),
        None => None,
    };
    if let Some(app) = &auth.github_app {
        let secret = secrets.get(APP_KEY, &app.private_key_secret_ref).await?;
        return Ok(GitSecrets::App(installation(app, &secret)?));
    }
    let credentials = match (ssh_key, token) {
        (Some((ssh_key, secret)), _) => ssh_credentials(secrets, ssh_key, &secret).await?,
        (None, Some((secret_ref, secret))) => token_credentials(secret_ref, &secret)?,
        (None, None) => Credentials::Anonymous,
    };
    Ok(GitSecrets::Credentials(credentials))
}

fn installation(app: &GitHubApp, secret: &Secret) -> Result<Installation, CredentialsError> {
    let private_key = value(APP_KEY, &app.private_key_secret_ref, secret)?;
    let api_url = app.api_base_url.as_deref().map(str::trim);
    let api_url = api_url.filter(|url| !url.is_empty());
    Ok(Installation {
        app_id: app.app_id,
        installation_id: app.installation_id,
        api_url: api_url.unwrap_or(PUBLIC_API).to_owned(),
        private_key: Sensitive::new(private_key),
        ca_bundle: None,
    })
}

fn token_credentials(
    secret_ref: &SecretKey,
    secret: &Secret,
) -> Result<Credentials, CredentialsError> {
    let token = value(TOKEN, secret_ref, secret)?.trim();
    if token.contains(|c: char| c.is_control()) {
        let why = format!("has several lines in the key {:?}", secret_ref.key);
        return Err(unusable(TOKEN, secret_ref, why));
    }
    Ok(Credentials::Token(Sensitive::new(token)))
}

async fn ssh_credentials(
    secrets: &Secrets<'_>,
    ssh_key: &SshKey,
    secret: &Secret,
) -> Result<Credentials, Failure> {
    let private_key = value(SSH_KEY, &ssh_key.secret_ref, secret)?;
    let known_hosts = match &ssh_key.known_hosts {
        None => None,
        Some(known_hosts) => {
            let secret_ref = &known_hosts.secret_ref;
            let secret = match secrets.get(KNOWN_HOSTS, secret_ref).await {
                Err(Failure::Object(CredentialsError::Missing(missing))) => {
                    return Err(CredentialsError::KnownHosts(missing).into());
                }
                found => found?,
            };
            Some(Arc::from(value(KNOWN_HOSTS, secret_ref, &secret)?))
        }
    };
    Ok(Credentials::SshKey {
        private_key: Sensitive::new(private_key),
        known_hosts,
    })
}

/// The Secrets of one namespace. They are read by name.
struct Secrets<'a> {
    api: Api<Secret>,
    namespace: &'a str,
}

impl Secrets<'_> {
    async fn get(&self, label: &'static str, secret_ref: &SecretKey) -> Result<Secret, Failure> {
        let name = &secret_ref.name;
        MissingSecret::key(label, self.namespace, name)?;
        let answer = within("read a Secret", self.api.get(name)).await;
        let found = MissingSecret::check(label, name, answer).map_err(Failure::Call)?;
        Ok(found?)
    }
}

/// Returns a value of a Secret as text.
fn value<'a>(
    label: &'static str,
    secret_ref: &SecretKey,
    secret: &'a Secret,
) -> Result<&'a str, CredentialsError> {
    let key = &secret_ref.key;
    let data = secret.data.as_ref();
    let Some(bytes) = data.and_then(|data| data.get(key)) else {
        return Err(unusable(label, secret_ref, format!("has no key {key:?}")));
    };
    match std::str::from_utf8(&bytes.0) {
        Ok(text) if text.trim().is_empty() => {
            let why = format!("has an empty value in the key {key:?}");
            Err(unusable(label, secret_ref, why))
        }
        Ok(text) => Ok(text),
        Err(_) => {
            let why = format!("has a value that is not text in the key {key:?}");
            Err(unusable(label, secret_ref, why))
        }
    }
}

fn unusable(label: &'static str, secret_ref: &SecretKey, why: String) -> CredentialsError {
    CredentialsError::Unusable {
        label,
        name: secret_ref.name.clone(),
        why,
    }
}
