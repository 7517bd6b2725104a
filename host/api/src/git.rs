//! The part of the spec about the repository.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The git repository and the ref that the gateways follow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::git_source_rules()))]
pub struct GitSource {
    /// The URL of the repository, with the scheme http, https, git or ssh, or in the form `user@host:path` of ssh. The user
    /// of ssh defaults to `git`.
    #[schemars(length(min = 1))]
    pub repo: String,
    /// A tag, a branch, a full ref name or a full commit id. A tag takes precedence over a branch of the same name.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The credentials for the repository. Without them, it is read anonymously.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<GitAuth>,
    /// Certificates of authorities, in PEM format. For the repository and the API of the GitHub App, they are trusted in
    /// addition to those that Stoker trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub ca_bundle: Option<String>,
}

impl GitSource {
    /// Returns the additional certificates, unless they are empty.
    #[must_use]
    pub fn ca_bundle(&self) -> Option<&str> {
        let bundle = self.ca_bundle.as_deref().map(str::trim);
        bundle.filter(|bundle| !bundle.is_empty())
    }
}

/// The credentials for a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitAuth {
    /// An SSH key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<SshKey>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// An installation of a GitHub App.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_app: Option<GitHubApp>,
}

/// An SSH key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshKey {
    /// The private key.
    pub secret_ref: SecretKey,
    /// The host keys to trust. Without them, the first key that the server shows is pinned in `status.sshHostKey`, and
    /// any other key is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<KnownHosts>,
}

/// The host keys to trust.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownHosts {
    /// A file in the format of OpenSSH's `known_hosts`.
    pub secret_ref: SecretKey,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// The token.
    pub secret_ref: SecretKey,
}

/// An installation of a GitHub App.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::github_app_rules()))]
pub struct GitHubApp {
    /// The id of the app.
    pub app_id: i64,
    /// The id of the installation.
    pub installation_id: i64,
    /// The private key of the app, in PEM format.
    pub private_key_secret_ref: SecretKey,
    /// The URL of the GitHub API, if it is not the public one.
    #[serde(rename = "apiBaseURL", skip_serializing_if = "Option::is_none")]
    pub api_base_url: Option<String>,
}

/// One value in a Secret of the object's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The name of the Secret.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The key in the data of the Secret.
    #[schemars(length(min = 1))]
    pub key: String,
}
