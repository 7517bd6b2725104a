//! Who may say anything at all: signatures, tokens, and the one type that proves that they were checked.
//!
//! [`Verified`] is made here and nowhere else, so nothing unverified can reach a plugin. Whether a request is
//! refused never depends on the object that it names, and all refusals look alike to the sender. This room knows
//! neither HTTP servers nor Kubernetes.

mod secret;

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::delivery::Delivery;

pub use secret::{SecretError, SecretSource};

/// The header that carries the signature, as GitHub documents it under "Validating webhook deliveries".
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// What was verified; there is no other way to hold one.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why a delivery is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No signature, no token, or a wrong one. What exactly is for the log only.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A secret is configured and cannot be used, so nobody is let in.
    #[error("a webhook secret is configured and cannot be used: {0}")]
    Closed(SecretError),
}

/// Where the secrets come from. None configured leaves the door open, as the user guide promises.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// The key of `X-Hub-Signature-256`.
    pub hmac: Option<SecretSource>,
    /// The token of `Authorization: Bearer`, for senders that cannot sign.
    pub bearer: Option<SecretSource>,
}

/// What the door does.
enum Door {
    /// No secret is configured.
    Open,
    /// A secret is configured and cannot be used.
    Closed(SecretError),
    /// Whoever holds a key comes in.
    Locked {
        hmac: Option<Hmac<Sha256>>,
        bearer: Option<[u8; 32]>,
    },
}

/// Checks deliveries against the configured secrets.
pub struct Authenticator {
    config: AuthConfig,
    door: ArcSwap<Door>,
}

/// How the door stands, for the log and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorState {
    /// No secret is configured: everybody may say which ref a gateway runs.
    Open,
    /// A configured secret cannot be used: nobody may.
    Closed(SecretError),
    /// Signatures or tokens are required.
    Locked,
}

impl Authenticator {
    /// Reads the secrets.
    #[must_use]
    pub fn new(config: AuthConfig) -> Self {
        let door = ArcSwap::from_pointee(Door::build(&config));
        Self { config, door }
    }

    /// Reads the secrets again, so that a rotated secret file needs no restart.
    pub fn refresh(&self) {
        self.door
            .store(std::sync::Arc::new(Door::build(&self.config)));
    }

    /// Whether a secret can change while the process runs.
    #[must_use]
    pub fn reads_files(&self) -> bool {
        let is_file = |source: &Option<SecretSource>| matches!(source, Some(SecretSource::File(_)));
        is_file(&self.config.hmac) || is_file(&self.config.bearer)
    }

    /// How the door stands.
    #[must_use]
    pub fn state(&self) -> DoorState {
        match &**self.door.load() {
            Door::Open => DoorState::Open,
            Door::Closed(why) => DoorState::Closed(why.clone()),
            Door::Locked { .. } => DoorState::Locked,
        }
    }

    /// Lets a delivery in.
    ///
    /// A delivery that carries a signature is judged by it alone; a token counts only where there is none, so the
    /// weaker of two proofs never wins over the stronger.
    pub fn verify(&self, delivery: Delivery) -> Result<Verified<Delivery>, AuthError> {
        match &**self.door.load() {
            Door::Open => Ok(Verified(delivery)),
            Door::Closed(why) => Err(AuthError::Closed(why.clone())),
            Door::Locked { hmac, bearer } => {
                check(hmac.as_ref(), bearer.as_ref(), &delivery)?;
                Ok(Verified(delivery))
            }
        }
    }
}

impl Door {
    fn build(config: &AuthConfig) -> Self {
        let hmac = config.hmac.as_ref().map(SecretSource::read).transpose();
        let bearer = config.bearer.as_ref().map(SecretSource::read).transpose();
        match (hmac, bearer) {
            (Ok(None), Ok(None)) => Self::Open,
            (Ok(hmac), Ok(bearer)) => {
                // HMAC takes keys of any length (RFC 2104 §2), so this cannot fail.
                let hmac = hmac.and_then(|key| Hmac::new_from_slice(key.as_bytes()).ok());
                Self::Locked {
                    hmac,
                    bearer: bearer.map(|token| digest(token.as_bytes())),
                }
            }
            (Err(why), _) | (_, Err(why)) => Self::Closed(why),
        }
    }
}

fn check(
    hmac: Option<&Hmac<Sha256>>,
    bearer: Option<&[u8; 32]>,
    delivery: &Delivery,
) -> Result<(), AuthError> {
    let signature = delivery.headers.get(SIGNATURE_HEADER);
    match (hmac, signature, bearer) {
        (Some(mac), Some(signature), _) => {
            let claimed = parse_signature(signature.as_bytes())?;
            let mut mac = mac.clone();
            mac.update(&delivery.body);
            mac.verify_slice(&claimed)
                .map_err(|_| AuthError::Unauthorized("the signature does not match the body"))
        }
        (_, _, Some(expected)) => check_bearer(&delivery.headers, expected),
        (Some(_), None, None) => Err(AuthError::Unauthorized(
            "the X-Hub-Signature-256 header is missing",
        )),
        (None, _, None) => Err(AuthError::Unauthorized("no secret fits the delivery")),
    }
}

/// Takes `sha256=` and 64 hexadecimal digits.
fn parse_signature(value: &[u8]) -> Result<[u8; 32], AuthError> {
    let mut claimed = [0; 32];
    let digits = value.strip_prefix(b"sha256=").unwrap_or_default();
    hex::decode_to_slice(digits, &mut claimed).map_err(|_| {
        AuthError::Unauthorized("the signature is not sha256= and 64 hexadecimal digits")
    })?;
    Ok(claimed)
}

/// RFC 6750 §2.1; the scheme's name has no case (RFC 9110 §11.1).
fn check_bearer(headers: &HeaderMap, expected: &[u8; 32]) -> Result<(), AuthError> {
    let value = headers
        .get(http::header::AUTHORIZATION)
        .map(http::HeaderValue::as_bytes)
        .unwrap_or_default();
    let (scheme, token) = value.split_at_checked(7).unwrap_or_default();
    // Digests of equal length are compared, so that the time tells nothing of the token's length either.
    if scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(digest(token).ct_eq(expected)) {
        return Ok(());
    }
    Err(AuthError::Unauthorized(
        "neither a signature nor the bearer token was sent",
    ))
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The value of `X-Hub-Signature-256` for a body, as a sender makes it.
#[must_use]
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests;
