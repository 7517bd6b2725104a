//! The profiles as the agents read them, and their validation. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use stoker_api::names::DEFAULT_PROFILE;
use stoker_api::{
    DesignerSessionPolicy, DriftPolicy, Mapping, MappingType, SyncDefaults, SyncProfile, SyncSpec,
};

/// One profile with the defaults applied. Agents compare the whole text, and sync again if a byte differs, so the order
/// of the fields and the omitted fields are part of the format.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Published<'a> {
    mappings: Vec<PublishedMapping<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude_patterns: Vec<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    vars: BTreeMap<&'a str, &'a str>,
    sync_period: i32,
    dry_run: bool,
    designer_session_policy: DesignerSessionPolicy,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_policy: Option<DriftPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_deletes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_without_sync: Option<bool>,
}

#[derive(Serialize)]
struct PublishedMapping<'a> {
    source: &'a str,
    destination: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_: Option<MappingType>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    template: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<PublishedPatch<'a>>,
}

#[derive(Serialize)]
struct PublishedPatch<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    set: &'a BTreeMap<String, String>,
}

/// All profiles as one JSON text: compact, with names in byte order, and with the characters escaped that Go escapes
/// for HTML.
pub(super) fn to_json(sync: &SyncSpec) -> Result<String, serde_json::Error> {
    let defaults = sync.defaults.clone().unwrap_or_default();
    let profiles: BTreeMap<_, _> = sync
        .profiles
        .iter()
        .map(|(name, profile)| (name, publish(profile, &defaults)))
        .collect();
    Ok(escape(&serde_json::to_string(&profiles)?))
}

fn publish<'a>(profile: &'a SyncProfile, defaults: &'a SyncDefaults) -> Published<'a> {
    let texts = |map: &'a BTreeMap<String, String>| {
        map.iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    };
    Published {
        mappings: profile.mappings.iter().map(publish_mapping).collect(),
        exclude_patterns: defaults
            .exclude_patterns
            .iter()
            .chain(&profile.exclude_patterns)
            .map(String::as_str)
            .collect(),
        vars: texts(&defaults.vars).chain(texts(&profile.vars)).collect(),
        sync_period: sync_period(profile, defaults),
        dry_run: profile.dry_run.or(defaults.dry_run).unwrap_or(false),
        designer_session_policy: profile
            .designer_session_policy
            .unwrap_or(defaults.designer_session_policy),
        paused: is_paused(profile, defaults),
        drift_policy: profile.drift_policy,
        max_deletes: profile.max_deletes,
        start_without_sync: profile.start_without_sync,
    }
}

fn sync_period(profile: &SyncProfile, defaults: &SyncDefaults) -> i32 {
    match profile.sync_period.unwrap_or(defaults.sync_period) {
        0 => SyncDefaults::default().sync_period,
        seconds => seconds,
    }
}

fn is_paused(profile: &SyncProfile, defaults: &SyncDefaults) -> bool {
    profile.paused.or(defaults.paused).unwrap_or(false)
}

/// Returns the time between two syncs of an agent with this profile, or `None` if it does not sync: the profile does not
/// exist, or it is paused. Agents without a profile use the one with the name `default`.
pub(super) fn period(sync: &SyncSpec, name: Option<&str>) -> Option<Duration> {
    let defaults = sync.defaults.clone().unwrap_or_default();
    let profile = sync.profiles.get(name.unwrap_or(DEFAULT_PROFILE))?;
    if is_paused(profile, &defaults) {
        return None;
    }
    let seconds = u64::try_from(sync_period(profile, &defaults)).unwrap_or_default();
    Some(Duration::from_secs(seconds))
}

fn publish_mapping(mapping: &Mapping) -> PublishedMapping<'_> {
    PublishedMapping {
        source: &mapping.source,
        destination: &mapping.destination,
        type_: mapping.type_,
        required: mapping.required.unwrap_or(false),
        template: mapping.template.unwrap_or(false),
        patches: mapping
            .patches
            .iter()
            .map(|patch| PublishedPatch {
                file: patch.file.as_deref().unwrap_or_default(),
                set: &patch.set,
            })
            .collect(),
    }
}

/// In JSON, these characters occur only in strings, so they can be replaced everywhere.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Validates the profiles. The faults have the words of the Go operator, which alerts and tests may look for.
///
/// # Errors
///
/// Returns all faults, each with the path of its field.
pub(super) fn check(sync: &SyncSpec) -> Result<(), String> {
    let mut faults = Vec::new();
    if let Some(defaults) = &sync.defaults {
        check_vars("spec.sync.defaults", &defaults.vars, &mut faults);
    }
    for (name, profile) in &sync.profiles {
        let path = format!("spec.sync.profiles[{name}]");
        check_vars(&path, &profile.vars, &mut faults);
        for (index, mapping) in profile.mappings.iter().enumerate() {
            for (field, value) in [
                ("source", &mapping.source),
                ("destination", &mapping.destination),
            ] {
                if let Some(fault) = path_fault(value) {
                    faults.push(format!(
                        "{path}.mappings[{index}].{field}: {fault} ({value:?})"
                    ));
                }
            }
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("; "))
    }
}

fn check_vars(path: &str, vars: &BTreeMap<String, String>, faults: &mut Vec<String>) {
    for key in vars.keys().filter(|key| !is_identifier(key)) {
        faults.push(format!("{path}.vars: key {key:?} is not a valid identifier (letters, digits and underscores, not beginning with a digit)"));
    }
}

