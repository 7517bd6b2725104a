use super::*;

const REQUIRED: &str =
    "repo: https://git.example/o/r.git\nref: main\nprofile: /p.yaml\ndata: /data\n";

#[test]
fn four_settings_are_enough() {
    let config = MachineConfig::parse(REQUIRED).unwrap();
    assert_eq!(config.git_ref.as_str(), "main");
    assert_eq!(config.state, PathBuf::from("/var/lib/stoker-agent"));
    assert_eq!(config.interval, Duration::from_mins(1));
    assert_eq!(config.gateway, None);
    assert_eq!(config.credentials, CredentialFiles::default());
}

#[test]
fn every_setting_is_read() {
    let more = "state: /s\nname: blue\nlabels: {site: north}\ninterval: 5m\nmaxFileMib: 7\n\
                auth: {sshKeyFile: /k, knownHostsFile: /h}\n\
                gateway: {port: 8043, tls: true, apiKeyFile: /a}\n\
                health: 127.0.0.1:8082\nmetrics: 127.0.0.1:8083\n";
    let config = MachineConfig::parse(&format!("{REQUIRED}{more}")).unwrap();
    assert_eq!(config.name, "blue");
    assert_eq!(config.labels["site"], "north");
    assert_eq!(config.interval, Duration::from_mins(5));
    assert_eq!(config.max_file_mib, Some(7));
    assert_eq!(config.credentials.known_hosts, Some("/h".into()));
    let gateway = config.gateway.unwrap();
    assert_eq!((gateway.port, gateway.tls), (8043, true));
    assert_eq!(gateway.key_file, Some("/a".into()));
    assert_eq!(config.health.unwrap().port(), 8082);
}

#[test]
fn what_is_wrong_is_named() {
    for (more, expected) in [
        (
            "interval: 1s\n",
            r#"interval "1s" is not a duration of 5 s or more"#,
        ),
        (
            "interval: soon\n",
            r#"interval "soon" is not a duration of 5 s or more"#,
        ),
        (
            "auth: {tokenFile: /t, sshKeyFile: /k}\n",
            "auth has a tokenFile and an sshKeyFile",
        ),
        ("portt: 1\n", " is invalid"),
        (
            "maxFileMib: 513\n",
            "maxFileMib 513 is not in the range of 1 to 512",
        ),
        (
            "maxFileMib: 99999\n",
            "maxFileMib 99999 is not in the range of 1 to 512",
        ),
        (
            "gateway: {port: 99999}\n",
            "gateway.port 99999 is not in the range of 1 to 65535",
        ),
        (
            "health: localhost:8082\n",
            r#"health "localhost:8082" is not an IP address with a port"#,
        ),
        (
            "metrics: 8083\n",
            r#"metrics "8083" is not an IP address with a port"#,
        ),
    ] {
        let error = MachineConfig::parse(&format!("{REQUIRED}{more}")).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let error = MachineConfig::parse(&format!("{REQUIRED}portt: 1\n")).unwrap_err();
    let error = stoker_report::chain(&error).to_string();
    assert!(error.contains("portt"), "{error}");
    for (settings, expected) in [
        (REQUIRED.replace("ref: main\n", ""), "missing field `ref`"),
        (format!("{REQUIRED}labels: [a]\n"), "expected"),
    ] {
        let error = MachineConfig::parse(&settings).unwrap_err();
        let error = stoker_report::chain(&error).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("-->") && !error.contains('|'), "{error}");
    }
    let error = MachineConfig::parse(&REQUIRED.replace("ref: main", "ref: a..b")).unwrap_err();
    assert_eq!(error.to_string(), "ref is invalid");
}

#[test]
fn a_profile_is_read_from_yaml_and_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profile");
    let expected = r#"{"default":{"mappings":[{"destination":"b","source":"a"}]}}"#;
    for text in [
        "mappings:\n- source: a\n  destination: b\n",
        r#"{"mappings": [{"source": "a", "destination": "b"}]}"#,
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(read_profile(&path).unwrap(), expected);
    }
    for (text, expected) in [
        ("- a\n", "it is not a profile"),
        (
            "vars: {}\n",
            "it is not a profile, which has the key mappings",
        ),
        (
            "mappings: [{source: a, dest: b}]\n",
            "mappings[0]: missing field `destination`; mappings[0].dest is not a field of a profile",
        ),
        (
            "mappings: []\nvars: {port: 8088}\n",
            "vars.port: invalid type: integer `8088`, expected a string",
        ),
        (
            "mappings: []\nmax_deletes: 0\n",
            "max_deletes is not a field of a profile",
        ),
        (
            "mappings: []\nmaxDeletes: -1\n",
            "maxDeletes: -1 is less than 0",
        ),
        (
            "mappings: []\nmappings: []\n",
            "duplicate mapping key `mappings` is not allowed",
        ),
        ("mappings: []\n---\nmappings: []\n", "single YAML document"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = stoker_report::chain(&read_profile(&path).unwrap_err()).to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(
            !error.contains("Options") && !error.contains("from_str"),
            "{error}"
        );
    }
}
