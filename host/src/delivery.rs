//! A webhook as it was received: its headers and the bytes of its body.
//!
//! Nothing in it is verified. A verified delivery is a [`crate::auth::Verified`].

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// The header in which Bitbucket Data Center gives the id of a delivery, and many proxies an id of their own, which is
/// another one for each retry.
const REQUEST_ID: &str = "x-request-id";
/// The header of Bitbucket with the kind of an event. Beside it, the other header is the sender's.
const BITBUCKET_EVENT: &str = "x-event-key";

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
    REQUEST_ID,
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
    /// An id of the delivery, with the body and a time. The digest is that of the id and the body, which are the same in
    /// retries of one delivery.
    Id(Digest),
}

/// Returns the id of the delivery with these headers, if it is fit for a log line: printable ASCII of limited length.
#[must_use]
pub fn delivery_id(headers: &HeaderMap) -> Option<&str> {
    let is_senders = |name: &&&str| **name != REQUEST_ID || headers.contains_key(BITBUCKET_EVENT);
    ID_HEADERS.iter().filter(is_senders).find_map(|name| {
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

    #[test]
    fn the_id_of_a_proxy_is_not_the_senders() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("b1946ac9"));
        assert_eq!(delivery_id(&headers), None);
        headers.insert("x-event-key", HeaderValue::from_static("repo:refs_changed"));
        assert_eq!(delivery_id(&headers), Some("b1946ac9"));
        headers.insert("x-request-uuid", HeaderValue::from_static("cloud"));
        assert_eq!(delivery_id(&headers), Some("cloud"));
    }
}
