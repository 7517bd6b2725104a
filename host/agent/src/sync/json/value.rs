//! Writes values as Go's libraries do, because agents of other versions compare the bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use super::{JsonError, MAX_DEPTH, is_valid, scan};

/// Converts the text of a patch to JSON: a text that is JSON stands for its value, and any other text for itself, as
/// does a number that is too large.
///
/// The numbers are read from the text, because the values of `serde_json` differ from them in the last digit.
pub(crate) fn to_json(text: &str) -> Result<String, JsonError> {
    let bytes = text.as_bytes();
    if !is_valid(bytes) {
        return Ok(quote(text));
    }
    let root = scan::root(bytes);
    if scan::depth(bytes) > MAX_DEPTH {
        return Err(JsonError::Depth);
    }
    let json = match bytes[root.start] {
        b'"' => Some(quote(&scan::text(&bytes[root]))),
        // Numbers have no exponent at the top, but have one inside objects and arrays.
        b'-' | b'0'..=b'9' => number(&bytes[root]).map(|number| number.to_string()),
        _ => {
            let mut json = String::new();
            write(bytes, &root, &mut json).map(|()| json)
        }
    };
    Ok(json.unwrap_or_else(|| quote(text)))
}

/// Writes a text as a JSON string. `<`, `>` and `&` are escaped only if another character needs an escape or is not in
/// ASCII.
pub(super) fn quote(text: &str) -> String {
    let is_plain = |byte: u8| (b' '..=0x7f).contains(&byte) && !matches!(byte, b'"' | b'\\');
    if text.bytes().all(is_plain) {
        return format!("\"{text}\"");
    }
    let mut json = String::new();
    write_text(text, &mut json);
    json
}

fn write_text(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a text does not fail.
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}

/// Reads a number, or `None` if it is too large.
fn number(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Writes the value at a range of a document, which is valid. Returns `None` if a number in it is too large.
fn write(document: &[u8], node: &Range<usize>, json: &mut String) -> Option<()> {
    let value = &document[node.clone()];
    match value[0] {
        b'"' => write_text(&scan::text(value), json),
        b'[' => {
            json.push('[');
            for (index, item) in scan::elements(document, node).enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write(document, &item, json)?;
            }
            json.push(']');
        }
        b'{' => {
            // Of several members with one name, the last one counts.
            let members: BTreeMap<_, _> = scan::members(document, node).collect();
            json.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write_text(name, json);
                json.push(':');
                write(document, member, json)?;
            }
            json.push('}');
        }
        b't' => json.push_str("true"),
        b'f' => json.push_str("false"),
        b'n' => json.push_str("null"),
        _ => json.push_str(&write_number(number(value)?)),
    }
    Some(())
}

fn write_number(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    if text.contains("e-") {
        text
    } else {
        text.replace('e', "e+")
    }
}
