//! A table of the authentication schemes. Verification, the headers that are hidden from plugins, and the headers of
//! `stoker send` are derived from it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::AuthError;

/// The header that carries the signature, as GitHub documents it under "Validating webhook deliveries".
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";
/// The text before the hexadecimal digits of a signature.
const SIGNATURE_PREFIX: &str = "sha256=";
/// The text before a token (RFC 6750 §2.1). The name of the scheme has no case (RFC 9110 §11.1).
const TOKEN_PREFIX: &str = "Bearer ";

/// The schemes in descending order of strength. The first scheme with a configured key and a header in the request
/// applies.
pub(super) const SCHEMES: [Scheme; 2] = [
    Scheme {
        header: SIGNATURE_HEADER,
        proof: Proof::BodySignature,
    },
    Scheme {
        header: "authorization",
        proof: Proof::Token,
    },
];

/// An authentication scheme.
pub(super) struct Scheme {
    /// The header with the proof, in lower case.
    pub(super) header: &'static str,
    proof: Proof,
}

enum Proof {
    /// The HMAC-SHA256 of the raw body, in hexadecimal digits.
    BodySignature,
    /// A shared token.
    Token,
}

/// The keys of the senders. A scheme without a key is not accepted.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) signature: Option<Hmac<Sha256>>,
    /// The SHA-256 digest of the token. All digests have the same length, so the duration of a comparison does not
    /// depend on the length of the token.
    pub(super) token: Option<[u8; 32]>,
}

/// A proof whose header was read.
pub(super) enum Evidence {
    /// The proof is valid for any body.
    Valid,
    /// The proof is valid for a body with this signature.
    Signature {
        mac: Box<Hmac<Sha256>>,
        claimed: [u8; 32],
    },
}

impl Keys {
    pub(super) fn new(signature: Option<&str>, token: Option<&str>) -> Self {
        Self {
            // HMAC accepts keys of any length (RFC 2104 §2), so this does not fail.
            signature: signature.and_then(|key| Hmac::new_from_slice(key.as_bytes()).ok()),
            token: token.map(|token| digest(token.as_bytes())),
        }
    }

    /// Reads the proof in the headers of a delivery. A token is checked immediately. A signature is checked when the
    /// body has been read.
    pub(super) fn evidence(&self, headers: &HeaderMap) -> Result<Evidence, AuthError> {
        for scheme in &SCHEMES {
            if let Some(value) = headers.get(scheme.header)
                && let Some(evidence) = scheme.evidence(self, value.as_bytes())?
            {
                return Ok(evidence);
            }
        }
        Err(AuthError::Unauthorized(match self.token {
            Some(_) => "neither a signature nor a bearer token was sent",
            None => "the X-Hub-Signature-256 header is missing",
        }))
    }
}

impl Scheme {
    /// Reads the proof of this scheme. Returns `None` if no key of this scheme is configured.
    fn evidence(&self, keys: &Keys, value: &[u8]) -> Result<Option<Evidence>, AuthError> {
        match self.proof {
            Proof::BodySignature => {
                let Some(mac) = &keys.signature else {
                    return Ok(None);
                };
                Ok(Some(Evidence::Signature {
                    mac: Box::new(mac.clone()),
                    claimed: parse_signature(value)?,
                }))
            }
            Proof::Token => {
                let Some(expected) = &keys.token else {
                    return Ok(None);
                };
                check_token(value, expected)?;
                Ok(Some(Evidence::Valid))
            }
        }
    }
}

impl Evidence {
    /// Checks the proof against the body, in constant time.
    pub(super) fn check(self, body: &[u8]) -> Result<(), AuthError> {
        match self {
            Self::Valid => Ok(()),
            Self::Signature { mut mac, claimed } => {
                mac.update(body);
                mac.verify_slice(&claimed)
                    .map_err(|_| AuthError::Unauthorized("the signature does not match the body"))
            }
        }
    }
}

/// Parses `sha256=` and 64 hexadecimal digits of any case.
fn parse_signature(value: &[u8]) -> Result<[u8; 32], AuthError> {
    let mut claimed = [0; 32];
    let digits = value.strip_prefix(SIGNATURE_PREFIX.as_bytes());
    hex::decode_to_slice(digits.unwrap_or_default(), &mut claimed).map_err(|_| {
        AuthError::Unauthorized("the signature is not sha256= and 64 hexadecimal digits")
    })?;
    Ok(claimed)
}

fn check_token(value: &[u8], expected: &[u8; 32]) -> Result<(), AuthError> {
    let (scheme, token) = value
        .split_at_checked(TOKEN_PREFIX.len())
        .unwrap_or_default();
    let is_bearer = scheme.eq_ignore_ascii_case(TOKEN_PREFIX.as_bytes());
    if is_bearer && bool::from(digest(token).ct_eq(expected)) {
        return Ok(());
    }
    Err(AuthError::Unauthorized("the bearer token is wrong"))
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Returns the value of [`SIGNATURE_HEADER`] for a body, as a sender makes it.
#[must_use]
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(body);
    format!(
        "{SIGNATURE_PREFIX}{}",
        hex::encode(mac.finalize().into_bytes())
    )
}

/// Returns the value of `Authorization` for a token, as a sender makes it.
#[must_use]
pub fn bearer(token: &str) -> String {
    format!("{TOKEN_PREFIX}{token}")
}
