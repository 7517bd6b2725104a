//! `stoker plugin new`, `build` and `test`.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{Ended, TARGET, author, built_plugin, ended, run};

/// Runs a command in a directory.
fn run_in(directory: &Path, arguments: &[&str]) -> Ended {
    ended(author(arguments).current_dir(directory))
}

/// A project with the component of a built-in plugin, and these payload files.
fn project(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let project = directory.path().join("shipit");
    fs::create_dir_all(project.join("payloads")).unwrap();
    for (name, text) in files {
        fs::write(project.join("payloads").join(name), text).unwrap();
    }
    fs::copy(built_plugin("shipit.wasm"), project.join("shipit.wasm")).unwrap();
    (directory, project)
}

const BUILT: &str = r#"{
  "description": "A build is no promotion.",
  "body": {"shipit": {"built":   {}}},
  "expect": {
    "ignored": "nothing was promoted"
  }
}
"#;
const WRONG: &str = r#"{
  "description": "Another tag than it has.",
  "settings": {"of": "nobody"},
  "expect": {"found": [{"ref": "v1"}]},
  "bodyText": "{\"shipit\": {\"promoted\": {\"version\": \"v2\"}}}"
}
"#;

#[test]
fn a_new_project_is_built_checked_and_passes() {
    let directory = TempDir::new().unwrap();
    let new = run_in(
        directory.path(),
        &["plugin", "new", "my-ci", "--lang", "rust"],
    );
    assert_eq!(new.code, 0, "{}", new.err);
    for expected in ["  wit/detect.wit", "stoker plugin build", "kubectl create"] {
        assert!(new.out.contains(expected), "{}", new.out);
    }

    let project = directory.path().join("my-ci");
    let build = run_in(&project, &["plugin", "build"]);
    assert_eq!(build.code, 0, "{}{}", build.out, build.err);
    for expected in [
        "my-ci.wasm can be used",
        "name:     my-ci",
        "it fits a ConfigMap",
    ] {
        assert!(build.out.contains(expected), "{}", build.out);
    }

    let test = run_in(&project, &["plugin", "test"]);
    assert_eq!(test.code, 0, "{}{}", test.out, test.err);
    assert!(test.out.contains(" 0 failed"), "{}", test.out);
    assert!(test.err.is_empty(), "it is not built again: {}", test.err);

    // The same module by way of a plugin.yaml, which comes first.
    let module = format!("{TARGET}/wasm32-unknown-unknown/release/stoker_plugin_my_ci.wasm");
    let yaml = format!("build: ['cp {module} out.bin']\noutput: out.bin\n");
    fs::write(project.join("plugin.yaml"), yaml).unwrap();
    let build = run_in(directory.path(), &["plugin", "build", "my-ci"]);
    assert_eq!(build.code, 0, "{}{}", build.out, build.err);
    assert!(build.err.contains("$ cp "), "{}", build.err);
    let core = run_in(&project, &["plugin", "check", "out.bin"]);
    assert_eq!(core.code, 1);
    assert!(core.out.contains("stoker plugin build"), "{}", core.out);
}

#[test]
fn a_plugin_may_rely_on_its_pre_filter() {
    let directory = TempDir::new().unwrap();
    let new = ["plugin", "new", "trusting", "--lang", "rust"];
    assert_eq!(run_in(directory.path(), &new).code, 0);
    let project = directory.path().join("trusting");
    let source = project.join("src/detect.rs");
    let detect = fs::read_to_string(&source).unwrap();
    let trusting = detect.replacen("return Ok(Outcome::NotMine)", "panic!()", 1);
    assert_ne!(detect, trusting);
    fs::write(&source, trusting).unwrap();

    let build = run_in(&project, &["plugin", "build"]);
    assert_eq!(build.code, 0, "{}{}", build.out, build.err);
    let check = run_in(&project, &["plugin", "check", "trusting.wasm"]);
    assert_eq!(check.code, 0, "{}{}", check.out, check.err);
    for expected in ["trusting.wasm can be used", "matches the pre-filter"] {
        assert!(check.out.contains(expected), "{}", check.out);
    }
    let test = run_in(&project, &["plugin", "test"]);
    assert_eq!(test.code, 0, "{}{}", test.out, test.err);

    // Without a pre-filter, a host would offer it every delivery.
    let library = project.join("src/lib.rs");
    let all = fs::read_to_string(&library).unwrap();
    let all = all.replace("vec![detect::POINTER.into()]", "Vec::new()");
    fs::write(&library, all).unwrap();
    let build = run_in(&project, &["plugin", "build"]);
    assert_eq!(build.code, 1, "{}", build.out);
    assert!(
        build.out.contains("can be loaded, but fails on a delivery"),
        "{}",
        build.out
    );
}

#[test]
fn a_directory_whose_name_is_not_plain_is_a_project() {
    let directory = TempDir::new().unwrap();
    let new = [
        "plugin",
        "new",
        "my-ci",
        "--lang",
        "c",
        "--dir",
        "my plugins/ü",
    ];
    let new = run_in(directory.path(), &new);
    assert_eq!(new.code, 0, "{}", new.err);
    assert!(new.out.contains("\n  cd 'my plugins/ü'\n"), "{}", new.out);
    assert!(
        new.out.contains("--from-file=my-ci.wasm=ü.wasm\n"),
        "{}",
        new.out
    );
    assert!(directory.path().join("my plugins/ü/detect.c").is_file());
}

