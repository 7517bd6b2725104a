//! Authentication of deliveries: signatures, tokens, and the type that proves that they were checked.
//!
//! [`Verified`] is created only in this module, so no unverified value reaches a plugin. A refusal does not depend on
//! the object that a request names, and the sender cannot distinguish refusals. This module depends neither on HTTP
//! servers nor on Kubernetes.

mod scheme;
mod withheld;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;

use crate::delivery::Delivery;
use crate::secrets::{SecretError, SecretSource};
use scheme::{Evidence, Keys};

pub use scheme::{SIGNATURE_HEADER, bearer, sign};
pub use withheld::is_withheld;

/// A value whose sender was verified. [`Claim::verify`] is the only way to make one.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The reason why a delivery is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The proof is missing or wrong. The text is for the log only.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A secret is configured and cannot be used, so every delivery is refused.
    #[error("a webhook secret is configured and cannot be used: {0}")]
    Unusable(SecretError),
}

/// The sources of the secrets. If there are none, every delivery is accepted, as the user guide documents.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// The key of the signatures in `X-Hub-Signature-256`.
    pub hmac: Option<SecretSource>,
    /// The token of `Authorization: Bearer`, for senders that cannot sign.
    pub bearer: Option<SecretSource>,
}

/// The proof that a delivery requires.
enum Requirement {
    /// Nothing: no secret is configured.
    Nothing,
    /// A configured secret cannot be used, so no delivery is accepted.
    Unusable(SecretError),
    /// A proof by one of these keys.
    Proof(Keys),
}

/// The state of the authentication, for the log, the metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthState {
    /// No secret is configured: every delivery is accepted.
    Open,
    /// A configured secret cannot be used: every delivery is refused.
    Unusable(SecretError),
    /// A signature or a token is required.
    Required,
}

/// Checks deliveries against the configured secrets.
pub struct Authenticator {
    config: AuthConfig,
    requirement: ArcSwap<Requirement>,
}

/// The proof that the headers of a delivery carry.
pub struct Claim(Option<Evidence>);

impl Authenticator {
    /// Reads the secrets.
    #[must_use]
    pub fn new(config: AuthConfig) -> Self {
        let requirement = ArcSwap::from_pointee(Requirement::read(&config));
        Self {
            config,
            requirement,
        }
    }

    /// Reads the secrets again, so that a rotated secret file needs no restart.
    pub fn refresh(&self) {
        let requirement = Requirement::read(&self.config);
        self.requirement.store(Arc::new(requirement));
    }

    /// Returns whether a secret can change while the process runs.
    #[must_use]
    pub fn reads_files(&self) -> bool {
        let is_file = |source: &Option<SecretSource>| matches!(source, Some(SecretSource::File(_)));
        is_file(&self.config.hmac) || is_file(&self.config.bearer)
    }

    /// Returns the present state.
    #[must_use]
    pub fn state(&self) -> AuthState {
        match &**self.requirement.load() {
            Requirement::Nothing => AuthState::Open,
            Requirement::Unusable(why) => AuthState::Unusable(why.clone()),
            Requirement::Proof(_) => AuthState::Required,
        }
    }

    /// Reads the proof in the headers of a delivery. A delivery without an acceptable proof is refused before its body
    /// is read.
    ///
    /// If a delivery has a signature, only the signature is checked. A token is checked only if there is no signature,
    /// so a valid token does not compensate for an invalid signature.
    pub fn claim(&self, headers: &HeaderMap) -> Result<Claim, AuthError> {
        match &**self.requirement.load() {
            Requirement::Nothing => Ok(Claim(None)),
            Requirement::Unusable(why) => Err(AuthError::Unusable(why.clone())),
            Requirement::Proof(keys) => keys.evidence(headers).map(|proof| Claim(Some(proof))),
        }
    }
}

impl Claim {
    /// Checks the proof against the body of the delivery.
    pub fn verify(self, delivery: Delivery) -> Result<Verified<Delivery>, AuthError> {
        if let Some(evidence) = self.0 {
            evidence.check(&delivery.body)?;
        }
        Ok(Verified(delivery))
    }
}

impl Requirement {
    fn read(config: &AuthConfig) -> Self {
        let hmac = config.hmac.as_ref().map(SecretSource::read).transpose();
        let bearer = config.bearer.as_ref().map(SecretSource::read).transpose();
        match (hmac, bearer) {
            (Ok(None), Ok(None)) => Self::Nothing,
            (Ok(hmac), Ok(bearer)) => Self::Proof(Keys::new(hmac.as_deref(), bearer.as_deref())),
            (Err(why), _) | (_, Err(why)) => Self::Unusable(why),
        }
    }
}

#[cfg(test)]
mod tests;
