//! A delivery, as plugins see it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::auth::{Verified, is_withheld};
use crate::delivery::Delivery;
use crate::payload::{Document, PayloadError};

/// A verified delivery, about which plugins are asked.
pub struct Question {
    delivery: Verified<Delivery>,
    /// The JSON text that the sender put into the body, or the body itself if it has none.
    content: Bytes,
    document: Document,
}

impl Question {
    /// Takes the JSON out of the body and parses it, once for all plugins. If it is not JSON, the error is returned with
    /// the question: plugins then find no values in the body, but can still decide by the headers.
    pub fn new(delivery: Verified<Delivery>) -> (Self, Result<(), PayloadError>) {
        let opened = Document::open(&delivery.body, delivery.media_type().as_deref());
        let (content, document, parsed) = match opened {
            Ok((content, document)) => (content, document, Ok(())),
            Err(error) => (delivery.body.clone(), Document::default(), Err(error)),
        };
        let question = Self {
            delivery,
            content,
            document,
        };
        (question, parsed)
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.delivery.headers
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.content
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::try_from(name).ok()?;
        if is_withheld(name.as_str()) {
            return None;
        }
        self.delivery.headers.get(&name)?.to_str().ok()
    }
}
