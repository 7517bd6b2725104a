//! Single syncs, with a git server and an API server that refuses everything.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use stoker_api::detection::{CommitId, GitRef, RepoUrl};
use stoker_local_cluster::GitServer;
use tempfile::TempDir;

use super::*;
use crate::cluster::Cluster;
use crate::surroundings::{Confirmation, Machine};

/// The address of the repository by ssh. Nothing listens there.
const BY_SSH: &str = "ssh://git@127.0.0.1:1/o/r.git";

struct Site {
    git: GitServer,
    folder: TempDir,
    worker: Worker,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
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
            surroundings: Surroundings::Machine(Machine {
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
            show: |_| (),
        };
        let git = GitServer::start().await.unwrap();
        Self {
            git,
            folder,
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
        self.worker.sync(wanted, Phase::Running).await
    }
}

/// Returns a cluster whose API server refuses every call.
fn refusing() -> Surroundings {
    let answer = |_: Request<Body>| {
        let refusal = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
            "message": "gatewaysyncs is forbidden", "code": 403, "metadata": {},
        });
        let mut response = Response::new(Body::from(refusal.to_string().into_bytes()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        std::future::ready(Ok::<_, Infallible>(response))
    };
    Surroundings::Cluster(Cluster {
        client: kube::Client::new(tower::service_fn(answer), "edge"),
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
    site.worker.surroundings = refusing();
    let mut wanted = site.publish(&json!({})).await;
    wanted.repo = RepoUrl::parse(BY_SSH).unwrap();
    let error = error(site.sync(&wanted).await);
    let text = "cannot read the host key that the controller saw: ";
    assert!(error.starts_with(text), "{error}");
}

#[tokio::test]
async fn a_commit_that_is_in_the_store_needs_neither_the_object_nor_the_server() {
    let mut site = Site::new().await;
    let mut wanted = site.publish(&json!({})).await;
    assert!(matches!(site.sync(&wanted).await, Outcome::Synced(_)));
    let requests = site.git.requests();
    site.worker.surroundings = refusing();
    wanted.repo = RepoUrl::parse(BY_SSH).unwrap();
    // The labels are needed for every sync, and the API server refuses them.
    let error = error(site.sync(&wanted).await);
    assert!(error.starts_with("cannot read the labels"), "{error}");
    assert_eq!(site.git.requests(), requests);
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
            site.folder.path().join("data/config/tags/boiler.json"),
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
        std::fs::write(site.folder.path().join(stray(index)), "").unwrap();
    };
    std::fs::create_dir(site.folder.path().join("data/config")).unwrap();
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
    std::fs::write(site.folder.path().join("confirm"), wanted.commit.as_str()).unwrap();
    assert!(matches!(site.sync(&wanted).await, Outcome::Synced(_)));
    assert!(!site.folder.path().join(stray(1)).exists());
}
