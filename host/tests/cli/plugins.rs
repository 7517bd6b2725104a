//! `stoker plugin list`, `check` and `run`.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{built_plugin, ended, file, run, stoker};

#[test]
fn plugins_are_listed_in_the_order_in_which_webhooks_are_offered_to_them() {
    let directory = TempDir::new().unwrap();
    fs::copy(
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
            "codecommit",
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
fn a_plugin_is_checked_and_run() {
    let github = built_plugin("github.wasm");
    let check = run(&["plugin", "check", &github]);
    assert_eq!(check.code, 0, "{}", check.err);
    for expected in [
        "can be used",
        "world:    stoker:detect/payload-detector@0.1.0",
        "imports:  stoker:detect/payload@0.1.0",
        "called on: header x-github-event",
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
        push.out.starts_with("found: refs/tags/v1, event push\n") && push.out.contains(" µs"),
        "{}",
        push.out
    );
    let ping = ask("ping");
    assert!(ping.out.starts_with("ignored: "), "{}", ping.out);
}

#[test]
fn a_file_that_is_no_component_is_refused_at_once() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let pipe = path("pipe.wasm");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let sparse = path("sparse.wasm");
    File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    let text = file(&directory, "text.wat", "(component)");
    let empty = file(&directory, "empty.wasm", "");
    let body = file(&directory, "body.json", "{}");
    for (file, expected) in [
        (pipe.as_str(), "it is a named pipe, not a regular file"),
        (
            directory.path().to_str().unwrap(),
            "it is a directory, not a regular file",
        ),
        ("/dev/zero", "it is a device, not a regular file"),
        (&sparse, "more than the 4194304 that a plugin may have"),
        // Its length is reported as 0.
        ("/proc/self/status", "is not a WebAssembly component"),
        (&text, "convert it with `wasm-tools parse`"),
        (&empty, "is not a WebAssembly component"),
    ] {
        for command in ["check", "run"] {
            let mut arguments = vec!["plugin", command, file];
            if command == "run" {
                arguments.extend(["--body", &body]);
            }
            let refused = run(&arguments);
            assert_eq!(refused.code, 1, "{arguments:?}");
            assert!(
                refused
                    .err
                    .starts_with(&format!("error: {file} cannot be used: "))
                    && refused.err.contains(expected),
                "{arguments:?}: {}",
                refused.err
            );
        }
    }
}

#[test]
fn a_body_is_read_up_to_a_limit() {
    let shipit = built_plugin("shipit.wasm");
    for (body, expected) in [
        ("/dev/zero", "has more than 67108864 bytes"),
        ("/nowhere", "cannot read /nowhere"),
    ] {
        let refused = run(&["plugin", "run", &shipit, "--body", body]);
        assert_eq!(refused.code, 1, "{body}");
        assert!(refused.err.contains(expected), "{}", refused.err);
    }
}

#[test]
fn a_body_that_is_not_json_is_for_plugins_that_read_its_bytes() {
    let shipit = built_plugin("shipit.wasm");
    let answer = run(&["plugin", "run", &shipit, "--body", "/dev/null"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let why = "the body has no values that the plugin can read by pointer: the body is empty";
    assert!(answer.out.contains(why), "{}", answer.out);
}

#[test]
fn nothing_that_is_printed_acts_on_the_terminal() {
    let directory = TempDir::new().unwrap();
    let plugin = directory.path().join("shi pit\u{1b}[31m\n\u{202e}ü.wasm");
    fs::copy(built_plugin("shipit.wasm"), &plugin).unwrap();
    let plugin = plugin.to_str().unwrap();
    let check = run(&["plugin", "check", plugin]);
    assert_eq!(check.code, 0, "{}", check.err);
    let shown = r"shi pit\u{1b}[31m\n\u{202e}ü.wasm";
    assert!(
        check.out.contains(&format!("{shown} can be used\n")),
        "{}",
        check.out
    );

    fs::write(plugin, "text").unwrap();
    let check = run(&["plugin", "check", plugin]);
    assert!(!check.err.contains('\u{1b}'), "{}", check.err);
    let list = run(&[
        "plugin",
        "list",
        "--plugin-dir",
        directory.path().to_str().unwrap(),
    ]);
    assert!(
        list.out.contains(&format!("\n{shown}: cannot be used: ")),
        "{}",
        list.out
    );
    assert!(!list.out.contains(['\u{1b}', '\u{202e}']), "{}", list.out);
}

#[test]
fn a_plugin_directory_that_cannot_be_read_is_reported() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path().to_str().unwrap();
    let list = run(&["plugin", "list", "--plugin-dir", dir]);
    assert_eq!(list.code, 0, "{}", list.out);
    let file = file(&directory, "file", "");
    for unreadable in ["/no where", &file] {
        let list = run(&[
            "plugin",
            "list",
            "--plugin-dir",
            dir,
            "--plugin-dir",
            unreadable,
        ]);
        assert_eq!(list.code, 1, "{}", list.out);
        let expected = format!("\nthe plugin directory {unreadable} cannot be read: ");
        assert!(list.out.contains(&expected), "{}", list.out);
        assert!(list.out.contains("\ngeneric "), "{}", list.out);
    }
}

#[test]
fn a_variable_with_empty_parts_and_a_repeated_directory_is_used() {
    let directory = TempDir::new().unwrap();
    fs::copy(
        built_plugin("shipit.wasm"),
        directory.path().join("shipit.wasm"),
    )
    .unwrap();
    let dir = directory.path().to_str().unwrap();
    let variable = format!(":{dir}::{dir}/:");
    let list = ended(stoker(&["plugin", "list"]).env("STOKER_PLUGIN_DIR", variable));
    assert_eq!(list.code, 0, "{}{}", list.out, list.err);
    // The files of a single directory have no directory in their names.
    let line = list.out.lines().find(|line| line.starts_with("shipit "));
    assert!(!line.unwrap().contains(dir), "{}", list.out);
    let empty = run(&["plugin", "list", "--plugin-dir="]);
    assert!(empty.err.contains("--plugin-dir"), "{}", empty.err);
}

#[test]
fn the_largest_size_of_a_component_is_a_flag_of_list() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path().to_str().unwrap();
    fs::copy(
        built_plugin("shipit.wasm"),
        directory.path().join("shipit.wasm"),
    )
    .unwrap();
    let list = |size: &str| run(&["plugin", "list", "--plugin-dir", dir, "--max-size", size]);
    let refused = list("1000");
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(
        refused.out.contains("more than the 1000"),
        "{}",
        refused.out
    );
    assert_eq!(list("100000").code, 0);
}

/// Answers one request with a body, and returns the address and the first line of the request.
fn probes(body: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = connection.read(&mut request).unwrap();
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
        write!(connection, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        request.lines().next().unwrap().to_owned()
    });
    (address, served)
}

