//! The paths of values.

use super::{JsonError, MAX_PARTS};

/// A parsed path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// The names from the root.
    Parts(Vec<Part>),
    /// A path that selects existing values.
    Query(String),
}

/// One name in a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The name without escapes.
    pub(super) name: String,
    /// Whether a number is the name of a member, as in `:0`.
    pub(super) is_name: bool,
}

impl Part {
    /// Returns the position in an array. Where an array is made, an empty name is the first one.
    pub(super) fn index(&self) -> Option<usize> {
        let is_number = self.name.bytes().all(|byte| byte.is_ascii_digit());
        if self.is_name || !is_number {
            return None;
        }
        if self.name.is_empty() {
            return Some(0);
        }
        Some(self.name.parse().unwrap_or(usize::MAX))
    }

    /// Returns whether the part means the place after the last element.
    pub(super) fn is_append(&self) -> bool {
        !self.is_name && self.name == "-1"
    }
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, JsonError> {
        if text.is_empty() {
            return Err(JsonError::EmptyPath);
        }
        // The parts of queries count too, because each part is a level of the search.
        if text.split('.').count() > MAX_PARTS {
            return Err(JsonError::Parts);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let is_name = rest.starts_with(':');
            let mut name = String::new();
            let mut characters = rest[usize::from(is_name)..].char_indices();
            let mut next = None;
            while let Some((at, character)) = characters.next() {
                match character {
                    '.' => {
                        next = Some(usize::from(is_name) + at + 1);
                        break;
                    }
                    '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
                    '|' | '#' | '@' | '*' | '?' => return Ok(Self::Query(text.to_owned())),
                    other => name.push(other),
                }
            }
            parts.push(Part { name, is_name });
            match next {
                Some(next) => rest = &rest[next..],
                None => return Ok(Self::Parts(parts)),
            }
        }
    }
}
