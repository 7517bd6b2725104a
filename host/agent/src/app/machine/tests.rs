use std::time::Duration;

use stoker_local_cluster::{FakeGateway, GitServer};
use tokio::sync::oneshot;

use super::*;

/// Runs the agent until the last report has a property, and returns the report.
async fn run_while(config: &MachineConfig, is_enough: impl Fn(&Report) -> bool) -> Report {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(run_until(config.clone(), async {
        drop(stopped.await);
    }));
    let read = || {
        let text = std::fs::read_to_string(config.state.join(STATUS_FILE));
        Report::parse(&text.unwrap_or_default())
    };
    let reached = async {
        while !is_enough(&read()) {
            assert!(!task.is_finished(), "the agent has ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached)
        .await
        .unwrap_or_else(|_| panic!("the last report is {:?}", read()));
    drop(stop);
    task.await.unwrap().unwrap();
    read()
}

#[tokio::test]
async fn a_ref_is_followed_and_a_restart_fetches_and_writes_nothing() {
    let git = GitServer::start().await.unwrap();
    let first = git.commit("main", "One").await.unwrap();
    let gateway = FakeGateway::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("data")).unwrap();
    std::fs::write(
        path("profile.yaml"),
        "mappings:\n- {source: plants/plant-1/config, destination: config}\n",
    )
    .unwrap();
    let text = format!(
        "repo: {}\nref: main\nprofile: {}\ndata: {}\nstate: {}\ngateway: {{port: {}}}\n",
        git.url(),
        path("profile.yaml").display(),
        path("data").display(),
        path("state").display(),
        gateway.port(),
    );
    std::fs::write(path("agent.yaml"), text).unwrap();
    let config = MachineConfig::read(&path("agent.yaml")).unwrap();

    let is_synced = |commit: String| {
        move |report: &Report| {
            report.synced_commit == commit
                && report.sync_status == crate::report::SyncStatus::Synced
        }
    };
    let report = run_while(&config, is_synced(first.to_string())).await;
    assert_eq!(report.files_changed, 2);
    assert!(path("data/config/tags/boiler.json").is_file());
    assert_eq!(gateway.scans(), ["projects", "config"]);

    let requests = git.requests();
    let before = report.last_sync_time.clone();
    let has_written = |report: &Report| report.files_changed == 0 && !report.history.is_empty();
    let report = run_while(&config, has_written).await;
    assert_eq!(report.history.len(), 2);
    assert!(report.last_sync_time >= before);
    // A lookup of the ref makes two requests, and nothing is fetched.
    assert_eq!(git.requests() - requests, 2);

    let second = git.commit("main", "Two").await.unwrap();
    let report = run_while(&config, is_synced(second.to_string())).await;
    assert_eq!(report.files_changed, 1);
}

#[tokio::test]
async fn without_the_server_the_last_commit_stays_published() {
    let git = GitServer::start().await.unwrap();
    let commit = git.commit("main", "One").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("data")).unwrap();
    let write_profile = |destination: &str, rest: &str| {
        let mapping = format!("{{source: plants/plant-1/config, destination: {destination}}}");
        std::fs::write(
            path("profile.yaml"),
            format!("mappings: [{mapping}]\n{rest}"),
        )
        .unwrap();
    };
    write_profile("config", "");
    let config = |git_ref: &str| {
        let text = format!(
            "repo: {}\nref: {git_ref}\nprofile: {}\ndata: {}\nstate: {}\n",
            git.url(),
            path("profile.yaml").display(),
            path("data").display(),
            path("state").display(),
        );
        std::fs::write(path("agent.yaml"), text).unwrap();
        MachineConfig {
            interval: Duration::from_millis(50),
            ..MachineConfig::read(&path("agent.yaml")).unwrap()
        }
    };
    let (config, id_config) = (config("main"), config(commit.as_str()));
    let is_synced = |report: &Report| report.synced_commit == commit.as_str();
    run_while(&config, is_synced).await;

    let requests = git.requests();
    let report = run_while(&id_config, |report| report.synced_ref == commit.as_str()).await;
    assert_eq!(report.sync_status, crate::report::SyncStatus::Synced);
    assert_eq!(git.requests(), requests, "a full id is in the store");
    run_while(&config, |report| report.synced_ref == "main").await;

    drop(git);
    let boiler = |directory: &str| path("data").join(directory).join("tags/boiler.json");
    std::fs::remove_dir_all(path("data/config")).unwrap();
    let says = |report: &Report| report.error_message.contains("cannot look up main: ");
    let report = run_while(&config, |report| says(report) && boiler("config").exists()).await;
    assert_eq!(report.synced_commit, commit.as_str());
    let changed = |report: &Report| {
        if boiler("other").exists() {
            write_profile("third", "paused: true");
        } else {
            write_profile("other", "");
        }
        says(report) && boiler("other").exists() && report.history.len() > 2
    };
    run_while(&config, changed).await;
    run_while(&config, says).await;
    assert!(!boiler("third").exists());
    // A commit of another ref is not published.
    let other = MachineConfig {
        git_ref: GitRef::parse("next").unwrap(),
        ..config.clone()
    };
    write_profile("third", "");
    run_while(&other, |report| {
        report.error_message.contains("cannot look up next: ")
    })
    .await;
    assert!(!boiler("third").exists());
}

#[test]
fn a_ref_gets_the_spelling_with_the_right_short_name() {
    use stoker_git::RefKind;

    let id = "ab".repeat(20);
    let commit = CommitId::parse(&id).unwrap();
    for (git_ref, full_name, expected) in [
        ("main", Some("refs/heads/main"), "main"),
        ("refs/heads/main", Some("refs/heads/main"), "main"),
        ("heads/br", Some("refs/heads/br"), "br"),
        ("tags/v1", Some("refs/tags/v1"), "v1"),
        ("heads/br", Some("refs/heads/heads/br"), "heads/br"),
        ("HEAD", Some("refs/heads/main"), "HEAD"),
        (&*id.to_uppercase(), None, &id),
    ] {
        let found = ResolvedRef::new(commit.clone(), RefKind::Other);
        let found = match full_name {
            Some(name) => found.with_full_name(name.to_owned()),
            None => found,
        };
        let spelled = spelled(&GitRef::parse(git_ref).unwrap(), &found).unwrap();
        assert_eq!(spelled.short(), expected, "{git_ref}");
    }
}

#[tokio::test]
async fn a_failed_lookup_is_in_the_report_until_one_succeeds() {
    let git = GitServer::start().await.unwrap();
    let commit = git.commit("main", "One").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.yaml");
    let write = |text: &str| std::fs::write(&profile, text).unwrap();
    let right = "mappings:\n- {source: plants/plant-1/config, destination: config}\n";
    write(right);
    let config = |git_ref: &str| {
        let text = format!(
            "repo: {}\nref: {git_ref}\nprofile: {}\ndata: /data\n",
            git.url(),
            profile.display()
        );
        let path = directory.path().join("agent.yaml");
        std::fs::write(&path, text).unwrap();
        MachineConfig::read(&path).unwrap()
    };
    let (store, _lock) = open_store(&directory.path().join("state")).unwrap();
    let (metrics, registry) = tasks::metrics();
    let (problem_sender, problems) = ProblemSender::channel();
    let poll = |git_ref: &str| Poll {
        git: git_client(None).unwrap(),
        store: Arc::clone(&store),
        before: None,
        config: MachineConfig {
            interval: Duration::from_millis(20),
            ..config(git_ref)
        },
        metrics: metrics.clone(),
        problems: problem_sender.clone(),
    };
    // Looks until the problem is as expected.
    let look = async |poll: Poll, expected: &str| {
        let (publish, mut published) = watch::channel(None);
        let mut problems = problems.clone();
        let is_expected = |text: &str| match expected {
            "" => text.is_empty(),
            _ => text.contains(expected),
        };
        let seen = async {
            problems
                .wait_for(|now| is_expected(&now.to_string()))
                .await
                .unwrap();
            if expected.is_empty() {
                published.wait_for(Option::is_some).await.unwrap();
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(20), seen);
        tokio::select! {
            () = poll.look_for_ever(&publish) => unreachable!(),
            seen = seen => seen.unwrap(),
        }
    };
    look(poll("nowhere"), "cannot look up nowhere: ").await;
    look(poll("main"), "").await;
    write("mapings: []\n");
    look(poll("main"), "profile.yaml is invalid: ").await;
    write(right);
    look(poll(commit.as_str()), "").await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        r#"git_fetch_total{operation="lookup",result="error"}"#,
        r#"git_fetch_total{operation="lookup",result="success"}"#,
        r#"sync_skipped_total{reason="profile_error"}"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
}

/// An ssh server that shows a host key, and refuses another one that is pinned.
struct SshServer(stoker_git::HostKey, stoker_api::detection::CommitId);

impl RefSource for SshServer {
    async fn resolve(
        &self,
        remote: &stoker_git::Remote,
        refs: &[GitRef],
    ) -> Result<Vec<stoker_git::RefResult>, stoker_git::GitError> {
        let seen = self.0.to_string();
        if let Some(expected) = remote.pinned_host_key().filter(|key| **key != seen) {
            return Err(stoker_git::GitError::HostKeyChanged {
                host: remote.url().ssh_server(),
                expected: expected.to_owned(),
                seen,
            });
        }
        let found = stoker_git::ResolvedRef::new(self.1.clone(), stoker_git::RefKind::Branch);
        Ok(refs.iter().map(|_| Ok(found.clone())).collect())
    }

    fn host_key(&self, _: &stoker_git::Remote) -> Option<stoker_git::HostKey> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn the_first_host_key_is_kept_and_another_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let keys = HostKeys::in_directory(directory.path());
    let repo = stoker_api::detection::RepoUrl::parse("ssh://git@git.example/o/r.git").unwrap();
    let git_ref = GitRef::parse("main").unwrap();
    let commit = stoker_api::detection::CommitId::parse(&"a".repeat(40)).unwrap();
    let look = async |fingerprint: &str| {
        let key = stoker_git::HostKey::new("ssh-ed25519", fingerprint);
        let server = SshServer(key, commit.clone());
        let credentials = CredentialFiles::default();
        resolve(&server, &credentials, &keys, &repo, &git_ref).await
    };
    look("SHA256:one").await.unwrap();
    look("SHA256:one").await.unwrap();
    let error = look("SHA256:two").await.unwrap_err();
    let text = stoker_report::chain(error.as_ref()).to_string();
    assert!(
        text.contains("was ssh-ed25519 SHA256:one, and now it is ssh-ed25519 SHA256:two"),
        "{text}"
    );
    let kept = keys.of(&repo).unwrap();
    assert_eq!(kept.as_deref(), Some("ssh-ed25519 SHA256:one"));
    // After a person has deleted the line, the new key is the first.
    std::fs::remove_file(directory.path().join("host-keys")).unwrap();
    look("SHA256:two").await.unwrap();
    look("SHA256:one").await.unwrap_err();
}
