//! HMAC-SHA256 and SHA-256.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::delivery::Digest;
use crate::payload::Field;

/// Returns the HMAC-SHA256 of a body.
pub(super) fn body_mac(key: &[u8], body: &[u8]) -> Digest {
    mac(key, &[body])
}

/// Returns the HMAC-SHA256 of a message of Standard Webhooks: its id, its time and its body, joined by dots.
pub(super) fn message_mac(key: &[u8], id: &[u8], timestamp: &[u8], body: &[u8]) -> Digest {
    mac(key, &[id, b".", timestamp, b".", body])
}

/// Returns the HMAC-SHA256 of the text in a form, or `None` if the text cannot be decoded.
pub(super) fn form_mac(key: &[u8], text: &Field<'_>) -> Option<Digest> {
    let mut mac = keyed(key);
    text.decode_parts(|part| mac.update(part)).ok()?;
    Some(mac.finalize().into_bytes().into())
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC accepts keys of any length (RFC 2104 §2).
    #[expect(clippy::expect_used, reason = "a key of any length is valid")]
    Hmac::new_from_slice(key).expect("a key of any length")
}

/// Returns the SHA-256 digest of a text in parts.
pub(super) fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
