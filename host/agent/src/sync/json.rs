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
/// The largest number of objects and arrays in each other in a value.
const MAX_DEPTH: usize = 500;

/// The largest number of parts of a path.
const MAX_PARTS: usize = 500;
/// The number of bytes by which all patches of a document may make it larger.
const MAX_GROWTH: usize = 16 << 20;

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
    #[error("the value has more than {MAX_DEPTH} objects and arrays in each other")]
    Depth,
    #[error("the path has more than {MAX_PARTS} parts")]
    Parts,
    #[error("the result is more than {MAX_GROWTH} bytes larger than the file")]
    TooLarge,
}

/// A JSON document. Its strings may have bytes that are not UTF-8.
pub(crate) struct Document {
    bytes: Vec<u8>,
    /// The largest size that it may have.
    limit: usize,
}

impl Document {
    /// Checks a document.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, JsonError> {
        if !is_valid(&bytes) {
            return Err(JsonError::Document);
        }
        let limit = bytes.len().saturating_add(MAX_GROWTH);
        Ok(Self { bytes, limit })
    }

    /// Sets the value at a path. The value is the JSON of [`to_json`].
    ///
    /// The rules are those of the library `sjson`: missing parents are created, a path with `#`, `*` or `?` changes only
    /// what exists, and everything outside the value keeps its bytes.
    pub(crate) fn set(&mut self, path: &str, value: &str) -> Result<(), JsonError> {
        match Path::parse(path)? {
            Path::Parts(parts) => {
                // The elements that are added to arrays are `null`.
                let indexes = parts.iter().filter_map(Part::index);
                let added: usize = indexes.map(|index| index.min(MAX_INDEX) * 5).sum();
                self.check_growth(added.saturating_add(value.len()))?;
                let (range, text) = edit(&self.bytes, &parts, value)?;
                self.bytes.splice(range, text);
            }
            Path::Query(path) => {
                let ranges = query::select(&self.bytes, &path)?;
                let replaced: usize = ranges.iter().map(ExactSizeIterator::len).sum();
                let added = ranges.len().saturating_mul(value.len());
                self.check_growth(added.saturating_sub(replaced))?;
                self.replace(&ranges, value);
            }
        }
        Ok(())
    }

    /// Returns an error if the document cannot become larger by this number of bytes.
    fn check_growth(&self, added: usize) -> Result<(), JsonError> {
        if self.bytes.len().saturating_add(added) > self.limit {
            return Err(JsonError::TooLarge);
        }
        Ok(())
    }

    /// Replaces ranges that do not overlap and are in order.
    fn replace(&mut self, ranges: &[Range<usize>], value: &str) {
        if ranges.is_empty() {
            return;
        }
        let mut result = Vec::with_capacity(self.bytes.len() + ranges.len() * value.len());
        let mut end = 0;
        for range in ranges {
            result.extend_from_slice(&self.bytes[end..range.start]);
            result.extend_from_slice(value.as_bytes());
            end = range.end;
        }
        result.extend_from_slice(&self.bytes[end..]);
        self.bytes = result;
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn is_valid(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Returns the range to replace and its new text.
fn edit(
    document: &[u8],
    parts: &[Part],
    value: &str,
) -> Result<(Range<usize>, Vec<u8>), JsonError> {
    let mut node = scan::root(document);
    for (depth, part) in parts.iter().enumerate() {
        match scan::child(document, &node, &part.name) {
            Some(child) => node = child,
            None => return insert(document, node, &parts[depth..], value),
        }
    }
    Ok((node, value.as_bytes().to_vec()))
}

/// Adds what the first part names to a value that does not have it.
fn insert(
    document: &[u8],
    node: Range<usize>,
    parts: &[Part],
    value: &str,
) -> Result<(Range<usize>, Vec<u8>), JsonError> {
    let part = &parts[0];
    let index = part.index();
    // In an object, the first part is the name of a member.
    let is_member = document[node.start] == b'{';
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
    match document[node.start] {
        b'{' => {
            let comma = if scan::is_empty(document, &node) {
                ""
            } else {
                ","
            };
            Ok((
                before_end,
                format!("{comma}{}:{inner}", value::quote(&part.name)).into_bytes(),
            ))
        }
        b'[' if part.is_append() => {
            let comma = if scan::is_empty(document, &node) {
                ""
            } else {
                ","
            };
            Ok((before_end, format!("{comma}{inner}").into_bytes()))
        }
        b'[' => {
            let index = index.ok_or_else(|| JsonError::NoIndex(part.name.clone()))?;
            let mut elements: Vec<&[u8]> = scan::elements(document, &node)
                .map(|range| &document[range])
                .collect();
            elements.resize(index.max(elements.len()), b"null");
            elements.push(inner.as_bytes());
            let elements = elements.join(&b',');
            Ok((node, [b"[", elements.as_slice(), b"]"].concat()))
        }
        // A scalar is replaced. A minus one is the name of a member here.
        _ if index.is_some() => Ok((node, build(parts, value).into_bytes())),
        _ => Ok((
            node,
            format!("{{{}:{inner}}}", value::quote(&part.name)).into_bytes(),
        )),
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
