//! The binary as a person at a terminal meets it: what it prints, and with which exit code it ends.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed expectation is how a test ends"
)]

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What a command left behind.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// The binary, without what the tester's own environment would tell it.
fn stoker(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoker"));
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "KUBECONFIG",
        "STOKER_LOG",
        "STOKER_LOG_FORMAT",
        "STOKER_PLUGIN_DIR",
        "WEBHOOK_HMAC_SECRET",
        "WEBHOOK_HMAC_SECRET_FILE",
        "WEBHOOK_BEARER_TOKEN",
        "WEBHOOK_BEARER_TOKEN_FILE",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Ended {
    let output = stoker(arguments).output().expect("the binary starts");
    Ended {
        code: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn file(directory: &TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn built_plugin(name: &str) -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_stoker")).ancestors().nth(2);
    let path = built.unwrap().join("plugins").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn help_names_every_command() {
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    for command in ["run", "demo", "sandbox", "crd", "plugin", "send"] {
        let listed = help
            .out
            .lines()
            .any(|line| line.trim_start().starts_with(command));
        assert!(listed, "{command} is missing from {}", help.out);
    }
}

#[test]
fn an_unknown_flag_suggests_the_one_that_was_meant() {
    let ended = run(&["run", "--webhook-reciever-port", "1"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.err.contains("'--webhook-receiver-port'"),
        "{}",
        ended.err
    );
}

#[test]
fn an_error_is_one_line_with_its_causes() {
    let directory = TempDir::new().unwrap();
    let text = file(&directory, "text.wasm", "not a component");
    let nowhere = file(&directory, "kubeconfig", "kind: Config\n");
    let cases: [(&[&str], &str); 5] = [
        (&["plugin", "check", "/nowhere.wasm"], "No such file"),
        (
            &["plugin", "check", &text],
            "it is not a WebAssembly component",
        ),
        (
            &["run", "--kubeconfig", "/nowhere"],
            "cannot read the kubeconfig file /nowhere",
        ),
        (&["run", "--kubeconfig", &nowhere], &nowhere),
        (
            &["send", "http://127.0.0.1:1/webhook/a/b", "--ref", "v1"],
            "cannot send the webhook to http://127.0.0.1:1/webhook/a/b",
        ),
    ];
    for (arguments, expected) in cases {
        let ended = run(arguments);
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.err);
        assert!(
            ended.err.starts_with("error: ") && ended.err.contains(expected),
            "{arguments:?}: {}",
            ended.err
        );
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
}

#[test]
fn a_flag_with_an_impossible_value_is_refused_by_name() {
    for (arguments, flag) in [
        (["run", "--max-body", "0"], "--max-body"),
        (
            ["run", "--metrics-bind-address", "x:y"],
            "--metrics-bind-address",
        ),
        (
            ["run", "--webhook-hmac-secret-file", "/nowhere"],
            "found no Kubernetes cluster",
        ),
        (["demo", "--port", "70000"], "--port"),
    ] {
        let ended = stoker(&arguments)
            .env("HOME", "/nonexistent")
            .output()
            .unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert!(
            !ended.status.success() && err.contains(flag),
            "{arguments:?}: {err}"
        );
    }
}

#[test]
fn the_crd_is_one_yaml_document() {
    let crd = run(&["crd"]);
    assert_eq!(crd.code, 0);
    let definition: serde_json::Value = serde_saphyr::from_str(&crd.out).unwrap();
    assert_eq!(definition["kind"], "CustomResourceDefinition");
    assert_eq!(definition["metadata"]["name"], "gatewaysyncs.stoker.io");
}

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
        list.out.contains("broken.wasm cannot be used: "),
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

#[test]
fn a_payload_file_that_expects_something_else_fails() {
    let plugins = built_plugin("");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/shipit/payloads");
    let passed = run(&[
        "plugin",
        "test",
        "--plugin-dir",
        &plugins,
        fixtures.to_str().unwrap(),
    ]);
    assert_eq!(passed.code, 0, "{}{}", passed.out, passed.err);

    let directory = TempDir::new().unwrap();
    let wrong = directory.path().join("generic");
    std::fs::create_dir(&wrong).unwrap();
    std::fs::write(
        wrong.join("wrong.json"),
        r#"{"description":"x","headers":{},"body":{"ref":"v1"},"expect":{"found":[{"ref":"v2"}]}}"#,
    )
    .unwrap();
    let failed = run(&["plugin", "test", wrong.to_str().unwrap()]);
    assert_eq!(failed.code, 1);
    assert!(
        failed.out.contains("v1") && failed.out.contains("v2"),
        "{}",
        failed.out
    );
}

#[test]
fn the_demo_ends_well_when_every_step_went_as_expected() {
    let demo = run(&["demo", "--once", "--port", "0"]);
    assert_eq!(demo.code, 0, "{}{}", demo.out, demo.err);
    assert_eq!(demo.out.matches("[ok]").count(), 8, "{}", demo.out);
}

#[test]
fn a_taken_port_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let demo = run(&["demo", "--once", "--port", &port]);
    assert_eq!(demo.code, 1);
    assert!(demo.err.contains("--port"), "{}", demo.err);
}

/// A process that is stopped with the test, however that ends.
struct Running {
    child: Child,
    output: BufReader<Box<dyn Read>>,
}

impl Running {
    /// Starts a command whose standard output is read.
    fn printing(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        Self {
            child,
            output: BufReader::new(Box::new(output)),
        }
    }

    /// Starts a command whose log is read.
    fn logging(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let output = child.stderr.take().unwrap();
        Self {
            child,
            output: BufReader::new(Box::new(output)),
        }
    }

    /// Reads on to the first line that the function is true of.
    fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut lines = self.output.by_ref().lines().map(Result::unwrap);
        lines.find(|line| wanted(line)).unwrap()
    }

    /// Tells it to end as a platform does, and returns the exit code and the rest of its output.
    fn terminate(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(killed.unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn run_serves_the_sandbox_logs_json_and_drains() {
    let directory = TempDir::new().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let kubeconfig = kubeconfig.to_str().unwrap();
    let mut sandbox = Running::printing(stoker(&["sandbox", "--kubeconfig", kubeconfig]));
    let git = sandbox.wait_for(|line| line.starts_with("git"));
    let refs = Command::new("git")
        .args(["ls-remote", git.split_whitespace().last().unwrap()])
        .output()
        .unwrap();
    let refs = String::from_utf8(refs.stdout).unwrap();
    let offered = sandbox.wait_for(|line| line.contains("branch main"));
    for name in offered
        .split_whitespace()
        .filter(|word| word.starts_with('v'))
    {
        let name = format!("refs/tags/{}\n", name.trim_end_matches(';'));
        assert!(refs.contains(&name), "{refs}");
    }

    // `send` needs the port beforehand; 0 would switch the receiver off.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut command = stoker(&[
        "run",
        "--kubeconfig",
        kubeconfig,
        "--webhook-receiver-port",
        &port,
        "--health-probe-bind-address",
        "0",
    ]);
    command.env("WEBHOOK_HMAC_SECRET", "s3cret");
    let mut host = Running::logging(command);
    host.wait_for(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["message"] == "stoker runs"
    });

    let url = format!("http://127.0.0.1:{port}/webhook/default/absent");
    let sent = run(&["send", &url, "--secret", "s3cret", "--ref", "v1"]);
    assert_eq!(sent.code, 1);
    assert!(sent.out.starts_with("404"), "{}{}", sent.out, sent.err);
    let unsigned = run(&["send", &url, "--ref", "v1"]);
    assert!(unsigned.out.starts_with("401"), "{}", unsigned.out);

    let (code, log) = host.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stoker ended"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    let (code, _) = sandbox.terminate();
    assert_eq!(code, Some(0));
}
