//! Finds values in a JSON document that is known to be valid, without making a tree of it.

use std::borrow::Cow;
use std::ops::Range;

/// Returns the range of the whole value, which is the document without the spaces around it.
pub(super) fn root(document: &[u8]) -> Range<usize> {
    let start = skip_space(document, 0);
    start..start + document[start..].trim_ascii_end().len()
}

/// Returns the member or element with the name. Of several members with one name, it is the first.
pub(super) fn child(document: &[u8], node: &Range<usize>, name: &str) -> Option<Range<usize>> {
    match document[node.start] {
        b'{' => {
            let found = members(document, node).find(|(key, _)| key == name);
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
pub(super) fn is_empty(document: &[u8], node: &Range<usize>) -> bool {
    skip_space(document, node.start + 1) == node.end - 1
}

/// Returns the names and values of an object, or nothing for another value.
pub(super) fn members<'a>(
    document: &'a [u8],
    node: &Range<usize>,
) -> impl Iterator<Item = (Cow<'a, str>, Range<usize>)> + use<'a> {
    let bytes = document;
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
    document: &'a [u8],
    node: &Range<usize>,
) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let bytes = document;
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

/// Returns the text of a JSON string. As in Go, U+FFFD stands for what is no text: half of a surrogate pair, and bytes
/// that are not UTF-8.
pub(super) fn text(quoted: &[u8]) -> Cow<'_, str> {
    let inner = String::from_utf8_lossy(&quoted[1..quoted.len() - 1]);
    if !inner.contains('\\') {
        return inner;
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.as_ref();
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut characters = escape.chars();
        let character = match characters.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (character, length) = unicode(escape);
                text.push(character);
                rest = escape.get(length..).unwrap_or_default();
                continue;
            }
            other => other.unwrap_or(char::REPLACEMENT_CHARACTER),
        };
        text.push(character);
        rest = characters.as_str();
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Reads `uXXXX`, or the two of a surrogate pair. Returns the character and the length.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |start: usize| {
        let digits = escape.get(start..start + 4);
        digits.and_then(|digits| u16::from_str_radix(digits, 16).ok())
    };
    let first = unit(1).unwrap_or(0xfffd);
    let second = escape
        .get(5..7)
        .filter(|text| *text == "\\u")
        .and_then(|_| unit(7));
    let units = [first, second.unwrap_or_default()];
    match char::decode_utf16(units).next() {
        Some(Ok(character)) => (character, if character.len_utf16() == 2 { 11 } else { 5 }),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// Returns how many objects and arrays are in each other.
pub(super) fn depth(document: &[u8]) -> usize {
    let (mut at, mut depth, mut deepest) = (0, 0_usize, 0);
    while let Some(byte) = document.get(at) {
        match byte {
            b'"' => {
                at = string_end(document, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
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
