//! Reads the fields of a profile, and names those that are wrong.

use std::fmt::Write as _;

use serde_ignored::Path;
use serde_json::Value;
use stoker_api::SyncProfile;

/// Reads a profile, and the paths of the fields that it does not have. The error begins with the path of the field.
pub(super) fn read(profile: &Value) -> Result<(SyncProfile, Vec<String>), String> {
    if let Some(error) = list_in_place_of_fields(profile) {
        return Err(error);
    }
    let mut unknown = Vec::new();
    let mut note = |path: Path<'_>| unknown.push(text(&path));
    let profile = serde_ignored::Deserializer::new(profile, &mut note);
    match serde_path_to_error::deserialize(profile) {
        Ok(profile) => Ok((profile, unknown)),
        Err(error) if error.path().iter().next().is_none() => Err(error.into_inner().to_string()),
        // A required field that is missing may be there under another name.
        Err(error) => Err(match unknown.last() {
            Some(field) => format!("{error}; {field} is not a field of a profile"),
            None => error.to_string(),
        }),
    }
}

/// Checks the limits that the definition of the object has.
pub(super) fn check_limits(profile: &SyncProfile) -> Result<(), String> {
    let numbers = [
        ("syncPeriod", profile.sync_period.map(i64::from), 5..=3600),
        ("maxDeletes", profile.max_deletes, 0..=i64::MAX),
    ];
    for (name, number, range) in numbers {
        let Some(number) = number else {
            continue;
        };
        if number < *range.start() {
            return Err(format!("{name}: {number} is less than {}", range.start()));
        }
        if number > *range.end() {
            return Err(format!("{name}: {number} is more than {}", range.end()));
        }
    }
    for (index, mapping) in profile.mappings.iter().enumerate() {
        let at = format!("mappings[{index}]");
        for (name, path) in [
            ("source", &mapping.source),
            ("destination", &mapping.destination),
        ] {
            if path.is_empty() {
                return Err(format!("{at}.{name}: the path is empty"));
            }
        }
        if let Some(patch) = mapping
            .patches
            .iter()
            .position(|patch| patch.set.is_empty())
        {
            return Err(format!("{at}.patches[{patch}].set: there are no values"));
        }
    }
    Ok(())
}

/// Returns an error about a list where fields are required. The type would also take a list of their values.
fn list_in_place_of_fields(profile: &Value) -> Option<String> {
    if !profile.is_object() {
        return Some("it is not a profile, which has the key mappings".to_owned());
    }
    for (index, mapping) in items(profile, "mappings") {
        if mapping.is_array() {
            return Some(format!(
                "mappings[{index}] is not a mapping, which has the keys source and destination"
            ));
        }
        if let Some((patch, _)) = items(mapping, "patches").find(|(_, patch)| patch.is_array()) {
            return Some(format!(
                "mappings[{index}].patches[{patch}] is not a patch, which has the key set"
            ));
        }
    }
    None
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    let items = value.get(name).and_then(Value::as_array);
    items.into_iter().flatten().enumerate()
}

/// Writes a path as the errors about wrong fields do.
fn text(path: &Path<'_>) -> String {
    let (parent, step) = match path {
        Path::Root => return String::new(),
        Path::Seq { parent, index } => (parent, Err(index)),
        Path::Map { parent, key } => (parent, Ok(key)),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => return text(parent),
    };
    let mut text = text(parent);
    let dot = if text.is_empty() { "" } else { "." };
    // A string takes everything.
    let _ = match step {
        Ok(name) => write!(text, "{dot}{name}"),
        Err(index) => write!(text, "[{index}]"),
    };
    text
}
