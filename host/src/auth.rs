//! Authentication of deliveries: signatures, tokens, and the type that proves that they were checked.
//!
//! [`Verified`] is created only in this module, so no unverified value reaches a plugin. This module depends neither on
//! HTTP servers nor on a client of Kubernetes.

mod follow;
mod keys;
mod mac;
mod message;
mod requirement;
mod scheme;
mod sources;
mod withheld;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use crate::delivery::{Delivery, Fingerprint, Signed, delivery_id};
use crate::secrets::{Secret, SecretCache, SecretError, Wanted};
use keys::{Keys, Signature};
use mac::digest;
use requirement::Requirement;
use sources::LocalSecrets;
use stoker_api::SecretKey;
use tokio::time::Instant;

pub use keys::carries_proof;
pub use scheme::{SIGNATURE_HEADER, Scheme, bearer, sign};
pub use sources::AuthConfig;
pub use withheld::is_withheld;

/// A value whose sender was verified. Only [`Keyring::verify`] makes one.
#[derive(Debug)]
pub struct Verified<T>(T, Proven);

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Verified<T> {
    /// Returns the value without the proof that it was verified.
    #[must_use]
    pub fn into_unverified(self) -> T {
        self.0
    }

    /// Returns the name of the scheme of the proof, or `none` if no proof is required.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.1.scheme
    }
}

impl Verified<Delivery> {
    /// Returns what identifies the delivery, so that a repetition of it is recognised.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let Self(delivery, proven) = self;
        // The digest stands for the body. A signature was computed from the body, so that the body is not hashed again.
        let (signed, body) = match proven.signature {
            Signature::None => (None, digest(&[&delivery.body])),
            Signature::Body(body) => (Some(Signed::Body(body)), body),
            Signature::Id(id) => (Some(Signed::Id(id)), id),
        };
        let id = delivery_id(&delivery.headers);
        Fingerprint {
            signed,
            // An id has no zero byte.
            sent: id.map(|id| digest(&[id.as_bytes(), &[0], &body])),
        }
    }
}

/// What a valid proof shows.
#[derive(Debug)]
struct Proven {
    signature: Signature,
    /// The name of the scheme.
    scheme: &'static str,
}

/// The reason why a delivery is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The proof is missing or wrong. The text is for the log only.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A secret is configured and cannot be used, so every delivery is refused.
    #[error("a webhook secret is configured and cannot be used")]
    Unusable(#[source] SecretError),
    /// The own secret of the object cannot be used, so every delivery for the object is refused.
    #[error("the webhook secret of the object cannot be used")]
    OwnUnusable(#[source] SecretError),
    /// The API server does not answer, so the keys are not known. A later delivery may succeed.
    #[error("the webhook secret of the object is not known")]
    Unavailable,
}

/// A delivery that was refused, so that it can be checked against other keys.
#[derive(Debug, thiserror::Error)]
#[error("the delivery was refused")]
pub struct Refused {
    /// The reason.
    #[source]
    pub error: AuthError,
    /// The delivery.
    pub delivery: Delivery,
}

/// The state of the authentication by the global secrets, for the log, the metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthState {
    /// No secret is configured: every delivery is accepted, except for objects with their own key.
    Open,
    /// A configured secret cannot be used: every delivery is refused, except for objects with their own key.
    Unusable(SecretError),
    /// A signature or a token is required.
    Required,
}

/// Checks deliveries against the configured secrets and the secrets of the objects.
pub struct Authenticator {
    config: AuthConfig,
    /// The secrets of the environment and of files, as they were read last.
    local: ArcSwap<Result<LocalSecrets, SecretError>>,
    /// The requirement by the global secrets.
    global: ArcSwap<Requirement>,
    cluster: Option<Cluster>,
    /// Keys that nobody has. They take the place of a Secret that cannot be used, so that a check takes as long.
    unusable: Arc<Keys>,
}

struct Cluster {
    secrets: SecretCache,
    own_namespace: String,
}

/// The proof that the deliveries for an object require, as it is now.
#[derive(Clone)]
pub struct Keyring {
    requirement: Arc<Requirement>,
    is_current: bool,
}

impl Authenticator {
    /// Reads the secrets of the environment and of files.
    #[must_use]
    pub fn new(config: AuthConfig) -> Self {
        let local = LocalSecrets::read(&config);
        let unknown = config.stored.as_ref().map(|_| Err(SecretError::Unread));
        let global = Requirement::global(&local, unknown);
        let nobody = Secret::single(uuid::Uuid::new_v4().to_string());
        Self {
            config,
            local: ArcSwap::from_pointee(local),
            global: ArcSwap::from_pointee(global),
            cluster: None,
            unusable: Arc::new(Keys::new(&[&nobody], &[])),
        }
    }

    /// Sets the Secrets of the cluster. Without them, the secrets of objects are not known.
    #[must_use]
    pub fn with_secrets(self, secrets: SecretCache, own_namespace: String) -> Self {
        let cluster = Some(Cluster {
            secrets,
            own_namespace,
        });
        Self { cluster, ..self }
    }

    /// Reads the secrets again, so that a rotated secret needs no restart.
    pub async fn refresh(&self) {
        if self.reads_files() {
            let config = self.config.clone();
            // While a file system does not answer, the last secrets stay in use.
            let reading = tokio::task::spawn_blocking(move || LocalSecrets::read(&config));
            if let Ok(local) = reading.await {
                self.local.store(Arc::new(local));
            }
        }
        self.update().await;
    }

    /// Returns whether a secret is in a file.
    #[must_use]
    pub fn reads_files(&self) -> bool {
        self.config.has_file()
    }

