//! The body as JSON, parsed once and looked into by pointer.
//!
//! A tree of owned values would cost more than everything else that a webhook causes: a plugin asks for a handful of
//! strings, and nobody needs the rest. So `serde_json` does the strict parsing and drives a flat tape of nodes that
//! point back into the body; only strings with escapes are copied. What the tape answers agrees with
//! `serde_json::Value`, which the tests hold it to; of duplicate names the last counts, as there.
//!
//! This room does no I/O and knows no framework.

mod pointer;
mod raw;
mod tape;

use std::borrow::Cow;

use bytes::Bytes;

use pointer::Tokens;
use tape::{Node, Tape};

/// A UTF-8 byte order mark, which RFC 8259 §8.1 lets a reader ignore.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Why a body is not JSON.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// No bytes.
    #[error("the body is empty")]
    Empty,
    /// Not a JSON text by RFC 8259, or nested deeper than 128 levels.
    #[error("the body is not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// More bytes than offsets of 32 bits reach.
    #[error("the body is larger than 4 GiB")]
    TooLarge,
}

/// The kinds of JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// Any number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A JSON text that can be asked for what stands at a pointer (RFC 6901).
#[derive(Debug)]
pub struct Document {
    body: Bytes,
    tape: Tape,
}

impl Document {
    /// Parses a whole body.
    pub fn parse(body: &Bytes) -> Result<Self, PayloadError> {
        let text = body
            .strip_prefix(BYTE_ORDER_MARK)
            .map_or_else(|| body.clone(), |rest| body.slice_ref(rest));
        if text.is_empty() {
            return Err(PayloadError::Empty);
        }
        if u32::try_from(text.len()).is_err() {
            return Err(PayloadError::TooLarge);
        }
        let tape = Tape::parse(&text)?;
        Ok(Self { body: text, tape })
    }

    /// Whether there is a value at the pointer.
    #[must_use]
    pub fn has(&self, pointer: &str) -> bool {
        self.find(pointer).is_some()
    }

    /// The string at the pointer; none where there is no value, or one that is no string.
    #[must_use]
    pub fn string_at(&self, pointer: &str) -> Option<&str> {
        self.tape.text(self.find(pointer)?, &self.body)
    }

    /// The kind of the value at the pointer.
    #[must_use]
    pub fn kind_at(&self, pointer: &str) -> Option<Kind> {
        self.find(pointer).map(Node::kind)
    }

    /// How many elements or members the array or object at the pointer has. Of an object that repeats a name, each
    /// occurrence counts once.
    #[must_use]
    pub fn len_at(&self, pointer: &str) -> Option<u32> {
        self.find(pointer)?.len()
    }

    /// The text of the value at the pointer, exactly as it was sent.
    #[must_use]
    pub fn json_at(&self, pointer: &str) -> Option<Cow<'_, str>> {
        // The tape keeps no offsets of containers, since hardly a plugin asks: their text is looked for again.
        let node = self.find(pointer)?;
        node.text().or_else(|| {
            let body = std::str::from_utf8(&self.body).ok()?;
            raw::find(body, Tokens::parse(pointer)?).map(Cow::Borrowed)
        })
    }

    fn find(&self, pointer: &str) -> Option<&Node> {
        self.tape.find(Tokens::parse(pointer)?, &self.body)
    }
}

#[cfg(test)]
mod tests;