fn is_identifier(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn path_fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        Some("absolute paths not allowed")
    } else if path.split('/').any(|part| part == "..") {
        Some("path traversal (..) not allowed")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sync(value: serde_json::Value) -> SyncSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_text_is_the_one_that_agents_compare() {
        let sync = sync(json!({
            "defaults": {"excludePatterns": ["**/.git/"], "vars": {}, "designerSessionPolicy": "proceed"},
            "profiles": {"edge": {
                "mappings": [{
                    "source": "plants/{{.Vars.plant}}", "destination": "config", "required": true,
                    "patches": [{"file": "net/*.json", "set": {"host.name": "{{.GatewayName}}"}}],
                }],
                "excludePatterns": ["**/*.tmp"], "vars": {"plant": "p7"}, "syncPeriod": 45, "designerSessionPolicy": "wait",
            }},
        }));
        let expected = concat!(
            r#"{"edge":{"mappings":[{"source":"plants/{{.Vars.plant}}","destination":"config","required":true,"#,
            r#""patches":[{"file":"net/*.json","set":{"host.name":"{{.GatewayName}}"}}]}],"#,
            r#""excludePatterns":["**/.git/","**/*.tmp"],"vars":{"plant":"p7"},"syncPeriod":45,"dryRun":false,"#,
            r#""designerSessionPolicy":"wait","paused":false}}"#,
        );
        assert_eq!(to_json(&sync).unwrap(), expected);
    }

    #[test]
    fn the_default_defaults_apply_to_an_object_without_defaults() {
        let sync = sync(
            json!({"profiles": {"p": {"mappings": [{"source": "a", "destination": "b", "type": "file"}]}}}),
        );
        let expected = concat!(
            r#"{"p":{"mappings":[{"source":"a","destination":"b","type":"file"}],"#,
            r#""excludePatterns":["**/.git/","**/.gitkeep","**/.resources/**"],"syncPeriod":30,"dryRun":false,"#,
            r#""designerSessionPolicy":"proceed","paused":false}}"#,
        );
        assert_eq!(to_json(&sync).unwrap(), expected);
    }

    #[test]
    fn a_profile_overrides_the_defaults() {
        let sync = sync(json!({
            "defaults": {"excludePatterns": [], "vars": {"a": "1", "b": "2"}, "syncPeriod": 60, "dryRun": true, "paused": true},
            "profiles": {
                "z": {"mappings": [], "vars": {"b": "3"}, "dryRun": false, "paused": false},
                "a": {"mappings": []},
            },
        }));
        let expected = concat!(
            r#"{"a":{"mappings":[],"vars":{"a":"1","b":"2"},"syncPeriod":60,"dryRun":true,"designerSessionPolicy":"proceed","paused":true},"#,
            r#""z":{"mappings":[],"vars":{"a":"1","b":"3"},"syncPeriod":60,"dryRun":false,"designerSessionPolicy":"proceed","paused":false}}"#,
        );
        assert_eq!(to_json(&sync).unwrap(), expected);
    }

    #[test]
    fn fields_that_only_this_agent_knows_are_published_if_they_are_set() {
        let sync = sync(json!({
            "defaults": {"excludePatterns": []},
            "profiles": {"p": {"mappings": [], "driftPolicy": "repair", "maxDeletes": 0, "startWithoutSync": true}},
        }));
        let expected = concat!(
            r#"{"p":{"mappings":[],"syncPeriod":30,"dryRun":false,"designerSessionPolicy":"proceed","paused":false,"#,
            r#""driftPolicy":"repair","maxDeletes":0,"startWithoutSync":true}}"#,
        );
        assert_eq!(to_json(&sync).unwrap(), expected);
    }

    #[test]
    fn characters_with_a_meaning_in_html_are_escaped() {
        let sync = sync(json!({
            "defaults": {"excludePatterns": []},
            "profiles": {"<p>": {"mappings": [{"source": "a&b\u{2028}\u{2029}\"\\\n\u{1}\u{8}\u{c}\u{7f}\u{e9}", "destination": "b"}]}},
        }));
        let expected = concat!(
            r#"{"\u003cp\u003e":{"mappings":[{"source":"a\u0026b\u2028\u2029\"\\\n\u0001\b\f"#,
            "\u{7f}\u{e9}",
            r#"","destination":"b"}],"syncPeriod":30,"dryRun":false,"designerSessionPolicy":"proceed","paused":false}}"#,
        );
        assert_eq!(to_json(&sync).unwrap(), expected);
    }

    #[test]
    fn every_fault_has_the_path_of_its_field() {
        let sync = sync(json!({
            "defaults": {"vars": {"ok_1": "", "1x": ""}},
            "profiles": {"p": {
                "mappings": [{"source": "/etc", "destination": "a/../b"}, {"source": "a..b", "destination": "..c/d."}],
                "vars": {"a-b": "", "": ""},
            }},
        }));
        let faults = check(&sync).unwrap_err();
        let expected = [
            r#"spec.sync.defaults.vars: key "1x" is not a valid identifier ("#,
            r#"spec.sync.profiles[p].vars: key "" is not a valid identifier ("#,
            r#"spec.sync.profiles[p].vars: key "a-b" is not a valid identifier ("#,
            r#"spec.sync.profiles[p].mappings[0].source: absolute paths not allowed ("/etc")"#,
            r#"spec.sync.profiles[p].mappings[0].destination: path traversal (..) not allowed ("a/../b")"#,
        ];
        assert_eq!(faults.split("; ").count(), expected.len(), "{faults}");
        for (fault, expected) in faults.split("; ").zip(expected) {
            assert!(fault.starts_with(expected), "{fault}");
        }
    }
}