    /// Returns whether a global secret is in a Secret of the cluster.
    #[must_use]
    pub fn reads_cluster(&self) -> bool {
        self.config.stored.is_some()
    }

    /// Returns the present state.
    #[must_use]
    pub fn state(&self) -> AuthState {
        match &**self.global.load() {
            Requirement::Nothing => AuthState::Open,
            Requirement::Unusable(why) => AuthState::Unusable(why.clone()),
            Requirement::Unknown | Requirement::Proof(_) | Requirement::OwnUnusable(..) => {
                AuthState::Required
            }
        }
    }

    /// Returns whether a global secret is so short that it can be guessed.
    #[must_use]
    pub fn has_short_secret(&self) -> bool {
        matches!(&**self.global.load(), Requirement::Proof(keys) if keys.is_short())
    }

    /// Returns whether a delivery with these headers can be accepted, by any key for any object. If not, it can be
    /// refused before its body is read.
    #[must_use]
    pub fn may_accept(&self, headers: &HeaderMap) -> bool {
        matches!(&**self.global.load(), Requirement::Nothing) || keys::carries_proof(headers)
    }

    /// Returns the proof that the deliveries for an object require: by its own secret, in its namespace, if it names
    /// one, and otherwise by the global secrets. A value from the cluster was read within the last second.
    ///
    /// While the API server does not answer, the last known own secret is used. Without one, the call waits until the
    /// deadline.
    pub async fn keyring(
        &self,
        namespace: &str,
        own: Option<&SecretKey>,
        deadline: Instant,
    ) -> Keyring {
        if let Some(own) = own {
            let known = self.own_keyring(namespace, own, Wanted::Known, deadline);
            return known.await;
        }
        if self.reads_cluster() {
            self.update().await;
        }
        self.global()
    }

    /// Returns the proof that an object's own secret requires. While the API server does not answer, the call waits
    /// until the deadline, and the last known secret is not sufficient.
    pub async fn current_keyring(
        &self,
        namespace: &str,
        own: &SecretKey,
        deadline: Instant,
    ) -> Keyring {
        self.own_keyring(namespace, own, Wanted::Current, deadline)
            .await
    }

    async fn own_keyring(
        &self,
        namespace: &str,
        reference: &SecretKey,
        wanted: Wanted,
        deadline: Instant,
    ) -> Keyring {
        let Some(cluster) = &self.cluster else {
            return Keyring::unknown();
        };
        let stored = cluster
            .secrets
            .get_by(namespace, reference, wanted, deadline);
        match stored.await {
            Ok(stored) => Keyring {
                requirement: Requirement::proof(Keys::new(&[&stored.secret], &[])),
                is_current: stored.is_current,
            },
            Err(error) if error.is_temporary() => Keyring::unknown(),
            Err(error) => {
                let keys = Arc::clone(&self.unusable);
                Keyring {
                    requirement: Arc::new(Requirement::OwnUnusable(keys, error)),
                    is_current: true,
                }
            }
        }
    }

    /// Returns the proof that the global secrets require, as they were read last.
    #[must_use]
    pub fn global(&self) -> Keyring {
        Keyring {
            requirement: self.global.load_full(),
            is_current: true,
        }
    }

    /// Determines the requirement by the global secrets. A Secret of the cluster is read at most once a second.
    async fn update(&self) {
        let stored = match (&self.config.stored, &self.cluster) {
            (Some(reference), Some(cluster)) => {
                let namespace = &cluster.own_namespace;
                let stored = cluster.secrets.get(namespace, reference).await;
                Some(stored.map(|stored| stored.secret))
            }
            (Some(_), None) => Some(Err(SecretError::Unread)),
            (None, _) => None,
        };
        let global = Requirement::global(&self.local.load(), stored);
        self.global.store(Arc::new(global));
    }
}

impl Keyring {
    fn unknown() -> Self {
        Self {
            requirement: Arc::new(Requirement::Unknown),
            is_current: false,
        }
    }

    /// Returns whether the keys were read within the last second. Otherwise, the API server does not answer, and the
    /// keys may have changed.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.is_current
    }

    /// Checks the proof of a delivery.
    ///
    /// If a delivery has a signature, only the signature is checked. A token is checked only if there is no signature,
    /// so a valid token does not compensate for an invalid signature.
    ///
    /// Gitea, Forgejo and Gogs sign the JSON also if they send it in a form. The JSON then takes the place of the form,
    /// because the rest of the form is not verified.
    pub fn verify(&self, delivery: Delivery) -> Result<Verified<Delivery>, Box<Refused>> {
        self.verify_at(delivery, Timestamp::now())
    }

    fn verify_at(
        &self,
        delivery: Delivery,
        now: Timestamp,
    ) -> Result<Verified<Delivery>, Box<Refused>> {
        match self.prove(&delivery, now) {
            Ok((proven, None)) => Ok(Verified(delivery, proven)),
            Ok((proven, Some(json))) => Ok(Verified(delivery.with_json(json), proven)),
            Err(error) => Err(Box::new(Refused { error, delivery })),
        }
    }

    /// Checks the proof. Returns what it proves, and the JSON in the form if it alone was signed.
    fn prove(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(Proven, Option<Bytes>), AuthError> {
        match &*self.requirement {
            Requirement::Nothing => {
                let proven = Proven {
                    signature: Signature::None,
                    scheme: "none",
                };
                Ok((proven, None))
            }
            Requirement::Unusable(why) => Err(AuthError::Unusable(why.clone())),
            Requirement::Unknown => Err(AuthError::Unavailable),
            Requirement::Proof(keys) => keys.prove(delivery, now),
            Requirement::OwnUnusable(keys, why) => {
                drop(keys.prove(delivery, now));
                Err(AuthError::OwnUnusable(why.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
