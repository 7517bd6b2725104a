//! Finds values in a JSON document that is known to be valid, without making a tree of it.

use std::borrow::Cow;
use std::ops::Range;

/// Returns the range of the whole value.
pub(super) fn root(document: &str) -> Range<usize> {
    let start = skip_space(document.as_bytes(), 0);
    start..value_end(document.as_bytes(), start)
}

/// Returns the member or element with the name. Of several members with one name, it is the first.
pub(super) fn child(document: &str, node: &Range<usize>, name: &str) -> Option<Range<usize>> {
    match document.as_bytes()[node.start] {
        b'{' => {
            let found = members(document, node).find(|(key, _)| *key == name);
            found.map(|(_, value)| value)
        }
        b'[' if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            let index = name.parse().ok()?;
            elements(document, node).nth(index)
        }
        _ => None,
    }
}

/// Returns whether an object or array has no members or elements.
pub(super) fn is_empty(document: &str, node: &Range<usize>) -> bool {
    skip_space(document.as_bytes(), node.start + 1) == node.end - 1
}

/// Returns the names and values of an object, or nothing for another value.
pub(super) fn members<'a>(
    document: &'a str,
    node: &Range<usize>,
) -> impl Iterator<Item = (Cow<'a, str>, Range<usize>)> + use<'a> {
    let bytes = document.as_bytes();
    let mut at = node.start + 1;
    let end = if bytes[node.start] == b'{' {
        node.end
    } else {
        at
    };
    std::iter::from_fn(move || {
        at = skip_space(bytes, at);
        if at + 1 >= end {
            return None;
        }
        let key_end = value_end(bytes, at);
        let key = text(&document[at..key_end]);
        let colon = skip_space(bytes, key_end);
        let start = skip_space(bytes, colon + 1);
        let value = start..value_end(bytes, start);
        at = skip_comma(bytes, value.end);
        Some((key, value))
    })
}

/// Returns the elements of an array, or nothing for another value.
pub(super) fn elements<'a>(
    document: &'a str,
    node: &Range<usize>,
) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let bytes = document.as_bytes();
    let mut at = node.start + 1;
    let end = if bytes[node.start] == b'[' {
        node.end
    } else {
        at
    };
    std::iter::from_fn(move || {
        at = skip_space(bytes, at);
        if at + 1 >= end {
            return None;
        }
        let value = at..value_end(bytes, at);
        at = skip_comma(bytes, value.end);
        Some(value)
    })
}

/// Returns the text of a JSON string.
pub(super) fn text(quoted: &str) -> Cow<'_, str> {
    let inner = &quoted[1..quoted.len() - 1];
    if inner.contains('\\') {
        // A lone surrogate is no text. Its spelling stands for it.
        serde_json::from_str(quoted).map_or(Cow::Borrowed(inner), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

fn skip_comma(bytes: &[u8], at: usize) -> usize {
    let at = skip_space(bytes, at);
    if bytes.get(at) == Some(&b',') {
        at + 1
    } else {
        at
    }
}

/// Returns the end of the value that starts at the position.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ if depth == 0 => {
                while bytes.get(at).is_some_and(|byte| {
                    !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace()
                }) {
                    at += 1;
                }
            }
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}
