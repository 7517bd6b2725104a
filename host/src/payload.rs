//! The body as JSON, taken out of a form or an envelope, parsed once, and read by pointer.
//!
//! A tree of owned values would cost more than all other work for a webhook, and a plugin reads only a few strings.
//! Therefore `serde_json` does the strict parsing and writes a flat tape of nodes that point back into the body; only
//! strings with escapes are copied. The tape returns the same values as `serde_json::Value`, which the tests check. If
//! a name is repeated, the last occurrence counts in both. This module accepts two things that RFC 8259 allows and
//! `serde_json` refuses: a lone surrogate, which makes only the string that contains it unusable, and a number of any
//! size.
//!
//! This module does no I/O and depends on no framework.

mod error;
mod form;
mod names;
mod pointer;
mod raw;
mod repair;
mod size;
mod sns;
mod tape;

use std::borrow::Cow;

use bytes::Bytes;

pub use error::PayloadError;
pub use form::Field;
use pointer::Tokens;
use size::Size;
use tape::{Node, Tape};

/// A UTF-8 byte order mark, which RFC 8259 §8.1 lets a reader ignore.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

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

/// A JSON text whose values are found by JSON pointer (RFC 6901). The default has no values.
#[derive(Debug, Default)]
pub struct Document {
    body: Bytes,
    tape: Tape,
}

impl Document {
    /// Takes the JSON text out of the form or the envelope in which a sender may put it, and parses it. Returns the
    /// text and its values.
    ///
    /// The media type is in lower case and without parameters.
    pub fn open(body: &Bytes, media_type: Option<&str>) -> Result<(Bytes, Self), PayloadError> {
        if let Some(content) = form::content(body, media_type)? {
            let document = Self::parse(&content);
            let document = document.map_err(|error| PayloadError::InForm(Box::new(error)))?;
            return Ok((content, document));
        }
        let document = Self::parse(body)?;
        Ok(sns::message(&document).unwrap_or_else(|| (body.clone(), document)))
    }

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
        let tape = parse(&text)?;
        Ok(Self { body: text, tape })
    }

    /// Returns an upper bound of the memory in bytes that [`Self::open`] takes, besides the body.
    #[must_use]
    pub fn memory(body: &[u8], media_type: Option<&str>) -> usize {
        match form::content(body, media_type) {
            Ok(Some(content)) => content.len() + Size::of(&content).memory(),
            Ok(None) => Size::of(body).memory() + sns::memory(body),
            Err(_) => 0,
        }
    }

    /// Whether there is a value at the pointer.
    #[must_use]
    pub fn has(&self, pointer: &str) -> bool {
        self.find(pointer).is_some()
    }

    /// The string at the pointer. `None` if there is no value, if it is not a string, or if the string holds a lone
    /// surrogate.
    #[must_use]
    pub fn string_at(&self, pointer: &str) -> Option<&str> {
        self.tape.text(self.find(pointer)?, &self.body)
    }

    /// The kind of the value at the pointer.
    #[must_use]
    pub fn kind_at(&self, pointer: &str) -> Option<Kind> {
        self.find(pointer).map(Node::kind)
    }

    /// The number of elements or members of the array or object at the pointer. If an object repeats a name, each
    /// occurrence is counted.
    #[must_use]
    pub fn len_at(&self, pointer: &str) -> Option<u32> {
        self.find(pointer)?.len()
    }

    /// The text of the value at the pointer, exactly as it was sent.
    #[must_use]
    pub fn json_at(&self, pointer: &str) -> Option<Cow<'_, str>> {
        // The tape keeps no offsets of containers, because plugins rarely read their text. Therefore the text is
        // searched again.
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

/// Returns the JSON text in a form, without decoding it. Returns `None` if the body is not a form with one such text.
///
/// The media type is in lower case and without parameters.
#[must_use]
pub fn in_form<'b>(body: &'b [u8], media_type: Option<&str>) -> Option<Field<'b>> {
    form::field(body, media_type).ok().flatten()
}

/// Parses a text. If the parser refuses it, the text is repaired and parsed again.
fn parse(text: &[u8]) -> Result<Tape, PayloadError> {
    let error = match Tape::parse(text) {
        Ok(tape) => return Ok(tape),
        Err(error) => error,
    };
    let Some(repaired) = repair::repair(text) else {
        return Err(PayloadError::explain(text, error));
    };
    let mut tape =
        Tape::parse(&repaired.text).map_err(|error| PayloadError::explain(text, error))?;
    tape.withhold(&repaired.unusable);
    Ok(tape)
}

#[cfg(test)]
mod tests;
