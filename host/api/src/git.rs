use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The repository, and the ref of it that the gateways follow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSource {
    /// The address of the repository.
    #[schemars(length(min = 1))]
    pub repo: String,
    /// A tag, a branch, a full ref name or a full commit id. A tag goes before a branch of the same name.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// How to sign in. Without it the repository is asked anonymously.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<GitAuth>,
}

/// How to sign in at the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitAuth {
    /// With an ssh key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<SshKey>,
    /// With a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// As an installation of a GitHub App.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_app: Option<GitHubApp>,
}

/// Signs in with an ssh key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshKey {
    /// The private key.
    pub secret_ref: SecretKey,
    /// The host keys to trust. Without it any host key is taken.
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

/// Signs in with a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// The token.
    pub secret_ref: SecretKey,
}

/// Signs in as an installation of a GitHub App.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubApp {
    /// The id of the app.
    pub app_id: i64,
    /// The id of the installation.
    pub installation_id: i64,
    /// The app's private key, PEM.
    pub private_key_secret_ref: SecretKey,
    /// The address of the API, where it is not the public one.
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
    /// The key inside the Secret.
    #[schemars(length(min = 1))]
    pub key: String,
}
