//! Single syncs, with a git server and an API server that refuses everything.

use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use stoker_api::detection::{CommitId, GitRef, RepoUrl};
use stoker_local_cluster::GitServer;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::cluster::Cluster;
use crate::environment::{Confirmation, Machine};
use crate::fake_client::{client, status};
use crate::host_keys::HostKeys;

/// The address of the repository by ssh. Nothing listens there.
const BY_SSH: &str = "ssh://git@127.0.0.1:1/o/r.git";

struct Site {
    git: GitServer,
    directory: TempDir,
    worker: Worker,
}

impl Site {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["data", "objects", "state"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::fs::write(path("key"), "key").unwrap();
        let confirmation = Confirmation::File(path("confirm"));
        let worker = Worker {
            git: GitClient::new().unwrap(),
            store: Arc::new(ObjectStore::open(&path("objects")).unwrap()),
            credentials: CredentialFiles {
                ssh_key: Some(path("key")),
                ..CredentialFiles::default()
            },
            gateway: None,
            environment: Environment::Machine(Machine {
                confirmation,
                ..Machine::default()
            }),
            subject: Subject::default(),
            profile: "default".to_owned(),
            state: State::open(&path("state"), &path("data")),
            data: path("data"),
            metrics: Metrics::register(&mut Registry::default()),
            default_period: Duration::from_mins(1),
            progress: Progress::default(),
            published: None,
            show: |_| (),
        };
        let git = GitServer::start().await.unwrap();
        Self {
            git,
            directory,
            worker,
        }
    }

    /// Makes a commit, and returns it as it is published with a profile.
    async fn publish(&self, profile: &Value) -> Published {
        let mut profile = profile.clone();
        profile["mappings"] = json!([{"source": "plants/plant-1/config", "destination": "config"}]);
        let commit = self.git.commit("main", "One").await.unwrap().to_string();
        Published {
            commit: CommitId::parse(&commit).unwrap(),
            git_ref: GitRef::parse("main").unwrap(),
            repo: RepoUrl::parse(self.git.url()).unwrap(),
            ca_bundle: None,
            profiles: json!({"default": profile}).to_string(),
        }
    }

    async fn sync(&mut self, wanted: &Published) -> Outcome {
        self.worker.sync(wanted, Phase::Running).await.unwrap()
    }
}

/// Returns a cluster whose API server refuses every call.
fn refusing() -> Environment {
    let answer = |_| std::future::ready(status(403, "Forbidden", "gatewaysyncs is forbidden"));
    Environment::Cluster(Cluster {
        client: client(answer),
        namespace: "edge".to_owned(),
        object: "plant".to_owned(),
        pod_namespace: "edge".to_owned(),
        pod_name: "gw-0".to_owned(),
    })
}

