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
fn an_unknown_policy_for_designers_does_not_fail_the_profile() {
    let text = r#"{"a":{"mappings":[],"designerSessionPolicy":"ask"},"b":{"mappings":[],"designerSessionPolicy":1}}"#;
    let profiles = Profiles::parse(text);
    let policy = profiles.get("a").unwrap().designer_session_policy();
    assert_eq!(policy, DesignerSessionPolicy::Proceed);
    let error = profiles.get("b").unwrap_err().to_string();
    assert!(
        error.starts_with("the profile \"b\" cannot be read: designerSessionPolicy: "),
        "{error}"
    );
}

#[test]
fn an_error_names_the_field() {
    for (profile, expected) in [
        (
            r#"{"mappings":[{"source":"a"}]}"#,
            "mappings[0]: missing field `destination`",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":"b"},{"destination":"b"}]}"#,
            "mappings[1]: missing field `source`",
        ),
        (
            r#"{"mappings":[{"source":5,"destination":"b"}]}"#,
            "mappings[0].source: invalid type: integer `5`, expected a string",
        ),
        (
            r#"{"vars":{"a":"1","port":8088}}"#,
            "vars.port: invalid type: integer `8088`, expected a string",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":"b","required":"yes"}]}"#,
            "mappings[0].required: invalid type: string \"yes\", expected a boolean",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":"b","patches":[{"set":{"x.y":true}}]}]}"#,
            "mappings[0].patches[0].set.x.y: invalid type: boolean `true`, expected a string",
        ),
        (
            r#"{"driftPolicy":"fix"}"#,
            "driftPolicy: unknown variant `fix`",
        ),
        ("[]", "it is not a profile"),
    ] {
        let value: Value = serde_json::from_str(profile).unwrap();
        let error = Profile::parse(value).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_file_has_only_fields_that_are_known() {
    let check = |text: &str| Profile::check(&serde_json::from_str(text).unwrap());
    for profile in [
        r#"{"mappings":[]}"#,
        r#"{"mappings":[{"source":"a","destination":"b","type":"dir","required":true,"template":false,
            "patches":[{"file":"*.json","set":{"any.thing":"1","no":""}}]}],"excludePatterns":["x"],
            "vars":{"anything":"1","empty":""},"syncPeriod":5,"dryRun":false,"paused":false,
            "designerSessionPolicy":"wait","driftPolicy":"repair","startWithoutSync":true,"maxDeletes":0}"#,
        r#"{"mappings":[{"source":"a","destination":"b","type":"","patches":[]}],"vars":{},"paused":null}"#,
    ] {
        assert_eq!(check(profile), Ok(()));
    }
    for (profile, expected) in [
        (
            r#"{"mapings":[{"source":"a"}]}"#,
            "mapings is not a field of a profile",
        ),
        (
            r#"{"mappings":[],"maxdeletes":0}"#,
            "maxdeletes is not a field of a profile",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":"b","requried":true}]}"#,
            "mappings[0].requried is not a field of a profile",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":"b","patches":[{"sets":{"a":"1"},"set":{}}]}]}"#,
            "mappings[0].patches[0].sets is not a field of a profile",
        ),
        (
            r#"{"apiVersion":"v1","spec":{"mappings":[]}}"#,
            "apiVersion is not a field of a profile",
        ),
        (
            r#"{"mappings":[],"designerSessionPolicy":"ask"}"#,
            "designerSessionPolicy: unknown variant",
        ),
        (
            r#"{"mappings":[],"maxDeletes":-1}"#,
            "maxDeletes: -1 is less than 0",
        ),
        (
            r#"{"mappings":[],"syncPeriod":4}"#,
            "syncPeriod: 4 is less than 5",
        ),
        (
            r#"{"mappings":[],"syncPeriod":3601}"#,
            "syncPeriod: 3601 is more than 3600",
        ),
        (
            r#"{"mappings":[{"source":"","destination":"b"}]}"#,
            "mappings[0].source: the path is empty",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":""}]}"#,
            "mappings[0].destination: the path is empty",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":"b","patches":[{"set":{}}]}]}"#,
            "mappings[0].patches[0].set: there are no values",
        ),
        ("{}", "it is not a profile"),
        (r#"{"mappings":null}"#, "it is not a profile"),
        ("[]", "it is not a profile"),
        (
            r#"{"mappings":[["a","b",null,null,null,[]]]}"#,
            "mappings[0] is not a mapping",
        ),
        (
            r#"{"mappings":[{"source":"a","destination":"b","patches":[["*.json",{}]]}]}"#,
            "mappings[0].patches[0] is not a patch",
        ),
        (
            r#"{"mappings":[],"exclude":[],"excludePatterns":[]}"#,
            "exclude is not a field of a profile",
        ),
        (
            r#"{"mappings":[{"source":5,"destination":"b"},{"source":5,"destination":"b"}]}"#,
            "mappings[0].source: invalid type",
        ),
    ] {
        let error = check(profile).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
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
