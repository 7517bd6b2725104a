//! Names the fields of a profile that are wrong.

use std::fmt::Write as _;

use serde::Deserialize as _;
use serde_json::Value;
use stoker_api::SyncProfile;

/// The beginning of the error about a field that must be there.
const MISSING: &str = "missing field";

/// A step from a value to one in it.
enum Key {
    Name(String),
    Index(usize),
}

/// Reads a profile. The error begins with the path of the field.
pub(super) fn read(profile: &mut Value) -> Result<SyncProfile, String> {
    if !profile.is_object() {
        return Err("it is not a profile, which has the key mappings".to_owned());
    }
    let error = match SyncProfile::deserialize(&*profile) {
        Ok(spec) => return Ok(spec),
        Err(error) => error.to_string(),
    };
    let mut path = Vec::new();
    while let Some(key) = next(profile, &path, &error) {
        path.push(key);
    }
    let path = text(&path);
    Err(if path.is_empty() {
        error
    } else {
        format!("{path}: {error}")
    })
}

/// Returns the path of a field that has a value and that the type does not have.
pub(super) fn unknown(given: &Value, spec: &SyncProfile) -> Option<String> {
    let known = serde_json::to_value(spec).ok()?;
    let mut path = Vec::new();
    find_unknown(given, &known, &mut path).then(|| text(&path))
}

/// Compares a value with what was understood of it.
fn find_unknown(given: &Value, known: &Value, path: &mut Vec<Key>) -> bool {
    let pairs: Vec<(Key, &Value, Option<&Value>)> = match given {
        Value::Object(fields) => {
            let fields = fields.iter();
            let pair = |(name, value)| (Key::Name(String::clone(name)), value, known.get(name));
            fields.map(pair).collect()
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let pair = |(index, value)| (Key::Index(index), value, known.get(index));
            items.map(pair).collect()
        }
        _ => return false,
    };
    for (key, value, known) in pairs {
        path.push(key);
        let is_found = match known {
            Some(known) => find_unknown(value, known, path),
            // A field that is not set is not written again.
            None => !is_unset(value),
        };
        if is_found {
            return true;
        }
        path.pop();
    }
    false
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns the part of a value that an error is about: without it, the error is another one.
fn next(profile: &mut Value, path: &[Key], error: &str) -> Option<Key> {
    let keys: Vec<Key> = match at(profile, path)? {
        Value::Object(fields) => fields.keys().cloned().map(Key::Name).collect(),
        Value::Array(items) => (0..items.len()).map(Key::Index).collect(),
        _ => Vec::new(),
    };
    keys.into_iter()
        .find(|key| is_cause(profile, path, key, error).unwrap_or(false))
}

fn is_cause(profile: &mut Value, path: &[Key], key: &Key, error: &str) -> Option<bool> {
    let parent = at(profile, path)?;
    let removed = match key {
        Key::Name(name) => parent.as_object_mut()?.remove(name)?,
        Key::Index(index) => parent.as_array_mut()?.remove(*index),
    };
    let is_single = !removed.is_object() && !removed.is_array();
    let other = SyncProfile::deserialize(&*profile).err();
    let other = other.map(|other| other.to_string());
    match (at(profile, path)?, key) {
        (Value::Object(fields), Key::Name(name)) => drop(fields.insert(name.clone(), removed)),
        (Value::Array(items), Key::Index(index)) => items.insert(*index, removed),
        _ => {}
    }
    if let Key::Name(name) = key
        && is_single
        && error.starts_with(MISSING)
        && other.as_ref() == Some(&format!("{MISSING} `{name}`"))
    {
        // Another field of the same value is missing.
        return Some(false);
    }
    Some(other.as_deref() != Some(error))
}

fn at<'a>(value: &'a mut Value, path: &[Key]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, key| match key {
        Key::Name(name) => value.get_mut(name),
        Key::Index(index) => value.get_mut(index),
    })
}

fn text(path: &[Key]) -> String {
    let mut text = String::new();
    for key in path {
        let dot = if text.is_empty() { "" } else { "." };
        // A string takes everything.
        let _ = match key {
            Key::Name(name) => write!(text, "{dot}{name}"),
            Key::Index(index) => write!(text, "[{index}]"),
        };
    }
    text
}