#[test]
fn what_cannot_become_a_project_says_what_to_do() {
    let directory = TempDir::new().unwrap();
    let taken = directory.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("file"), "mine").unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    for (name, expected) in [
        ("My_CI", "lower-case letters"),
        ("../x", "lower-case letters"),
        ("taken", "not an empty directory"),
        ("file", "not an empty directory"),
    ] {
        let new = run_in(directory.path(), &["plugin", "new", name, "--lang", "rust"]);
        assert_eq!(new.code, 1, "{name}");
        assert!(new.err.contains(expected), "{}", new.err);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    for command in ["build", "test"] {
        let refused = run_in(directory.path(), &["plugin", command, "file"]);
        assert_eq!(refused.code, 1, "{command}");
        assert!(
            refused
                .err
                .contains("give the directory of a plugin project"),
            "{}",
            refused.err
        );
    }
}

#[test]
fn a_build_that_stops_names_what_stopped_it() {
    let directory = TempDir::new().unwrap();
    let build = |yaml: &str| {
        fs::write(directory.path().join("plugin.yaml"), yaml).unwrap();
        run_in(directory.path(), &["plugin", "build"])
    };
    for (yaml, expected) in [
        (
            "build: ['true', 'exit 3', 'touch later']\noutput: x",
            "exit code 3 at the line: exit 3",
        ),
        ("build: ['no-such-compiler']\noutput: x", "was not found"),
        ("build: ['true']\noutput: x", "did not make"),
        ("build: ['true']\noutput: .", "it is not a regular file"),
        (
            "build: ['mkfifo pipe']\noutput: pipe",
            "it is not a regular file",
        ),
        ("build: ['echo text > x']\noutput: x", "is not WebAssembly"),
        ("build: ['true']\noutptu: x", "is invalid"),
        // An empty core module.
        (
            r#"{build: ["printf '\\0asm\\1\\0\\0\\0' > x"], output: x}"#,
            "there is no directory `wit`",
        ),
        (
            r#"{build: ["printf '\\0asm\\1\\0\\0\\0' > x"], output: x, wit: nope}"#,
            "/nope: No such file",
        ),
    ] {
        let build = build(yaml);
        assert_eq!(build.code, 1, "{yaml}");
        assert!(build.err.contains(expected), "{yaml}: {}", build.err);
    }
    assert!(!directory.path().join("later").exists());
    let nowhere = TempDir::new().unwrap();
    let build = run_in(nowhere.path(), &["plugin", "build"]);
    assert!(build.err.contains("stoker plugin new"), "{}", build.err);
}

#[test]
fn a_payload_file_that_expects_something_else_fails_until_it_is_updated() {
    let (_directory, project) = project(&[("built.json", BUILT), ("wrong.json", WRONG)]);
    let report = project.join("report.xml");
    let test = run_in(&project, &["plugin", "test", "--junit", "report.xml"]);
    assert_eq!(test.code, 1, "{}", test.out);
    for expected in [
        "1 passed, 1 failed",
        "expect.found[0].ref\n    - \"v1\"\n    + \"v2\"\n",
    ] {
        assert!(test.out.contains(expected), "{}", test.out);
    }
    let report = fs::read_to_string(report).unwrap();
    for expected in [
        r#"<testsuite name="shipit" tests="2" skipped="0" errors="0" failures="1""#,
        "+ &quot;v2&quot;",
    ] {
        assert!(report.contains(expected), "{report}");
    }

    let update = run_in(&project, &["plugin", "test", "--update"]);
    assert_eq!(update.code, 0, "{}", update.out);
    assert!(
        update.out.contains("2 passed (1 updated), 0 failed"),
        "{}",
        update.out
    );
    let read = |name: &str| fs::read_to_string(project.join("payloads").join(name)).unwrap();
    assert_eq!(read("built.json"), BUILT);
    assert_eq!(read("wrong.json"), WRONG.replace("\"v1\"", "\"v2\""));
}

#[test]
fn what_cannot_be_tested_has_failed() {
    let (_directory, project) = project(&[
        ("none.json", "{}"),
        (
            "text.json",
            r#"{"description":"","bodyText":"no JSON","expect":{"notMine":true}}"#,
        ),
        ("open.json", r#"{"description":"","body":{"shipit":1}}"#),
    ]);
    let test = run_in(&project, &["plugin", "test", "--update"]);
    assert_eq!(test.code, 1, "{}", test.out);
    assert!(
        test.out.contains("2 passed (1 updated), 1 failed"),
        "{}",
        test.out
    );

    fs::write(project.join("shipit.wasm"), "no component").unwrap();
    let open = project.join("payloads/open.json");
    let failing =
        r#"{"description":"","body":1,"expect":{"failed":"it is not a WebAssembly component"}}"#;
    fs::write(&open, failing).unwrap();
    let test = run(&["plugin", "test", project.join("payloads").to_str().unwrap()]);
    assert!(test.out.contains("1 passed, 2 failed"), "{}", test.out);
    let line = test.out.lines().find(|line| line.contains("none.json"));
    assert!(line.unwrap().contains(" ERROR "), "{}", test.out);

    let empty = TempDir::new().unwrap();
    let test = run_in(empty.path(), &["plugin", "test"]);
    assert_eq!(test.code, 1);
    assert!(
        test.out.contains("there is no payload file"),
        "{}",
        test.out
    );
}
