//! The subset of `JSONPath` that printer columns use.
//!
//! Fields (`.a`, `['a']`), indexes, wildcards, and filters that compare a field of a list's item
//! with a string or number. Slices, unions, recursive descent and scripts are refused, and named in the message.

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

/// The reason why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathError {
    /// The path is valid, but not in the supported subset.
    Unimplemented(&'static str),
    /// The path is invalid.
    Invalid(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter {
        field: JsonPath,
        equal: bool,
        literal: Value,
    },
}

impl JsonPath {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let invalid = || PathError::Invalid(format!("{text:?} is no JSONPath"));
        let mut steps = Vec::new();
        let mut rest = text.trim().strip_prefix('$').unwrap_or(text.trim());
        while !rest.is_empty() {
            if rest.starts_with("..") {
                return Err(PathError::Unimplemented("recursive descent in a JSONPath"));
            } else if let Some(after) = rest.strip_prefix('.') {
                let (name, remaining) = name(after);
                match name.as_str() {
                    // A single dot means the whole object.
                    "" if remaining.is_empty() || remaining.starts_with('[') => {}
                    "" => return Err(invalid()),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                rest = remaining;
            } else if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after).ok_or_else(invalid)?;
                steps.push(bracket(&after[..end]).map_err(|error| error.unwrap_or_else(invalid))?);
                rest = &after[end + 1..];
            } else {
                return Err(invalid());
            }
        }
        Ok(Self { steps })
    }

    /// All values at the path.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        self.steps.iter().fold(vec![value], |found, step| {
            found
                .into_iter()
                .flat_map(|value| step.follow(value))
                .collect()
        })
    }
}

impl Step {
    fn follow<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Field(name), _) => value.get(name).into_iter().collect(),
            (Self::Index(index), Value::Array(list)) => {
                let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
                let index = if *index < 0 { index + length } else { *index };
                usize::try_from(index)
                    .ok()
                    .and_then(|index| list.get(index))
                    .into_iter()
                    .collect()
            }
            (Self::All, Value::Array(list)) => list.iter().collect(),
            (Self::All, Value::Object(object)) => object.values().collect(),
            (
                Self::Filter {
                    field,
                    equal,
                    literal,
                },
                Value::Array(list),
            ) => list
                .iter()
                .filter(|item| {
                    field
                        .find(item)
                        .first()
                        .is_some_and(|found| (*found == literal) == *equal)
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Reads a field name up to the next unescaped dot or bracket.
fn name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(letter),
        }
    }
    (name, "")
}

/// The position of the bracket that closes the one at the start of `text`. Quoted brackets do not count.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (1, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Parses the content of brackets. `Err(None)` means an invalid path.
fn bracket(text: &str) -> Result<Step, Option<PathError>> {
    let text = text.trim();
    if text == "*" {
        return Ok(Step::All);
    }
    if let Some(inner) = text
        .strip_prefix("?(")
        .and_then(|inner| inner.strip_suffix(')'))
    {
        return filter(inner);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Field(name.to_owned()));
    }
    if text.contains(':') {
        return Err(Some(PathError::Unimplemented("slices in a JSONPath")));
    }
    if text.contains(',') {
        return Err(Some(PathError::Unimplemented("unions in a JSONPath")));
    }
    text.parse().map(Step::Index).map_err(|_| None)
}

fn filter(text: &str) -> Result<Step, Option<PathError>> {
    let (left, right, equal) = if let Some((left, right)) = text.split_once("==") {
        (left, right, true)
    } else if let Some((left, right)) = text.split_once("!=") {
        (left, right, false)
    } else {
        return Err(Some(PathError::Unimplemented(
            "filters other than == and != in a JSONPath",
        )));
    };
    let field = left.trim().strip_prefix('@').ok_or(None)?;
    let field = JsonPath::parse(field).map_err(Some)?;
    let right = right.trim();
    let literal = match quoted(right) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(right).map_err(|_| None)?,
    };
    Ok(Step::Filter {
        field,
        equal,
        literal,
    })
}

fn quoted(text: &str) -> Option<&str> {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}
