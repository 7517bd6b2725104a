//! The profiles that the controller publishes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use stoker_api::{DesignerSessionPolicy, DriftPolicy, Mapping, SyncProfile};

/// The name that stands for an empty one.
const DEFAULT_NAME: &str = "default";

/// All published profiles by name. A profile that cannot be read does not affect the others.
#[derive(Debug, Clone)]
pub struct Profiles(Result<BTreeMap<String, Result<Profile, String>>, String>);

/// Which files a gateway gets, and how. The controller has applied the defaults of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile(SyncProfile);

/// A profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The text with all profiles is not JSON.
    #[error("the published profiles cannot be read: {0}")]
    Text(String),
    /// There is no profile with the name.
    #[error("there is no profile {0:?}")]
    Missing(String),
    /// The profile has a field of a wrong type or with an unknown value.
    #[error("the profile {name:?} cannot be read: {reason}")]
    Fields {
        /// The name of the profile.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl Profiles {
    /// Reads the value of `profiles` in the published ConfigMap: a JSON object with a profile for each name. An empty
    /// text and `null` contain no profiles. Unknown fields are ignored.
    #[must_use]
    pub fn parse(json: &str) -> Self {
        if json.trim().is_empty() {
            return Self(Ok(BTreeMap::new()));
        }
        let all: Result<Option<BTreeMap<String, Value>>, _> = serde_json::from_str(json);
        let all = all.map_err(|error| error.to_string());
        Self(all.map(|all| {
            let all = all.unwrap_or_default().into_iter();
            all.filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, Profile::parse(value)))
                .collect()
        }))
    }

    /// Finds a profile. An empty name stands for `default`.
    pub fn get(&self, name: &str) -> Result<&Profile, ProfileError> {
        let name = if name.is_empty() { DEFAULT_NAME } else { name };
        let all = self.0.as_ref();
        let all = all.map_err(|reason| ProfileError::Text(reason.clone()))?;
        match all.get(name) {
            Some(Ok(profile)) => Ok(profile),
            Some(Err(reason)) => Err(ProfileError::Fields {
                name: name.to_owned(),
                reason: reason.clone(),
            }),
            None => Err(ProfileError::Missing(name.to_owned())),
        }
    }
}

impl Profile {
    fn parse(mut value: Value) -> Result<Self, String> {
        remove_unset(&mut value);
        if let Value::Object(fields) = &mut value {
            fields
                .entry("mappings")
                .or_insert_with(|| Value::Array(Vec::new()));
        }
        let spec = serde_json::from_value(value);
        spec.map(Self).map_err(|error| error.to_string())
    }

    /// Returns the files to copy, in this order.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.0.mappings
    }

    /// Returns the patterns of files that are not copied, without those that always hold.
    #[must_use]
    pub fn exclude_patterns(&self) -> &[String] {
        &self.0.exclude_patterns
    }

    /// Returns the variables of the templates.
    #[must_use]
    pub fn vars(&self) -> &BTreeMap<String, String> {
        &self.0.vars
    }

    /// Returns the time between two syncs, or `None` if the profile does not set it.
    #[must_use]
    pub fn sync_period(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.0.sync_period?).ok()?;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Returns whether changes are only counted.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.0.dry_run.unwrap_or(false)
    }

    /// Returns whether nothing is synced.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.paused.unwrap_or(false)
    }

    /// Returns what happens while a designer is open.
    #[must_use]
    pub fn designer_session_policy(&self) -> DesignerSessionPolicy {
        self.0.designer_session_policy.unwrap_or_default()
    }

    /// Returns whether files that were changed on the gateway are written again.
    #[must_use]
    pub fn repairs_drift(&self) -> bool {
        self.0.drift_policy.unwrap_or_default() == DriftPolicy::Repair
    }

    /// Returns whether the gateway may start although the first sync failed.
    #[must_use]
    pub fn starts_without_sync(&self) -> bool {
        self.0.start_without_sync.unwrap_or(false)
    }

    /// Returns how many files one sync may delete without a confirmation, or `None` if the profile does not set it.
    #[must_use]
    pub fn max_deletes(&self) -> Option<usize> {
        usize::try_from(self.0.max_deletes?).ok()
    }
}

/// Removes fields that are `null` and words that are empty: both mean that the field is not set. A variable and a value
/// of a patch are texts, and `null` is an empty one.
fn remove_unset(profile: &mut Value) {
    remove_from(profile, &["designerSessionPolicy", "driftPolicy"]);
    null_to_text(profile, "vars");
    for mapping in items(profile, "mappings") {
        remove_from(mapping, &["type"]);
        for patch in items(mapping, "patches") {
            remove_from(patch, &[]);
            null_to_text(patch, "set");
        }
    }
}

