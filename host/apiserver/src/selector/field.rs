//! Field selectors: `path=value` and `path!=value`, for known paths.

use serde_json::Value;

use crate::status::Failure;

/// Paths that are allowed for every resource.
const ALWAYS: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// All requirements must match. Without requirements, every object matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone)]
struct Requirement {
    path: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    pub(crate) fn parse(
        text: &str,
        known: &[&str],
        alias: impl Fn(&str) -> String,
    ) -> Result<Self, Failure> {
        let mut requirements = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let mut requirement = Requirement::parse(part).ok_or_else(|| {
                Failure::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                ))
            })?;
            requirement.path = alias(&requirement.path);
            let path = requirement.path.as_str();
            if !ALWAYS.contains(&path) && !known.contains(&path) {
                return Err(Failure::bad_request(format!(
                    "field label not supported: {path}"
                )));
            }
            requirements.push(requirement);
        }
        Ok(Self { requirements })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.requirements
            .iter()
            .all(|one| (text_at(object, &one.path) == one.value) == one.equal)
    }
}

impl Requirement {
    fn parse(part: &str) -> Option<Self> {
        let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
            (path, value, false)
        } else {
            let (path, value) = part.split_once('=')?;
            (path, value.strip_prefix('=').unwrap_or(value), true)
        };
        Some(Self {
            path: path.trim().to_owned(),
            value: value.trim().to_owned(),
            equal,
        })
    }
}

/// The value at `path` as text. A missing field is an empty text, as in a typed object.
fn text_at(object: &Value, path: &str) -> String {
    // A selector names the reporter of an event by an older field.
    if path == "source" {
        let source = text_at(object, "source.component");
        return if source.is_empty() {
            text_at(object, "reportingComponent")
        } else {
            source
        };
    }
    match path.split('.').fold(object, |value, key| &value[key]) {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
