//! The sources of the global secrets.

use stoker_api::SecretKey;

use crate::secrets::{Secret, SecretError, SecretSource};

/// The sources of the global secrets. If there are none, every delivery is accepted for objects without their own key,
/// as the user guide documents.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// The secret that every scheme uses: the key of signatures, a token, or a password.
    pub hmac: Option<SecretSource>,
    /// A token or a password, for senders that cannot sign. It does not switch on the check of signatures.
    pub bearer: Option<SecretSource>,
    /// A Secret in the own namespace, whose value every scheme uses.
    pub stored: Option<SecretKey>,
}

impl AuthConfig {
    /// Returns whether a secret is in a file.
    pub(super) fn has_file(&self) -> bool {
        let is_file = |source: &Option<SecretSource>| matches!(source, Some(SecretSource::File(_)));
        is_file(&self.hmac) || is_file(&self.bearer)
    }
}

/// The secrets of the environment and of files.
#[derive(Clone, Default)]
pub(super) struct LocalSecrets {
    pub(super) hmac: Option<Secret>,
    pub(super) bearer: Option<Secret>,
}

impl LocalSecrets {
    /// Reads the secrets. If one of them cannot be used, this is an error.
    pub(super) fn read(config: &AuthConfig) -> Result<Self, SecretError> {
        let read = |source: &Option<SecretSource>| {
            let source = source.as_ref();
            source.map(SecretSource::read_all).transpose()
        };
        Ok(Self {
            hmac: read(&config.hmac)?,
            bearer: read(&config.bearer)?,
        })
    }
}