fn remove_from(value: &mut Value, words: &[&str]) {
    if let Value::Object(fields) = value {
        fields.retain(|name, value| {
            let is_empty_word = words.contains(&name.as_str()) && value.as_str() == Some("");
            !value.is_null() && !is_empty_word
        });
    }
}

fn null_to_text(value: &mut Value, name: &str) {
    if let Some(Value::Object(fields)) = value.get_mut(name) {
        for value in fields.values_mut().filter(|value| value.is_null()) {
            *value = Value::String(String::new());
        }
    }
}

fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    let items = value.get_mut(name).and_then(Value::as_array_mut);
    items.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_profile_is_read() {
        let profiles = Profiles::parse(
            r#"{"edge":{"mappings":[{"source":"plants/{{.Vars.plant}}","destination":"config","required":true,
            "patches":[{"file":"net/*.json","set":{"host.name":"x"}}]}],"excludePatterns":["**/*.tmp"],"vars":{"plant":"p7"},
            "syncPeriod":45,"dryRun":true,"designerSessionPolicy":"wait","paused":true,"driftPolicy":"repair","maxDeletes":7}}"#,
        );
        let profile = profiles.get("edge").unwrap();
        assert_eq!(profile.mappings()[0].required, Some(true));
        assert_eq!(profile.exclude_patterns(), ["**/*.tmp"]);
        assert_eq!(profile.vars()["plant"], "p7");
        assert_eq!(profile.sync_period(), Some(Duration::from_secs(45)));
        assert!(profile.is_dry_run() && profile.is_paused() && profile.repairs_drift());
        assert_eq!(
            profile.designer_session_policy(),
            DesignerSessionPolicy::Wait
        );
        assert_eq!(profile.max_deletes(), Some(7));
    }

    #[test]
    fn a_bad_profile_does_not_affect_the_others() {
        let text = r#"{"default":{"mappings":[],"other":[1]},"null":null,"text":{"mappings":[],"syncPeriod":"30"},
            "half":{"mappings":[],"syncPeriod":1.5},"word":{"mappings":[{"source":"a","destination":"b","type":"link"}]},"list":[]}"#;
        let profiles = Profiles::parse(text);
        assert!(profiles.get("").is_ok());
        assert_eq!(
            profiles.get("null"),
            Err(ProfileError::Missing("null".to_owned()))
        );
        for name in ["text", "half", "word", "list"] {
            assert!(
                matches!(profiles.get(name), Err(ProfileError::Fields { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn no_text_has_no_profiles() {
        for text in ["", "  ", "null", "{}"] {
            let found = Profiles::parse(text).get("").cloned();
            assert_eq!(
                found,
                Err(ProfileError::Missing("default".to_owned())),
                "{text:?}"
            );
        }
        for text in ["{", "[]", r#"{"default":{"mappings":[]}} x"#] {
            assert!(
                matches!(Profiles::parse(text).get(""), Err(ProfileError::Text(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn unset_fields_have_their_defaults() {
        let text = r#"{"a":{"mappings":null,"vars":null,"syncPeriod":0,"designerSessionPolicy":"","maxDeletes":-1},
            "b":{"mappings":[{"source":"a","destination":"b","type":"","patches":null}],"syncPeriod":-5}}"#;
        let profiles = Profiles::parse(text);
        let a = profiles.get("a").unwrap();
        assert!(a.mappings().is_empty() && a.vars().is_empty());
        assert_eq!((a.sync_period(), a.max_deletes()), (None, None));
        assert_eq!(a.designer_session_policy(), DesignerSessionPolicy::Proceed);
        assert!(!a.repairs_drift() && !a.is_dry_run() && !a.is_paused());
        let b = profiles.get("b").unwrap();
        assert_eq!((b.mappings()[0].type_, b.sync_period()), (None, None));
    }

    #[test]
    fn an_empty_variable_or_value_stays_whatever_its_name_is() {
        let text = r#"{"a":{"vars":{"type":"","driftPolicy":"","designerSessionPolicy":"","none":null},
            "mappings":[{"source":"a","destination":"b","patches":[{"file":null,"set":{"type":"","driftPolicy":null}}]}]}}"#;
        let profiles = Profiles::parse(text);
        let profile = profiles.get("a").unwrap();
        let names: Vec<&str> = profile.vars().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["designerSessionPolicy", "driftPolicy", "none", "type"]
        );
        let patch = &profile.mappings()[0].patches[0];
        let set: Vec<_> = patch.set.iter().collect();
        assert_eq!(
            set.iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect::<Vec<_>>(),
            [("driftPolicy", ""), ("type", "")]
        );
    }
}
