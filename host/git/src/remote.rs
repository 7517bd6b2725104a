//! A repository, and what its server needs to know about who asks.

use std::fmt;
use std::sync::Arc;

use stoker_api::detection::RepoUrl;

/// A repository and the credentials for it. Two lookups with equal remotes have the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remote {
    url: RepoUrl,
    credentials: Credentials,
    ca_bundle: Option<Arc<str>>,
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
}

/// The credentials for a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// None.
    Anonymous,
    /// A token for http and https. It is sent as the password of the user `x-access-token`.
    Token(Sensitive),
    /// A private key for ssh.
    SshKey {
        /// The key, in the format of OpenSSH or in PEM format.
        private_key: Sensitive,
        /// The trusted host keys, in the format of OpenSSH's `known_hosts`. Without them, the key that the server
        /// shows is accepted.
        known_hosts: Option<Arc<str>>,
    },
}

/// A text that is neither displayed nor logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sensitive(Arc<str>);

impl Sensitive {
    /// Returns a text that is neither displayed nor logged.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sensitive(…)")
    }
}
