//! The binary as a person at a terminal meets it: what it prints, and with which exit code it ends.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed expectation is how a test ends"
)]

mod authoring;
mod authors_guide;
mod plugins;
mod send;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use support::{Running, ended, file, run, stoker};
use tempfile::TempDir;

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
fn a_flag_of_the_go_operator_without_effect_is_a_warning() {
    let flags = ["run", "-zap-log-level", "debug", "--metrics-secure=false"];
    let ended = run(&[&flags[..], &["--kubeconfig", "/nowhere"]].concat());
    assert_eq!(ended.code, 1, "{}", ended.err);
    for flag in ["zap-log-level", "metrics-secure"] {
        let warning = format!("the flag --{flag} of the Go operator has no effect: ");
        assert_eq!(ended.err.matches(&warning).count(), 1, "{}", ended.err);
    }
    assert!(!run(&["run", "--help"]).out.contains("zap"));
}

#[test]
fn an_error_is_one_line_with_its_causes() {
    let directory = TempDir::new().unwrap();
    let text = file(&directory, "text.wasm", "not a component");
    let nowhere = file(&directory, "kubeconfig", "kind: Config\n");
    let down = file(&directory, "down", DOWN);
    let cases: [(&[&str], &str); 9] = [
        (
            &["status", "--kubeconfig", &down],
            "cannot reach the API server: ",
        ),
        (
            &["status", "--kubeconfig", &down, "-n", "", "edge/plant"],
            "Connection refused",
        ),
        (
            &["status", "--kubeconfig", &down, "-n", "a", "b/plant"],
            "the object is in the namespace b, and not in a",
        ),
        (
            &["sync", "--kubeconfig", &down, "edge/plant"],
            "cannot reach the API server: ",
        ),
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

/// A kubeconfig of an API server that does not run.
const DOWN: &str = "
apiVersion: v1
kind: Config
current-context: down
clusters: [{name: down, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: down, user: {}}]
contexts: [{name: down, context: {cluster: down, user: down}}]
";

#[test]
fn a_default_kubeconfig_that_cannot_be_used_is_not_replaced_by_the_cluster_of_the_pod() {
    let directory = TempDir::new().unwrap();
    let down = file(&directory, "down", DOWN);
    let broken = file(&directory, "broken", "clusters: [\n");
    let other = file(&directory, "other", "current-context: other\n");
    for (files, expected) in [
        (broken.clone(), &broken[..]),
        (format!("{down}:{broken}"), &broken[..]),
        (other, "cannot use the default kubeconfig"),
        // As with kubectl, a file of the list may be missing.
        (format!("/nowhere:{down}"), "cannot reach the API server"),
        ("/nowhere".to_owned(), "there is no /nowhere, and"),
    ] {
        let mut command = stoker(&["status"]);
        let run = ended(
            command
                .env("KUBECONFIG", &files)
                .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
                .env("KUBERNETES_SERVICE_PORT", "1"),
        );
        assert!(run.err.contains(expected), "{files}: {}", run.err);
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    }
}

#[test]
fn empty_variables_are_absent() {
    let mut command = stoker(&["crd"]);
    for name in ["STOKER_LOG", "STOKER_LOG_FORMAT"] {
        command.env(name, "");
    }
    assert_eq!(ended(&mut command).code, 0);
    let mut command = stoker(&["run", "--kubeconfig", "/nowhere"]);
    for name in [
        "STOKER_PLUGIN_DIR",
        "STOKER_PLUGIN_SETTINGS",
        "WEBHOOK_TLS_CERT",
        "WEBHOOK_TLS_KEY",
    ] {
        command.env(name, "");
    }
    let run = ended(&mut command);
    assert!(run.err.contains("/nowhere"), "{}", run.err);
}

#[test]
fn a_secret_that_cannot_be_used_does_not_count_as_absent() {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    for (name, value) in [
        ("WEBHOOK_HMAC_SECRET", bytes),
        ("WEBHOOK_HMAC_SECRET_PREVIOUS", bytes),
        ("WEBHOOK_BEARER_TOKEN", bytes),
        ("WEBHOOK_BEARER_TOKEN_PREVIOUS", bytes),
        ("WEBHOOK_HMAC_SECRET_FILE", "".as_ref()),
        ("WEBHOOK_BEARER_TOKEN_FILE", "".as_ref()),
    ] {
        let mut command = stoker(&["run", "--kubeconfig", "/nowhere"]);
        let run = ended(command.env(name, value));
        assert!(run.err.contains(name), "{}", run.err);
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
fn the_demo_ends_well_when_every_step_went_as_expected() {
    let demo = run(&["demo", "--once", "--port", "0"]);
    assert_eq!(demo.code, 0, "{}{}", demo.out, demo.err);
    assert_eq!(demo.out.matches("[ok]").count(), 8, "{}", demo.out);
    let synced = demo.out.matches("on the gateway after").count();
    assert_eq!(synced, 5, "{}", demo.out);
}

#[test]
fn a_taken_port_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let demo = run(&["demo", "--once", "--port", &port]);
    assert_eq!(demo.code, 1);
    assert!(demo.err.contains("--port"), "{}", demo.err);
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

    let mut command = stoker(&[
        "run",
        "--kubeconfig",
        kubeconfig,
        "--webhook-receiver-port",
        "0",
        "--health-probe-bind-address",
        "0",
    ]);
    command.env("WEBHOOK_HMAC_SECRET", "s3cret");
    let mut host = Running::logging(command);
    host.wait_for(|line| {
        assert!(!line.contains("s3cret"), "{line}");
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["message"] == "stoker started"
    });

    let (code, log) = host.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stoker stopped"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    let (code, _) = sandbox.terminate();
    assert_eq!(code, Some(0));
}

/// Waits until a host is ready, which it is once it has listed the objects.
fn until_ready(probes: std::net::SocketAddr) {
    let started = std::time::Instant::now();
    loop {
        let answer = get(probes, "/readyz");
        if answer.starts_with("HTTP/1.1 200") {
            return;
        }
        assert!(started.elapsed().as_secs() < 30, "{answer}");
        std::thread::yield_now();
    }
}

#[test]
fn without_a_receiver_nobody_is_told_of_a_missing_secret() {
    let directory = TempDir::new().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let kubeconfig = kubeconfig.to_str().unwrap();
    let mut sandbox = Running::printing(stoker(&["sandbox", "--kubeconfig", kubeconfig]));
    sandbox.wait_for(|line| line.starts_with("git"));
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let [metrics, probes] = [free(), free()].map(|listener| listener.local_addr().unwrap());
    let mut command = stoker(&[
        "run",
        "--kubeconfig",
        kubeconfig,
        "--webhook-receiver-port",
        "0",
        "--health-probe-bind-address",
        &probes.to_string(),
        "--metrics-bind-address",
        &metrics.to_string(),
    ]);
    // It could not be used where webhooks are received.
    command.env("WEBHOOK_HMAC_SECRET", "");
    let mut host = Running::logging(command);
    host.wait_for(|line| {
        assert!(!line.contains("secret"), "{line}");
        line.contains("stoker started")
    });

    until_ready(probes);
    let said = get(metrics, "/metrics");
    for line in ["unauthenticated 0", "secret_usable 1"] {
        let line = format!("stoker_webhook_receiver_{line}");
        assert!(said.contains(&line), "{said}");
    }
    // A client that does not name OpenMetrics gets the format that every client knows.
    for part in [
        "text/plain; version=0.0.4",
        "# TYPE stoker_webhook_receiver_limited_total counter",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let (code, log) = host.terminate();
    assert_eq!(code, Some(0), "{log}");
    sandbox.terminate();
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut said = String::new();
    connection.read_to_string(&mut said).unwrap();
    said
}
