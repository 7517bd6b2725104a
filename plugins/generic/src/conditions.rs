//! The conditions in the settings.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Kind, Malformed, Request, Settings, text};

const HEADERS: &str = "when-header";
const VALUES: &str = "when";

/// The maximum number of pointers for the conditions. A host accepts 32, and two have other purposes.
const MAX_POINTERS: usize = 30;
/// The maximum length of a pointer that a host accepts, in bytes.
const MAX_POINTER_BYTES: usize = 256;

/// Returns the headers that the conditions name. A text that cannot be the name of a header is skipped.
pub(crate) fn header_names(settings: &impl Settings) -> Vec<String> {
    let lines = settings.configured(HEADERS).unwrap_or_default();
    lines
        .split('\n')
        .map(|line| parts(line, ':').0)
        .filter(|name| is_header_name(name))
        .map(String::from)
        .collect()
}

/// Returns the pointers that the conditions name, as many as a pre-filter may have. A text that cannot be a pointer is
/// skipped.
pub(crate) fn pointers(settings: &impl Settings) -> Vec<String> {
    let lines = settings.configured(VALUES).unwrap_or_default();
    lines
        .split('\n')
        .map(|line| parts(line, '=').0)
        .filter(|pointer| pointer.starts_with('/') && pointer.len() <= MAX_POINTER_BYTES)
        .take(MAX_POINTERS)
        .map(String::from)
        .collect()
}

/// Returns whether each condition on a header holds.
pub(crate) fn headers_hold(request: &impl Request) -> Result<bool, Malformed> {
    let lines = request.configured(HEADERS).unwrap_or_default();
    for line in lines.split('\n') {
        let (name, wanted) = parts(line, ':');
        if name.is_empty() && wanted.is_none() {
            continue;
        }
        if !is_header_name(name) {
            return Err(Malformed::setting(
                HEADERS,
                "has a line that is neither \"Name\" nor \"Name: value\"",
            ));
        }
        match request.header(name) {
            Some(value) if wanted.is_none_or(|wanted| value == wanted) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Describes the first condition on the body that does not hold. Returns `None` if all conditions hold.
pub(crate) fn unmet(request: &impl Request) -> Result<Option<String>, Malformed> {
    let lines = request.configured(VALUES).unwrap_or_default();
    for line in lines.split('\n') {
        let (pointer, wanted) = parts(line, '=');
        if pointer.is_empty() && wanted.is_none() {
            continue;
        }
        if !pointer.starts_with('/') {
            return Err(Malformed::setting(
                VALUES,
                "has a line that is neither \"/pointer\" nor \"/pointer = value\"",
            ));
        }
        match wanted {
            None if request.kind_at(pointer).is_none() => {
                return Ok(Some(text::concat(&[pointer, " is missing"])));
            }
            Some(wanted) if scalar_at(request, pointer).as_deref() != Some(wanted) => {
                return Ok(Some(text::concat(&[pointer, " is not ", wanted])));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Returns the string at a pointer, or the JSON text of a number, a boolean or null.
pub(crate) fn scalar_at(request: &impl Request, pointer: &str) -> Option<String> {
    match request.kind_at(pointer)? {
        Kind::Text => request.string_at(pointer),
        Kind::Array | Kind::Object => None,
        Kind::Null | Kind::Boolean | Kind::Number => request.json_at(pointer),
    }
}

/// Returns the text before a mark, and the text after the mark if there is one.
fn parts(line: &str, mark: char) -> (&str, Option<&str>) {
    match line.split_once(mark) {
        Some((name, value)) => (name.trim_ascii(), Some(value.trim_ascii())),
        None => (line.trim_ascii(), None),
    }
}

fn is_header_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_fit)
}