#[test]
fn the_plugins_of_a_running_host_are_listed_by_its_address() {
    let (address, served) = probes(
        r#"[{"from":"a.wasm","name":"a\u001b[31m","version":"1","summary":"s","state":"refused","why":"x\u0007"}]"#,
    );
    // The environment of the host's own container does not get in the way.
    let list =
        ended(stoker(&["plugin", "list", "--host", &address]).env("STOKER_PLUGIN_DIR", "/nowhere"));
    assert_eq!(served.join().unwrap(), "GET /plugins HTTP/1.1");
    assert_eq!(list.code, 1, "{}{}", list.out, list.err);
    for expected in [r"a\u{1b}[31m", r"a.wasm: cannot be used: x\u{7}"] {
        assert!(list.out.contains(expected), "{}", list.out);
    }

    let (address, served) = probes("<html>");
    let other = run(&["plugin", "list", "--host", &address]);
    served.join().unwrap();
    assert!(
        other
            .err
            .contains("does not answer as the probes of a Stoker do"),
        "{}",
        other.err
    );
    for host in [":8081", "localhost:port", "ftp://localhost"] {
        let refused = run(&["plugin", "list", "--host", host]);
        assert_eq!(refused.code, 1, "{host}");
        assert!(
            refused.err.contains("as http://HOST:PORT or HOST:PORT"),
            "{}",
            refused.err
        );
    }
}
