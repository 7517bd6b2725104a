//! What a delivery must prove, according to the secrets.

use std::sync::Arc;

use super::keys::Keys;
use super::sources::LocalSecrets;
use crate::secrets::{Secret, SecretError};

/// The proof that a delivery requires.
pub(super) enum Requirement {
    /// Nothing: no secret is configured.
    Nothing,
    /// A configured secret cannot be used, so no delivery is accepted.
    Unusable(SecretError),
    /// The object has its own secret, and the API server does not answer.
    Unknown,
    /// A proof by one of these keys.
    Proof(Arc<Keys>),
    /// The own secret of the object cannot be used, so no delivery is accepted. The keys, which nobody has, are compared
    /// nevertheless, so that a check takes as long.
    OwnUnusable(Arc<Keys>, SecretError),
}

impl Requirement {
    pub(super) fn proof(keys: Keys) -> Arc<Self> {
        Arc::new(Self::Proof(Arc::new(keys)))
    }

    /// Returns the requirement by the global secrets. If one of them cannot be used, no delivery is accepted.
    pub(super) fn global(
        local: &Result<LocalSecrets, SecretError>,
        stored: Option<Result<Secret, SecretError>>,
    ) -> Self {
        let local = match local {
            Ok(local) => local,
            Err(why) => return Self::Unusable(why.clone()),
        };
        let stored = match stored.transpose() {
            Ok(stored) => stored,
            Err(why) => return Self::Unusable(why),
        };
        let secrets: Vec<_> = local.hmac.iter().chain(&stored).collect();
        let tokens: Vec<_> = local.bearer.iter().collect();
        if secrets.is_empty() && tokens.is_empty() {
            return Self::Nothing;
        }
        Self::Proof(Arc::new(Keys::new(&secrets, &tokens)))
    }
}
