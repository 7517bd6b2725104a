//! What Standard Webhooks add to a signature of the body: the key's encoding, several signatures, and a time.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;

use crate::delivery::Digest;

/// The text before the base64 of a key.
const KEY_PREFIX: &str = "whsec_";
/// The lengths of a key in bytes, by the specification. They tell a key in base64 without the prefix from other texts.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The text before a signature by a shared secret. Other versions, such as `v1a`, are signatures by a private key.
const VERSION_PREFIX: &str = "v1,";
/// The maximum number of signatures that are compared. While a secret is rotated, a sender sends two.
const MAX_SIGNATURES: usize = 16;
/// The maximum difference between the time of a message and the present time in seconds, in both directions. The
/// libraries of Standard Webhooks use the same tolerance.
const TOLERANCE_SECONDS: u64 = 300;

/// Base64 with or without padding, because secrets are copied by hand.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the keys that a secret can mean: the bytes after `whsec_`, or the text itself and the bytes that it encodes.
/// A secret that starts with `whsec_` and is not base64 means no key.
pub(super) fn keys(secret: &str) -> Vec<Vec<u8>> {
    if let Some(encoded) = secret.strip_prefix(KEY_PREFIX) {
        let decoded = BASE64.decode(encoded).ok();
        // Everybody can sign with an empty key.
        return decoded.filter(|key| !key.is_empty()).into_iter().collect();
    }
    let decoded = BASE64.decode(secret).ok();
    let decoded = decoded.filter(|key| KEY_BYTES.contains(&key.len()));
    decoded
        .into_iter()
        .chain([secret.as_bytes().to_vec()])
        .collect()
}

/// Parses the signatures of version 1, and skips other versions and malformed signatures. The result is `None` if no
/// signature remains, or if there are too many.
pub(super) fn signatures(value: &str) -> Option<Vec<Digest>> {
    let encoded = value
        .split(' ')
        .filter_map(|signature| signature.strip_prefix(VERSION_PREFIX));
    let signatures: Vec<Digest> = encoded
        .take(MAX_SIGNATURES + 1)
        .filter_map(|encoded| BASE64.decode(encoded).ok()?.try_into().ok())
        .collect();
    (1..=MAX_SIGNATURES)
        .contains(&signatures.len())
        .then_some(signatures)
}

/// Returns whether a value has a signature of version 1.
pub(super) fn has_signature(value: &str) -> bool {
    value
        .split(' ')
        .any(|signature| signature.starts_with(VERSION_PREFIX))
}

/// Returns whether a time in seconds since 1970 is near the present time.
pub(super) fn is_recent(timestamp: &str, now: Timestamp) -> bool {
    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = timestamp.parse::<i64>().ok().filter(|_| digits);
    seconds.is_some_and(|seconds| now.as_second().abs_diff(seconds) <= TOLERANCE_SECONDS)
}
