//! `stoker plugin list`, `check` and `run`.

use tempfile::TempDir;

use crate::support::{built_plugin, file, run};

#[test]
fn plugins_are_listed_in_the_order_in_which_they_are_asked() {
    let directory = TempDir::new().unwrap();
    std::fs::copy(
        built_plugin("shipit.wasm"),
        directory.path().join("shipit.wasm"),
    )
    .unwrap();
    let dir = directory.path().to_str().unwrap().to_owned();
    let list = run(&["plugin", "list", "--plugin-dir", &dir]);
    assert_eq!(list.code, 0, "{}", list.err);
    let names: Vec<_> = list
        .out
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        names,
        [
            "shipit",
            "gitea",
            "github",
            "gitlab",
            "bitbucket",
            "azure-devops",
            "registry",
            "cloudevents",
            "argocd",
            "kargo",
            "generic"
        ]
    );

    file(&directory, "broken.wasm", "no component");
    let list = run(&["plugin", "list", "--plugin-dir", &dir]);
    assert_eq!(list.code, 1);
    assert!(
        list.out.contains("broken.wasm: cannot be used: "),
        "{}",
        list.out
    );
    assert!(list.out.contains("\nshipit "), "{}", list.out);
}

#[test]
fn a_plugin_is_checked_and_asked() {
    let github = built_plugin("github.wasm");
    let check = run(&["plugin", "check", &github]);
    assert_eq!(check.code, 0, "{}", check.err);
    for expected in [
        "can be used",
        "world:    stoker:detect/payload-detector@0.1.0",
        "imports:  stoker:detect/payload@0.1.0",
        "asked on: header x-github-event",
        "as base64: it fits a ConfigMap",
        "on {}:    malformed: /release/tag_name is missing (",
    ] {
        assert!(check.out.contains(expected), "{}", check.out);
    }

    let directory = TempDir::new().unwrap();
    let body = file(&directory, "push.json", r#"{"ref":"refs/tags/v1"}"#);
    let ask = |event: &str| {
        let header = format!("X-GitHub-Event={event}");
        run(&[
            "plugin", "run", &github, "--header", &header, "--body", &body,
        ])
    };
    let push = ask("push");
    assert_eq!(push.code, 0, "{}", push.err);
    assert!(
        push.out.starts_with("found: refs/tags/v1\n") && push.out.contains(" µs"),
        "{}",
        push.out
    );
    let ping = ask("ping");
    assert!(ping.out.starts_with("ignored: "), "{}", ping.out);
}
