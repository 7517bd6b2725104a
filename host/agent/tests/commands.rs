//! `stoker-agent once` and `stoker-agent run`, as processes.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use stoker_local_cluster::GitServer;
use tempfile::TempDir;
use tokio::process::Command;

const PROFILE: &str = "\
mappings:
- source: plants/{{.GatewayName}}/config
  destination: config
- source: plants/{{.GatewayName}}/projects
  destination: projects
";

/// A repository, and a machine with a gateway's directory.
struct Machine {
    git: GitServer,
    directory: TempDir,
}

impl Machine {
    async fn new() -> Self {
        let git = GitServer::start().await.unwrap();
        git.commit("main", "One").await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        std::fs::write(directory.path().join("profile.yaml"), PROFILE).unwrap();
        Self { git, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn once(&self) -> Command {
        let mut command = program();
        command
            .args(["once", "--repo", self.git.url(), "--name", "plant-1"])
            .arg("--profile")
            .arg(self.path("profile.yaml"))
            .arg("--data")
            .arg(self.path("data"));
        command
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.once().args(arguments).output().await.unwrap();
        texts(&output)
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoker-agent"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[tokio::test]
async fn a_dry_run_prints_what_a_sync_then_does() {
    let machine = Machine::new().await;
    let commit = machine.git.id_of("main").await.unwrap();
    let (code, dry, err) = machine.run(&["--ref", "main", "--dry-run"]).await;
    assert_eq!((code, &*err), (0, ""));
    let files =
        "A  config/system.json\nA  config/tags/boiler.json\nA  projects/boiler/project.json\n";
    let line = format!(
        "{} (main): would be added 3, modified 0, deleted 0\n",
        commit.short()
    );
    assert_eq!(dry, format!("{files}{line}"));
    assert!(is_empty(&machine.path("data")));

    let (code, done, err) = machine.run(&["--ref", "main"]).await;
    assert_eq!((code, &*err), (0, ""));
    assert_eq!(done, dry.replace("would be ", ""));
    let text = std::fs::read_to_string(machine.path("data/config/tags/boiler.json")).unwrap();
    assert!(text.contains("\"setpoint\": 81"));

    let (code, again, _) = machine.run(&["--ref", commit.as_str()]).await;
    assert_eq!(code, 0);
    assert!(
        again.ends_with("added 0, modified 0, deleted 0\n"),
        "{again}"
    );
}

#[tokio::test]
async fn the_json_of_a_sync_has_every_change() {
    let machine = Machine::new().await;
    machine.run(&["--ref", "main"]).await;
    std::fs::write(machine.path("data/config/stray.json"), "{}").unwrap();
    let commit = machine.git.commit("main", "Two").await.unwrap();
    let (code, out, err) = machine.run(&["--ref", "main", "-o", "json"]).await;
    assert_eq!((code, &*err), (0, ""));
    let printed: Value = serde_json::from_str(&out).unwrap();
    let expected = json!({
        "commit": commit.as_str(), "ref": "main", "dryRun": false, "added": [],
        "modified": ["config/tags/boiler.json", "projects/boiler/project.json"],
        "deleted": ["config/stray.json"], "messages": [], "held": null,
    });
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn what_is_wrong_is_said_on_one_line() {
    let machine = Machine::new().await;
    for (arguments, expected) in [
        (&["--ref", "nowhere"][..], "nowhere"),
        (&["--ref", "a..b"], "--ref is invalid"),
        (
            &["--ref", "main", "--token-file", "/nonexistent"],
            "/nonexistent",
        ),
    ] {
        let (code, out, err) = machine.run(arguments).await;
        assert_eq!((code, &*out), (1, ""), "{err}");
        assert!(
            err.starts_with("error: ") && err.contains(expected),
            "{err}"
        );
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    std::fs::write(
        machine.path("profile.yaml"),
        "mappings:\n- {source: /etc, destination: config}\n",
    )
    .unwrap();
    let (code, _, err) = machine.run(&["--ref", "main"]).await;
    assert_eq!(code, 1);
    assert!(err.starts_with("error: sync engine: "), "{err}");
}

#[tokio::test]
async fn a_mass_deletion_needs_a_confirmation() {
    let machine = Machine::new().await;
    machine.run(&["--ref", "main"]).await;
    let stray = |index: usize| machine.path(&format!("data/config/stray-{index}.json"));
    for index in 0..50 {
        std::fs::write(stray(index), "{}").unwrap();
    }
    let (code, out, err) = machine.run(&["--ref", "main"]).await;
    assert_eq!((code, &*out), (2, ""));
    assert!(
        err.contains("50") && err.contains("--confirm-deletes"),
        "{err}"
    );
    let (code, out, _) = machine.run(&["--ref", "main", "-o", "json"]).await;
    let printed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &printed["dryRun"]), (2, &json!(false)));
    assert_eq!(printed["held"], err.trim_end());
    assert_eq!(printed["deleted"].as_array().unwrap().len(), 50);
    let (code, out, _) = machine.run(&["--ref", "main", "--dry-run"]).await;
    assert_eq!(code, 0);
    let expected = format!("deleted 50\nthe sync would be held: {err}");
    assert!(out.ends_with(&expected), "{out}");
    let dry_run = ["--ref", "main", "--dry-run", "--confirm-deletes"];
    let (_, out, _) = machine.run(&dry_run).await;
    assert!(out.ends_with("deleted 50\n"), "{out}");
    assert!(stray(0).exists());
    let (code, out, _) = machine.run(&["--ref", "main", "--confirm-deletes"]).await;
    assert_eq!(code, 0);
    assert!(out.ends_with("deleted 50\n"), "{out}");
    assert!(!stray(0).exists());
}

#[tokio::test]
async fn a_paused_profile_is_not_synced() {
    let machine = Machine::new().await;
    std::fs::write(
        machine.path("profile.yaml"),
        format!("{PROFILE}paused: true\n"),
    )
    .unwrap();
    let (code, out, err) = machine.run(&["--ref", "main"]).await;
    assert_eq!((code, &*out), (1, ""));
    assert!(err.contains("the profile is paused"), "{err}");
    assert!(is_empty(&machine.path("data")));
    let (code, out, _) = machine.run(&["--ref", "main", "--dry-run"]).await;
    assert_eq!(code, 0);
    assert!(out.contains(": would be added 3"), "{out}");
}

#[tokio::test]
async fn a_profile_that_only_counts_prints_what_would_be_done() {
    let machine = Machine::new().await;
    let profile = format!("{PROFILE}dryRun: true\n");
    std::fs::write(machine.path("profile.yaml"), profile).unwrap();
    let (code, out, err) = machine.run(&["--ref", "main"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(": would be added 3"), "{out}");
    let (_, out, _) = machine.run(&["--ref", "main", "--output", "json"]).await;
    let printed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(printed["dryRun"], true);
    assert!(!machine.path("data/config").exists());
}

#[tokio::test]
async fn a_kept_state_fetches_only_once() {
    let machine = Machine::new().await;
    let state = machine.path("state").display().to_string();
    let before = machine.git.requests();
    machine.run(&["--ref", "main", "--state", &state]).await;
    let first = machine.git.requests() - before;
    machine.run(&["--ref", "main", "--state", &state]).await;
    let second = machine.git.requests() - before - first;
    assert!(second < first, "{first} requests, then {second}");
}

#[tokio::test]
async fn the_directories_of_another_agent_are_not_used() {
    let machine = Machine::new().await;
    let state = machine.path("state");
    std::fs::create_dir(&state).unwrap();
    let state_text = state.display().to_string();
    for (name, step) in [("state", ""), ("data", "sync engine: ")] {
        let directory = machine.path(name);
        let lock = std::fs::File::open(&directory).unwrap();
        lock.try_lock().unwrap();
        let requests = machine.git.requests();
        let (code, _, error) = machine
            .run(&["--ref", "main", "--state", &state_text])
            .await;
        // Without the lock of its own directory, the agent asks no server: it could not keep what the server shows.
        assert_eq!(machine.git.requests() == requests, name == "state");
        let expected = format!(
            "error: {step}another stoker-agent uses the directory {}\n",
            directory.display()
        );
        assert_eq!((code, error), (1, expected));
        assert!(is_empty(&machine.path("data")));
    }
    assert_eq!(
        machine
            .run(&["--ref", "main", "--state", &state_text])
            .await
            .0,
        0
    );
}

#[tokio::test]
async fn a_service_syncs_and_ends_well_with_sigterm() {
    let machine = Machine::new().await;
    let config = format!(
        "repo: {}\nref: main\nprofile: {}\ndata: {}\nstate: {}\nname: plant-1\n",
        machine.git.url(),
        machine.path("profile.yaml").display(),
        machine.path("data").display(),
        machine.path("state").display(),
    );
    let path = machine.path("agent.yaml");
    std::fs::write(&path, config).unwrap();
    let child = program()
        .args(["run", "--config"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = machine.path("state/status.json");
    let is_synced =
        || std::fs::read_to_string(&status).is_ok_and(|text| text.contains("\"Synced\""));
    let synced = async {
        while !is_synced() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), synced)
        .await
        .unwrap();
    assert!(machine.path("data/projects/boiler/project.json").is_file());
    let pid = child.id().unwrap().to_string();
    let killed = Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .await
        .unwrap();
    assert!(killed.success());
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output());
    let (code, _, log) = texts(&output.await.unwrap().unwrap());
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("stoker-agent stopped"), "{log}");
}

#[tokio::test]
async fn the_sidecar_names_a_missing_variable() {
    let output = program().env_clear().output().await.unwrap();
    let (code, _, err) = texts(&output);
    let advice = "without a cluster, use `stoker-agent once` or `stoker-agent run`";
    let expected = format!("error: CR_NAME env var is required; {advice}\n");
    assert_eq!((code, err), (1, expected));
}

#[tokio::test]
async fn a_limit_of_the_size_of_files_is_an_error() {
    let machine = Machine::new().await;
    let once = machine.once();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(once.as_std().get_program())
        .args(once.as_std().get_args())
        .args(["--ref", "main"]);
    let (code, _, error) = texts(&limited.output().await.unwrap());
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("File too large"), "{error}");
}
