//! A webhook as it was received: its headers and the bytes of its body.
//!
//! Nothing in it is verified. A verified delivery is a [`crate::auth::Verified`].

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// The headers in which senders give the id of a delivery, in the order of preference.
///
/// They are documented by GitHub, Gitea, Forgejo, GitLab, Standard Webhooks, Bitbucket, CloudEvents (binary mode) and Amazon SNS.
const ID_HEADERS: [&str; 9] = [
    "x-github-delivery",
    "x-gitea-delivery",
    "x-forgejo-delivery",
    "idempotency-key",
    "webhook-id",
    "x-request-uuid",
    "x-request-id",
    "ce-id",
    "x-amz-sns-message-id",
];

/// The maximum length of a delivery id in bytes. Longer ids are ignored. The ids of GitHub have 36 bytes.
const MAX_ID_BYTES: usize = 128;

/// A webhook as it was received.
#[derive(Debug)]
pub struct Delivery {
    /// All headers.
    pub headers: HeaderMap,
    /// The bytes of the body, which a signature covers.
    pub body: Bytes,
}

impl Delivery {
    /// Returns the delivery with another body, which is JSON.
    #[must_use]
    pub(crate) fn with_json(mut self, body: Bytes) -> Self {
        let json = HeaderValue::from_static("application/json");
        drop(self.headers.insert(header::CONTENT_TYPE, json));
        drop(self.headers.remove(header::CONTENT_LENGTH));
        Self { body, ..self }
    }

    /// Returns the compression of the body that the sender declares, if any (RFC 9110 §8.4).
    #[must_use]
    pub fn content_encoding(&self) -> Option<String> {
        let value = self.headers.get(http::header::CONTENT_ENCODING)?;
        let value = value.to_str().ok()?.trim().to_ascii_lowercase();
        (!value.is_empty() && value != "identity").then_some(value)
    }

    /// Returns the media type that the sender declares, without parameters and in lower case.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let value = self
            .headers
            .get(http::header::CONTENT_TYPE)?
            .to_str()
            .ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
    }
}

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// What identifies a delivery, so that a repetition of it is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint {
    /// What the sender signed, or `None` if the sender proved itself with a token.
    pub signed: Option<Signed>,
    /// The digest of the id in the headers and of what stands for the body, or `None` without an id. The id is not
    /// signed, so anyone who repeats a delivery can change it.
    pub sent: Option<Digest>,
}

/// A digest that stands for what the sender signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// The body alone, by its signature. Two deliveries with the same body and key cannot be distinguished.
    Body(Digest),
    /// An id of the delivery, with the body and a time. Retries of one delivery have the same id.
    Id(Digest),
}

/// Returns the id of the delivery with these headers, if it is fit for a log line: printable ASCII of limited length.
#[must_use]
pub fn delivery_id(headers: &HeaderMap) -> Option<&str> {
    ID_HEADERS.iter().find_map(|name| {
        let id = headers.get(*name)?.to_str().ok()?.trim();
        let fit = !id.is_empty()
            && id.len() <= MAX_ID_BYTES
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        fit.then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_read_from_the_first_header_with_a_valid_value() {
        let mut headers = HeaderMap::new();
        assert_eq!(delivery_id(&headers), None);
        headers.insert("ce-id", HeaderValue::from_static("event-7"));
        headers.insert("x-github-delivery", HeaderValue::from_static(" "));
        assert_eq!(delivery_id(&headers), Some("event-7"));
        headers.insert(
            "x-github-delivery",
            HeaderValue::from_static("72d3162e-cc78"),
        );
        assert_eq!(delivery_id(&headers), Some("72d3162e-cc78"));
    }
}
