//! Why a body is not JSON, as the sender is told.

use serde_json::error::Category;

/// The reason why a body is not JSON. Each text says what the sender has to change.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The body has no bytes, or only white space.
    #[error("the body is empty")]
    Empty,
    /// The first bytes are those of a compressed format.
    #[error("the body is compressed with {0}: send it without compression")]
    Compressed(&'static str),
    /// The body is UTF-16 or UTF-32. RFC 8259 §8.1 requires UTF-8.
    #[error("the body is {0}, and JSON has to be UTF-8: send it as UTF-8")]
    WideText(&'static str),
    /// The body has bytes that are not UTF-8, such as those of Latin-1.
    #[error("the body is not UTF-8, which JSON has to be: byte {at} is invalid")]
    NotUtf8 {
        /// The number of the first invalid byte, counted from 1.
        at: usize,
    },
    /// The body has another format, as its first bytes show.
    #[error("the body is {found}, and not JSON: {advice}")]
    OtherFormat {
        /// The name of the format.
        found: &'static str,
        /// The change that the sender has to make.
        advice: &'static str,
    },
    /// The body is valid up to its end, but incomplete.
    #[error("the body ends too early: {0}")]
    Truncated(#[source] serde_json::Error),
    /// The body has more text after a complete JSON value.
    #[error("the body holds more than one JSON value: {found}: {source}")]
    Trailing {
        /// The kind of text after the first value.
        found: &'static str,
        /// The error of the parser, with the position of that text.
        source: serde_json::Error,
    },
    /// The body is not a JSON text by RFC 8259, or is nested deeper than 128 levels.
    #[error("the body is not JSON: {0}")]
    Syntax(#[source] serde_json::Error),
    /// The body is a form without JSON in it.
    #[error(
        "the body is a form without the field payload: set the content type of the webhook to application/json, or send the JSON in the field payload"
    )]
    FormWithoutPayload,
    /// The body is a form with more than one JSON text.
    #[error("the body is a form with several fields payload: send one")]
    FormWithSeveral,
    /// The JSON in a form is not percent-encoded.
    #[error(
        "the field payload of the form cannot be decoded: the % at byte {at} is not followed by two hexadecimal digits"
    )]
    FormEncoding {
        /// The number of the byte, counted from 1.
        at: usize,
    },
    /// The field of a form is not JSON.
    #[error("in the field payload of the form, {0}")]
    InForm(#[source] Box<Self>),
    /// The body has more bytes than 32-bit offsets can address.
    #[error("the body is larger than 4 GiB")]
    TooLarge,
}

/// Compressed formats by their first bytes (RFC 1952 §2.3.1, RFC 8878 §3.1.1, RFC 1950 §2.2).
const COMPRESSED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x78\x01", "deflate"),
    (b"\x78\x5e", "deflate"),
    (b"\x78\x9c", "deflate"),
    (b"\x78\xda", "deflate"),
];

impl PayloadError {
    /// Explains why the parser refused a body.
    pub(super) fn explain(body: &[u8], error: serde_json::Error) -> Self {
        let compressed = COMPRESSED.iter().find(|(start, _)| body.starts_with(start));
        if let Some((_, format)) = compressed {
            return Self::Compressed(format);
        }
        if let Some(encoding) = wide_text(body) {
            return Self::WideText(encoding);
        }
        let text = match std::str::from_utf8(body) {
            Ok(text) => text.trim_ascii(),
            Err(error) => {
                return Self::NotUtf8 {
                    at: error.valid_up_to() + 1,
                };
            }
        };
        if text.is_empty() {
            return Self::Empty;
        }
        if let Some((found, advice)) = other_format(text) {
            return Self::OtherFormat { found, advice };
        }
        match error.classify() {
            Category::Eof => Self::Truncated(error),
            // The parser has no category for this error.
            _ if error.to_string().starts_with("trailing characters") => Self::Trailing {
                found: trailing(body),
                source: error,
            },
            _ => Self::Syntax(error),
        }
    }
}

/// Recognises UTF-16 and UTF-32 by the byte order mark or, because JSON starts with two ASCII characters, by zero
/// bytes.
fn wide_text(body: &[u8]) -> Option<&'static str> {
    let first = body.first_chunk::<4>()?;
    let mark = match *first {
        [0xFF, 0xFE, 0, 0] => "UTF-32 (little-endian)",
        [0, 0, 0xFE, 0xFF] => "UTF-32 (big-endian)",
        [0xFF, 0xFE, ..] => "UTF-16 (little-endian)",
        [0xFE, 0xFF, ..] => "UTF-16 (big-endian)",
        _ => "",
    };
    Some(match first.map(|byte| byte == 0) {
        _ if !mark.is_empty() => mark,
        [false, true, true, true] => "UTF-32 (little-endian)",
        [true, true, true, false] => "UTF-32 (big-endian)",
        [false, true, false, true] => "UTF-16 (little-endian)",
        [true, false, true, false] => "UTF-16 (big-endian)",
        _ => return None,
    })
}

/// Recognises formats that are often sent instead of JSON. Returns the format and the change that the sender has to
/// make.
fn other_format(text: &str) -> Option<(&'static str, &'static str)> {
    let is_form = || {
        let name = text.split('=').next().unwrap_or_default();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.%+[]".contains(&byte);
        name.len() < text.len() && !name.is_empty() && name.bytes().all(is_name)
    };
    let has_single_quotes = || {
        let inner = text.trim_start_matches(['{', '[', ' ', '\t', '\r', '\n']);
        inner.starts_with('\'')
    };
    Some(if text.starts_with('<') {
        ("XML or HTML", "send JSON")
    } else if text.starts_with("--") && text.contains("\r\n") {
        (
            "a multipart form",
            "set the content type of the webhook to application/json",
        )
    } else if is_form() {
        (
            "a form",
            "set the content type of the webhook to application/json",
        )
    } else if has_single_quotes() {
        (
            "in single quotes",
            "write strings and names in double quotes",
        )
    } else {
        return None;
    })
}

/// Describes the text after the first value of a body.
fn trailing(body: &[u8]) -> &'static str {
    let mut values =
        serde_json::Deserializer::from_slice(body).into_iter::<serde::de::IgnoredAny>();
    values.next();
    let rest = body.get(values.byte_offset()..).unwrap_or_default();
    match rest.trim_ascii_start() {
        [0, ..] => "zero bytes follow it; send the bytes of the text alone",
        [b'{' | b'[', ..] => "another one follows it; send one webhook for each",
        _ => "other characters follow it",
    }
}
