//! The profiles that the controller publishes.

mod fields;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::Value;
use stoker_api::messages;
use stoker_api::names::DEFAULT_PROFILE;
use stoker_api::{DesignerSessionPolicy, DriftPolicy, Mapping, SyncProfile};

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
    #[error("{}", messages::missing_profile(.0))]
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
        let name = if name.is_empty() {
            DEFAULT_PROFILE
        } else {
            name
        };
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
        add_mappings(&mut value);
        ignore_unknown_policy(&mut value);
        fields::read(&value).map(|(profile, _)| Self(profile))
    }

    /// Checks a profile that a person wrote into a file. Unlike a published one, it has no version of Stoker between the
    /// person and the agent that could know more fields.
    ///
    /// # Errors
    ///
    /// Fails with the path of a field that is unknown or has a wrong value, which the API server would refuse, and if
    /// there are no mappings.
    pub(crate) fn check(value: &Value) -> Result<(), String> {
        let mut read = value.clone();
        remove_unset(&mut read);
        let has_mappings = read.get("mappings").is_some();
        add_mappings(&mut read);
        let (profile, unknown) = fields::read(&read)?;
        if let Some(field) = unknown.first() {
            return Err(format!("{field} is not a field of a profile"));
        }
        fields::check_limits(&profile)?;
        if has_mappings {
            Ok(())
        } else {
            Err("it is not a profile, which has the key mappings".to_owned())
        }
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

/// Adds an empty list of mappings to a profile without one.
fn add_mappings(profile: &mut Value) {
    if let Value::Object(fields) = profile {
        let mappings = fields.entry("mappings");
        mappings.or_insert_with(|| Value::Array(Vec::new()));
    }
}

/// Removes a policy that a later version of the object may have.
fn ignore_unknown_policy(profile: &mut Value) {
    const NAME: &str = "designerSessionPolicy";
    let policy = profile.get(NAME).filter(|policy| policy.is_string());
    if let Some(policy) = policy
        && DesignerSessionPolicy::deserialize(policy).is_err()
    {
        tracing::warn!(%policy, "the designerSessionPolicy is unknown and counts as proceed");
        if let Value::Object(fields) = profile {
            fields.remove(NAME);
        }
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
mod tests;
