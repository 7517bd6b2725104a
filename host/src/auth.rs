//! Authentication of deliveries: signatures, tokens, and the type that proves that they were checked.
//!
//! [`Verified`] is created only in this module, so no unverified value reaches a plugin. A refusal does not depend on
//! the object that a request names, and the sender cannot distinguish refusals. This module depends neither on HTTP
//! servers nor on Kubernetes.

mod keys;
mod mac;
mod message;
mod scheme;
mod withheld;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use jiff::Timestamp;

use crate::delivery::{Delivery, Fingerprint, Signed, delivery_id};
use crate::secrets::{SecretError, SecretSource};
use keys::{Evidence, Keys, Signature};
use mac::digest;

pub use scheme::{SIGNATURE_HEADER, Scheme, bearer, sign};
pub use withheld::is_withheld;

/// A value whose sender was verified. [`Claim::verify`] is the only way to make one.
#[derive(Debug)]
pub struct Verified<T>(T, Signature);

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Verified<Delivery> {
    /// Returns what identifies the delivery, so that a repetition of it is recognised. It hashes the body.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let Self(delivery, signature) = self;
        let body = digest(&[&delivery.body]);
        let id = delivery_id(&delivery.headers);
        Fingerprint {
            signed: match signature {
                Signature::None => None,
                Signature::Body => Some(Signed::Body(body)),
                Signature::Id(id) => Some(Signed::Id(*id)),
            },
            // An id has no zero byte. The digest stands for the body, so that the body is hashed once.
            sent: id.map(|id| digest(&[id.as_bytes(), &[0], &body])),
        }
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
    /// The secret that every scheme uses: the key of signatures, a token, or a password.
    pub hmac: Option<SecretSource>,
    /// A token or a password, for senders that cannot sign. It does not switch on the check of signatures.
    pub bearer: Option<SecretSource>,
}

/// The proof that a delivery requires.
enum Requirement {
    /// Nothing: no secret is configured.
    Nothing,
    /// A configured secret cannot be used, so no delivery is accepted.
    Unusable(SecretError),
    /// A proof by one of these keys.
    Proof(Arc<Keys>),
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
pub struct Claim {
    /// The keys and the proof, or `None` where no proof is required.
    proof: Option<(Arc<Keys>, Evidence)>,
}

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
        self.claim_at(headers, Timestamp::now())
    }

    fn claim_at(&self, headers: &HeaderMap, now: Timestamp) -> Result<Claim, AuthError> {
        match &**self.requirement.load() {
            Requirement::Nothing => Ok(Claim { proof: None }),
            Requirement::Unusable(why) => Err(AuthError::Unusable(why.clone())),
            Requirement::Proof(keys) => {
                let evidence = keys.evidence(headers, now)?;
                let proof = Some((Arc::clone(keys), evidence));
                Ok(Claim { proof })
            }
        }
    }
}

impl Claim {
    /// Checks the proof against the body of the delivery.
    pub fn verify(self, delivery: Delivery) -> Result<Verified<Delivery>, AuthError> {
        let signature = match self.proof {
            Some((keys, evidence)) => keys.check(evidence, &delivery.body)?,
            None => Signature::None,
        };
        Ok(Verified(delivery, signature))
    }
}

impl Requirement {
    fn read(config: &AuthConfig) -> Self {
        let hmac = config.hmac.as_ref().map(SecretSource::read_all).transpose();
        let bearer = config
            .bearer
            .as_ref()
            .map(SecretSource::read_all)
            .transpose();
        match (hmac, bearer) {
            (Ok(None), Ok(None)) => Self::Nothing,
            (Ok(hmac), Ok(bearer)) => {
                Self::Proof(Arc::new(Keys::new(hmac.as_ref(), bearer.as_ref())))
            }
            (Err(why), _) | (_, Err(why)) => Self::Unusable(why),
        }
    }
}

#[cfg(test)]
mod tests;