fn error(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => failure.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_fetched_by_ssh_if_the_host_key_cannot_be_read() {
    let mut site = Site::new().await;
    site.worker.environment = refusing();
    let mut wanted = site.publish(&json!({})).await;
    wanted.repo = RepoUrl::parse(BY_SSH).unwrap();
    let error = error(site.sync(&wanted).await);
    let text = "cannot read the host key that the controller saw: ";
    assert!(error.starts_with(text), "{error}");
}

#[tokio::test]
async fn the_kept_host_keys_are_for_every_ssh_server() {
    let mut site = Site::new().await;
    let mut wanted = site.publish(&json!({})).await;
    wanted.repo = RepoUrl::parse(BY_SSH).unwrap();
    std::fs::write(site.directory.path().join("state/host-keys"), [0xff]).unwrap();
    site.worker.environment = Environment::Machine(Machine {
        host_keys: HostKeys::in_directory(&site.directory.path().join("state")),
        ..Machine::default()
    });
    for ssh_key in [site.worker.credentials.ssh_key.clone(), None] {
        site.worker.credentials.ssh_key = ssh_key;
        let error = error(site.sync(&wanted).await);
        let text = "cannot read the kept host keys in ";
        assert!(error.starts_with(text), "{error}");
    }
}

#[tokio::test]
async fn a_commit_that_is_in_the_store_needs_neither_the_object_nor_the_server() {
    let mut site = Site::new().await;
    let mut wanted = site.publish(&json!({})).await;
    assert!(matches!(site.sync(&wanted).await, Outcome::Synced(_)));
    let requests = site.git.requests();
    site.worker.environment = refusing();
    wanted.repo = RepoUrl::parse(BY_SSH).unwrap();
    // The labels are needed for every sync, and the API server refuses them.
    let error = error(site.sync(&wanted).await);
    assert!(error.starts_with("cannot read the labels"), "{error}");
    assert_eq!(site.git.requests(), requests);
}

/// Runs a sync until its fetch has connected to the server.
async fn begun(
    server: &TcpListener,
    sync: &mut (impl Future<Output = Option<Outcome>> + Unpin),
) -> TcpStream {
    tokio::select! {
        outcome = sync => panic!("the sync has ended: {outcome:?}"),
        accepted = server.accept() => accepted.unwrap().0,
    }
}

#[tokio::test]
async fn a_fetch_is_given_up_if_it_is_of_no_use_any_more() {
    let mut site = Site::new().await;
    let mut wanted = site.publish(&json!({})).await;
    // The server accepts the connection, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("git://{}/r", silent.local_addr().unwrap());
    wanted.repo = RepoUrl::parse(&url).unwrap();
    let same_commit = Published {
        profiles: "{}".to_owned(),
        ..wanted.clone()
    };
    let other = Published {
        commit: CommitId::parse(&"f".repeat(40)).unwrap(),
        ..wanted.clone()
    };
    for replacement in [Metadata::Paused, Metadata::Published(other)] {
        let (publish, published) = watch::channel(Some(Metadata::Published(wanted.clone())));
        site.worker.published = Some(published);
        let mut sync = std::pin::pin!(site.worker.sync(&wanted, Phase::Starting));
        let _connection = begun(&silent, &mut sync).await;
        publish.send_replace(Some(Metadata::Published(same_commit.clone())));
        let step = tokio::time::timeout(Duration::from_millis(20), &mut sync);
        assert!(step.await.is_err(), "another profile");
        publish.send_replace(Some(replacement));
        assert_eq!(sync.await, None);
    }
}

#[tokio::test]
async fn another_commit_gives_up_one_fetch_in_a_row() {
    let mut site = Site::new().await;
    let good = site.publish(&json!({})).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("git://{}/r", silent.local_addr().unwrap());
    let wanted = Published {
        commit: CommitId::parse(&"e".repeat(40)).unwrap(),
        repo: RepoUrl::parse(&url).unwrap(),
        ..good.clone()
    };
    let other = Published {
        commit: CommitId::parse(&"f".repeat(40)).unwrap(),
        ..wanted.clone()
    };
    let other_repo = Metadata::Published(Published {
        repo: good.repo.clone(),
        ..wanted.clone()
    });
    let other = Metadata::Published(other);
    let tries = [
        (&other, true),
        (&other, false),
        (&Metadata::Paused, true),
        (&other, false),
        (&other_repo, true),
        (&other, false),
    ];
    for round in 0..2 {
        for (index, (replacement, is_given_up)) in tries.into_iter().enumerate() {
            let (publish, published) = watch::channel(Some(Metadata::Published(wanted.clone())));
            site.worker.published = Some(published);
            let mut sync = std::pin::pin!(site.worker.sync(&wanted, Phase::Starting));
            let _connection = begun(&silent, &mut sync).await;
            publish.send_replace(Some(replacement.clone()));
            let time = Duration::from_millis(if is_given_up { 5000 } else { 50 });
            let outcome = tokio::time::timeout(time, &mut sync).await;
            assert_eq!(outcome.ok(), is_given_up.then_some(None), "{round} {index}");
        }
        // A fetch that ends allows the next one to be cancelled, and its files are written.
        let (_publish, published) = watch::channel(Some(other_commit(&good)));
        site.worker.published = Some(published);
        assert!(matches!(site.sync(&good).await, Outcome::Synced(_)));
    }
}

/// Returns the same with another commit.
fn other_commit(published: &Published) -> Metadata {
    Metadata::Published(Published {
        commit: CommitId::parse(&"f".repeat(40)).unwrap(),
        ..published.clone()
    })
}

#[tokio::test]
async fn nothing_is_written_if_the_profile_changes_during_the_fetch() {
    let mut site = Site::new().await;
    let wanted = site.publish(&json!({})).await;
    let now = Published {
        profiles: "{}".to_owned(),
        ..wanted.clone()
    };
    let (_publish, published) = watch::channel(Some(Metadata::Published(now)));
    site.worker.published = Some(published);
    assert_eq!(site.worker.sync(&wanted, Phase::Starting).await, None);
    let config = site.directory.path().join("data/config");
    assert!(!config.exists());
    let (_publish, published) = watch::channel(Some(Metadata::Published(wanted.clone())));
    site.worker.published = Some(published);
    assert!(matches!(site.sync(&wanted).await, Outcome::Synced(_)));
    assert!(config.exists());
}

#[tokio::test]
async fn two_agents_do_not_write_to_one_gateway_at_a_time() {
    let mut site = Site::new().await;
    let wanted = site.publish(&json!({})).await;
    let data = site.directory.path().join("data");
    let lock = crate::lock::DirectoryLock::take(&data).unwrap();
    let error = error(site.sync(&wanted).await);
    let expected = format!("another stoker-agent uses the directory {}", data.display());
    assert_eq!(error, expected);
    drop(lock);
    assert!(matches!(site.sync(&wanted).await, Outcome::Synced(_)));
}

#[tokio::test]
async fn a_dry_run_lists_the_projects_on_the_gateway() {
    let mut site = Site::new().await;
    let project = site.directory.path().join("data/projects/line");
    std::fs::create_dir_all(project).unwrap();
    let wanted = site.publish(&json!({"dryRun": true})).await;
    match site.sync(&wanted).await {
        Outcome::Synced(synced) => assert_eq!(synced.projects, ["line"]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn drift_is_not_repaired_by_a_profile_that_writes_nothing() {
    for (field, is_repaired) in [("vars", true), ("dryRun", false), ("paused", false)] {
        let mut site = Site::new().await;
        let repairs = site.publish(&json!({"driftPolicy": "repair"})).await;
        site.sync(&repairs).await;
        let mut profile = json!({"driftPolicy": "repair"});
        profile[field] = if field == "vars" {
            json!({})
        } else {
            json!(true)
        };
        let wanted = site.publish(&profile).await;
        site.sync(&wanted).await;
        std::fs::write(
            site.directory.path().join("data/config/tags/boiler.json"),
            "{}",
        )
        .unwrap();
        let drift = site.worker.find_drift().await;
        assert_eq!(
            (drift.files.len(), drift.is_repaired),
            (1, is_repaired),
            "{field}"
        );
    }
}

#[tokio::test]
async fn a_held_sync_is_planned_again_when_it_is_confirmed_or_a_period_has_passed() {
    let mut site = Site::new().await;
    let stray = |index: usize| format!("data/config/stray-{index}");
    let write = |site: &Site, index| {
        std::fs::write(site.directory.path().join(stray(index)), "").unwrap();
    };
    std::fs::create_dir(site.directory.path().join("data/config")).unwrap();
    write(&site, 0);
    let wanted = site.publish(&json!({"maxDeletes": 0})).await;
    let held = async |site: &mut Site| match site.sync(&wanted).await {
        Outcome::Unconfirmed { message } => message,
        other => panic!("{other:?}"),
    };
    assert!(held(&mut site).await.contains("delete 1 of"));
    write(&site, 1);
    assert!(held(&mut site).await.contains("delete 1 of"), "not planned");
    site.worker.default_period = Duration::ZERO;
    assert!(held(&mut site).await.contains("delete 2 of"), "planned");
    site.worker.default_period = Duration::from_mins(1);
    std::fs::write(
        site.directory.path().join("confirm"),
        wanted.commit.as_str(),
    )
    .unwrap();
    assert!(matches!(site.sync(&wanted).await, Outcome::Synced(_)));
    assert!(!site.directory.path().join(stray(1)).exists());
}
