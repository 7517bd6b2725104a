use std::time::Duration;

use super::*;

fn parse(text: &str) -> Result<Settings, SettingsError> {
    Settings::parse(text, &Limits::default())
}

#[test]
fn what_is_not_set_stays_as_it_is() {
    let nothing = [
        "",
        "{}",
        "---",
        "null",
        "# none",
        "limits:",
        "limits: {}",
        "plugins:",
        "plugins: {}",
    ];
    for text in nothing {
        assert_eq!(parse(text).unwrap(), Settings::default(), "{text:?}");
    }
}

#[test]
fn a_plugin_differs_from_all_and_all_differ_from_the_defaults() {
    let settings = parse(
        "pluginsPerDirectory: 7\nlimits: {wallTime: 20ms, memory: 8Mi}\nplugins:\n  acme:\n    limits: {memory: 32MiB, transfer: 65536, componentSize: 20Mi, logLines: 0, logBytes: 1Ki, refs: 3, concurrentCalls: 2}\n    settings: {ref: /build/tag, count: \"3\"}\n  other:\n    enabled: false\n",
    )
    .unwrap();
    assert_eq!(settings.files_per_directory(), 7);
    let acme = settings.tuning("acme");
    assert!(acme.enabled && acme.settings["ref"] == "/build/tag" && acme.settings["count"] == "3");
    let expected = Limits {
        wall_time: Duration::from_millis(20),
        memory_bytes: 32 << 20,
        transfer_bytes: 64 << 10,
        component_bytes: 20 << 20,
        log_lines: 0,
        log_bytes: 1 << 10,
        detections: 3,
        concurrent_calls: 2,
    };
    assert_eq!(acme.limits, expected);
    assert!(!settings.tuning("other").enabled);
    let anybody = settings.tuning("anybody");
    assert_eq!(anybody.limits.memory_bytes, 8 << 20);
    assert_eq!(settings.keys().collect::<Vec<_>>(), ["acme", "other"]);
}

#[test]
fn an_entry_may_be_empty() {
    for text in ["plugins: {a: }", "plugins: {a: {settings: , limits: }}"] {
        let settings = parse(text).unwrap();
        assert_eq!(**settings.tuning("a"), Tuning::default(), "{text}");
    }
}

#[test]
fn an_error_does_not_show_the_settings_beside_it() {
    let why = parse("plugins:\n  a:\n    settings: {token: s3cr3t}\n    limit: {}\n");
    let why = why.unwrap_err().to_string();
    assert!(why.contains("limit") && !why.contains("s3cr3t"), "{why}");
}

#[test]
fn an_error_names_its_place() {
    for (text, word) in [
        ("limit: {}", "limit"),
        ("limits: {walltime: 1s}", "walltime"),
        ("limits: {wallTime: soon}", "duration"),
        ("limits: {wallTime: 0ms}", "limits.wallTime"),
        ("limits: {wallTime: 1h}", "5000ms"),
        (
            "plugins: {x: {limits: {memory: 1Gi}}}",
            "plugins.x.limits.memory",
        ),
        (
            "plugins: {x: {limits: {concurrentCalls: 0}}}",
            "concurrentCalls",
        ),
        ("plugins: {x: {settings: [a]}}", "settings"),
        ("pluginsPerDirectory: 0", "pluginsPerDirectory"),
        ("- a", "a"),
    ] {
        let why = parse(text).unwrap_err().to_string();
        assert!(why.contains(word), "{text:?}: {why}");
    }
}

#[tokio::test]
async fn a_file_that_turns_wrong_leaves_what_was_in_force() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("plugins.yaml");
    let source = SettingsSource {
        file: Some(file.clone()),
        limits: Limits::default(),
    };
    assert!(CurrentSettings::open(source.clone()).is_err());
    std::fs::write(&file, "plugins: {a: {enabled: false}}").unwrap();
    let mut current = CurrentSettings::open(source).unwrap();
    assert!(current.refresh().await.is_none());

    std::fs::write(&file, "plugins: [").unwrap();
    assert!(matches!(
        current.refresh().await,
        Some(Err(SettingsError::Format { .. }))
    ));
    assert!(!current.get().tuning("a").enabled);
    assert!(
        current.refresh().await.is_none(),
        "what is wrong stays wrong"
    );
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(
        current.refresh().await,
        Some(Err(SettingsError::Unreadable { .. }))
    ));
    assert!(current.refresh().await.is_none(), "reported once");
    // Nobody writes to the pipe.
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    let Some(Err(SettingsError::Unreadable { source, .. })) = current.refresh().await else {
        panic!("the pipe was read");
    };
    assert_eq!(source.to_string(), "it is not a regular file");
    std::fs::remove_file(&file).unwrap();

    std::fs::write(&file, "{}").unwrap();
    assert!(matches!(current.refresh().await, Some(Ok(()))));
    assert!(current.get().tuning("a").enabled);
}
