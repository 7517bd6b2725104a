//! Sets values in a JSON document and keeps all other bytes as they are.

mod path;
mod query;
mod scan;
mod value;

use std::ops::Range;

use serde::de::IgnoredAny;

use path::{Part, Path};
pub(crate) use value::to_json;

/// The largest index that a path may add to an array.
const MAX_INDEX: usize = 65_535;

/// A value cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("file is not valid JSON")]
    Document,
    #[error("path cannot be empty")]
    EmptyPath,
    #[error("cannot set array element for non-numeric key {0:?}")]
    NoIndex(String),
    #[error("the index {0} is larger than {MAX_INDEX}")]
    Index(usize),
    #[error("the query {0:?} is not supported")]
    Query(String),
}

/// Sets the value at a path. The value is JSON text.
///
/// The rules are those of the library `sjson`: missing parents are created, a path with `#`, `*` or `?` changes only what
/// exists, and everything outside the value keeps its bytes.
pub(crate) fn set(document: &str, path: &str, value: &str) -> Result<String, JsonError> {
    if serde_json::from_str::<IgnoredAny>(document).is_err() {
        return Err(JsonError::Document);
    }
    match Path::parse(path)? {
        Path::Parts(parts) => {
            let (range, text) = edit(document, &parts, value)?;
            Ok(splice(document, [(range, text)]))
        }
        Path::Query(path) => {
            let ranges = query::select(document, &path)?;
            let edits = ranges.into_iter().map(|range| (range, value.to_owned()));
            Ok(splice(document, edits))
        }
    }
}

/// Replaces ranges that do not overlap and are in order.
fn splice(document: &str, edits: impl IntoIterator<Item = (Range<usize>, String)>) -> String {
    let mut result = String::with_capacity(document.len() + 64);
    let mut end = 0;
    for (range, text) in edits {
        result.push_str(&document[end..range.start]);
        result.push_str(&text);
        end = range.end;
    }
    result.push_str(&document[end..]);
    result
}

/// Returns the range to replace and its new text.
fn edit(document: &str, parts: &[Part], value: &str) -> Result<(Range<usize>, String), JsonError> {
    let mut node = scan::root(document);
    for (depth, part) in parts.iter().enumerate() {
        match scan::child(document, &node, &part.name) {
            Some(child) => node = child,
            None => return insert(document, node, &parts[depth..], value),
        }
    }
    Ok((node, value.to_owned()))
}

/// Adds what the first part names to a value that does not have it.
fn insert(
    document: &str,
    node: Range<usize>,
    parts: &[Part],
    value: &str,
) -> Result<(Range<usize>, String), JsonError> {
    let part = &parts[0];
    let index = part.index();
    // In an object, the first part is the name of a member.
    let is_member = document.as_bytes()[node.start] == b'{';
    let indexes = &parts[usize::from(is_member)..];
    if let Some(index) = indexes
        .iter()
        .filter_map(Part::index)
        .find(|index| *index > MAX_INDEX)
    {
        return Err(JsonError::Index(index));
    }
    let inner = build(&parts[1..], value);
    let before_end = node.end - 1..node.end - 1;
    match document.as_bytes()[node.start] {
        b'{' => {
            let comma = if scan::is_empty(document, &node) {
                ""
            } else {
                ","
            };
            Ok((
                before_end,
                format!("{comma}{}:{inner}", value::quote(&part.name)),
            ))
        }
        b'[' if part.is_append() => {
            let comma = if scan::is_empty(document, &node) {
                ""
            } else {
                ","
            };
            Ok((before_end, format!("{comma}{inner}")))
        }
        b'[' => {
            let index = index.ok_or_else(|| JsonError::NoIndex(part.name.clone()))?;
            let mut elements: Vec<&str> = scan::elements(document, &node)
                .map(|range| &document[range])
                .collect();
            elements.resize(index, "null");
            elements.push(&inner);
            Ok((node, format!("[{}]", elements.join(","))))
        }
        // A scalar is replaced. A minus one is the name of a member here.
        _ if index.is_some() => Ok((node, build(parts, value))),
        _ => Ok((node, format!("{{{}:{inner}}}", value::quote(&part.name)))),
    }
}

/// Builds the value below the parts.
fn build(parts: &[Part], value: &str) -> String {
    let (mut text, mut ends) = (String::new(), Vec::new());
    for part in parts {
        if part.is_append() || part.index().is_some() {
            text.push('[');
            text.push_str(&"null,".repeat(part.index().unwrap_or(0)));
            ends.push(']');
        } else {
            text.push('{');
            text.push_str(&value::quote(&part.name));
            text.push(':');
            ends.push('}');
        }
    }
    text.push_str(value);
    text.extend(ends.iter().rev());
    text
}

#[cfg(test)]
mod tests;
