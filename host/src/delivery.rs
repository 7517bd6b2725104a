//! One webhook as it came in: its headers and its bytes.
//!
//! Nothing in it was checked. What was checked is a [`crate::auth::Verified`].

use bytes::Bytes;
use http::HeaderMap;

/// Where senders put their own id of a delivery, in the order of preference.
///
/// GitHub keeps the id in a requested redelivery; GitLab, Bitbucket Data Center, Standard Webhooks and CloudEvents
/// (binary mode) document theirs likewise.
const ID_HEADERS: [&str; 8] = [
    "x-github-delivery",
    "x-gitea-delivery",
    "x-forgejo-delivery",
    "idempotency-key",
    "webhook-id",
    "x-request-uuid",
    "x-request-id",
    "ce-id",
];

/// The longest delivery id that is kept, in bytes. GitHub's has 36.
const MAX_ID_BYTES: usize = 128;

/// One webhook as it came in.
#[derive(Debug)]
pub struct Delivery {
    /// All headers.
    pub headers: HeaderMap,
    /// The raw bytes that a signature covers.
    pub body: Bytes,
}

impl Delivery {
    /// The sender's id of this delivery, where it gives one that is fit for a log line.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        delivery_id(&self.headers)
    }

    /// The compression of the body that the sender claims, if any (RFC 9110 §8.4).
    #[must_use]
    pub fn content_encoding(&self) -> Option<String> {
        let value = self.headers.get(http::header::CONTENT_ENCODING)?;
        let value = value.to_str().ok()?.trim().to_ascii_lowercase();
        (!value.is_empty() && value != "identity").then_some(value)
    }

    /// The media type that the sender claims, without parameters, in lower case.
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

/// The sender's id of a delivery with these headers.
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
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_id_is_taken_from_the_first_header_that_holds_a_fit_one() {
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
