//! HMAC-SHA256 and SHA-256.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::delivery::Digest;

/// Returns the HMAC-SHA256 of a body.
pub(super) fn body_mac(key: &[u8], body: &[u8]) -> Digest {
    mac(key, &[body])
}

/// Returns the HMAC-SHA256 of a message of Standard Webhooks: its id, its time and its body, joined by dots.
pub(super) fn message_mac(key: &[u8], id: &[u8], timestamp: &[u8], body: &[u8]) -> Digest {
    mac(key, &[id, b".", timestamp, b".", body])
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Digest {
    // HMAC accepts keys of any length (RFC 2104 §2).
    #[expect(clippy::expect_used, reason = "a key of any length is valid")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Returns the SHA-256 digest of a text in parts.
pub(super) fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
