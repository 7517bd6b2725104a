//! A repository, and what its server needs to know about who asks.

use std::sync::Arc;

pub use stoker_api::Sensitive;
use stoker_api::detection::RepoUrl;

use crate::error::GitError;

/// A repository and the credentials for it. Two lookups with equal remotes have the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remote {
    url: RepoUrl,
    credentials: Credentials,
    ca_bundle: Option<Arc<str>>,
    pinned_host_key: Option<Arc<str>>,
}

impl Remote {
    /// Returns a repository that is read without credentials, except those in its URL.
    #[must_use]
    pub fn anonymous(url: RepoUrl) -> Self {
        Self::new(url, Credentials::Anonymous)
    }

    /// Returns a repository and the credentials for it.
    #[must_use]
    pub fn new(url: RepoUrl, credentials: Credentials) -> Self {
        Self {
            url,
            credentials,
            ca_bundle: None,
            pinned_host_key: None,
        }
    }

    /// Adds certificate authorities, in PEM format, to those of this machine.
    #[must_use]
    pub fn with_ca_bundle(self, pem: &str) -> Self {
        Self {
            ca_bundle: Some(pem.into()),
            ..self
        }
    }

    /// Sets the host key that the ssh server must have, if the credentials contain no `known_hosts`. The text is that of
    /// an earlier [`HostKey`](crate::HostKey), such as `ssh-ed25519 SHA256:…`, or a fingerprint alone.
    #[must_use]
    pub fn with_pinned_host_key(self, host_key: &str) -> Self {
        Self {
            pinned_host_key: Some(host_key.into()),
            ..self
        }
    }

    /// Returns the URL of the repository.
    #[must_use]
    pub fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// Returns the credentials.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the additional certificate authorities, in PEM format.
    #[must_use]
    pub fn ca_bundle(&self) -> Option<&str> {
        self.ca_bundle.as_deref()
    }

    /// Returns the host key that the ssh server must have.
    #[must_use]
    pub fn pinned_host_key(&self) -> Option<&str> {
        self.pinned_host_key.as_deref()
    }

    /// Checks that the credentials are for the transport of the URL.
    pub(crate) fn check_credentials(&self) -> Result<(), GitError> {
        let scheme = self.url.url().scheme();
        let (credentials, instead) = match (scheme, &self.credentials) {
            (_, Credentials::Anonymous)
            | ("http" | "https", Credentials::Token(_))
            | ("ssh", Credentials::SshKey { .. }) => return Ok(()),
            ("http" | "https", Credentials::SshKey { .. }) => (
                "an ssh key",
                "use a token, or the ssh:// address of the repository",
            ),
            ("ssh", Credentials::Token(_)) => (
                "a token",
                "use an ssh key, or the https:// address of the repository",
            ),
            (_, Credentials::Token(_)) => (
                "a token",
                "use the https:// address of the repository, because this transport has no credentials",
            ),
            (_, Credentials::SshKey { .. }) => (
                "an ssh key",
                "use the ssh:// address of the repository, because this transport has no credentials",
            ),
        };
        Err(GitError::CredentialsMismatch {
            credentials,
            scheme: scheme.to_owned(),
            instead,
        })
    }
}

/// The credentials for a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// None.
    Anonymous,
    /// A token for http and https. It is sent as the password of the user `x-access-token`, without white space around
    /// it, and in place of the credentials in the URL.
    Token(Sensitive),
    /// A private key for ssh.
    SshKey {
        /// The key, in the format of OpenSSH or in PEM format (PKCS#1, PKCS#8). It is not encrypted.
        private_key: Sensitive,
        /// The trusted host keys, in the format of OpenSSH's `known_hosts`. Without them, the key that the server
        /// shows is accepted, unless one is pinned.
        known_hosts: Option<Arc<str>>,
    },
}
