//! Checks that no accepted webhook is lost while servers fail: two replicas of Stoker on a real control plane receive
//! webhooks at a fixed rate, while the API server and the replicas are stopped and started again.
//!
//! A webhook that is answered with 202 must be stored on its object, or a later one instead of it.

mod deliveries;
mod disturbances;
mod history;
mod verdict;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_local_cluster::GitServer;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use self::deliveries::Load;
use self::disturbances::Disturbances;
use self::history::History;
use self::verdict::Evidence;
pub use self::verdict::Verdict;
use crate::SECRET;
use crate::control_plane::ControlPlane;
use crate::objects::{api_secret, gateway_sync};
use crate::stoker_process::StokerProcess;

/// The webhooks per second, to all objects together.
const RATE: u32 = 50;
/// The number of objects.
const OBJECTS: usize = 25;
/// The namespace of the objects and of the lease.
const NAMESPACE: &str = "nothing-lost";
/// The time limit for the controller to handle the last requests.
const SETTLE_LIMIT: Duration = Duration::from_mins(1);

/// The settings of a run.
#[derive(Debug)]
pub struct Settings {
    /// The directory of kube-apiserver and etcd.
    pub assets: PathBuf,
    /// The binary of Stoker.
    pub stoker: PathBuf,
    /// The time during which webhooks are sent.
    pub time: Duration,
}

/// Runs the servers and the load, and compares the answers with the objects.
///
/// All processes end when the future is dropped, or when this process ends.
///
/// # Errors
///
/// Fails if a server cannot be started, or if a disturbance is not over when the load ends.
pub async fn run(settings: &Settings) -> Result<Verdict> {
    let mut plane = ControlPlane::start(&settings.assets).await?;
    let client = crate::test_cluster::real_cluster(plane.kubeconfig_path()).await?;
    let total = u32::try_from(settings.time.as_secs())? * RATE;
    let git = repository(total).await?;
    create_objects(&client, git.url()).await?;

    let directory = TempDir::new()?;
    let mut replicas = start_replicas(settings, &plane, directory.path()).await?;
    let objects: Api<GatewaySync> = Api::namespaced(client.clone(), NAMESPACE);
    let start = Instant::now();
    let history = History::follow(objects.clone(), start);
    let ports = [replicas[0].port(), replicas[1].port()];
    let load = Arc::new(Load::new(ports, start)?);
    let sending = tokio::spawn(async move { load.send(total).await });
    let disturbances = Disturbances {
        plane: &mut plane,
        replicas: &mut replicas,
        client: client.clone(),
        start,
        time: settings.time,
    };
    let windows = disturbances.run().await?;
    ensure!(
        start.elapsed() < settings.time,
        "the disturbances took {:?}, so the run was too short",
        start.elapsed()
    );
    let deliveries = sending.await??;
    let unhandled = until_handled(&objects).await?;
    let last = last_requests(&objects).await?;
    for replica in &mut replicas {
        replica.check_running()?;
    }
    Ok(Verdict::new(&Evidence {
        deliveries,
        stores: history.stores(),
        last,
        windows,
        unhandled,
    }))
}

async fn start_replicas(
    settings: &Settings,
    plane: &ControlPlane,
    directory: &Path,
) -> Result<[StokerProcess; 2]> {
    let kubeconfig = plane.kubeconfig_path();
    let secret = directory.join("secret");
    std::fs::write(&secret, SECRET).context("cannot write the secret")?;
    let create = |name| {
        let flags = [
            "--leader-elect".to_owned(),
            "--log=warn".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--webhook-hmac-secret-file={}", secret.display()),
            format!("--watch-namespace={NAMESPACE}"),
            format!("--pod-namespace={NAMESPACE}"),
            format!("--pod-name={name}"),
        ];
        StokerProcess::new(name, &settings.stoker, flags, directory)
    };
    let mut replicas = [create("replica-0")?, create("replica-1")?];
    for replica in &mut replicas {
        replica.start().await?;
    }
    Ok(replicas)
}

/// Returns a repository with one tag for each delivery, so that every request can be resolved.
async fn repository(total: u32) -> Result<GitServer> {
    let git = GitServer::start().await?;
    let commit = git.commit("main", "Start").await?;
    let mut updates = String::new();
    for number in 0..total {
        let tag = deliveries::tag(number);
        writeln!(updates, "create refs/tags/{tag} {commit}")?;
    }
    run_git(git.directory(), &["update-ref", "--stdin"], &updates).await?;
    // Thousands of files would make each lookup slow.
    run_git(git.directory(), &["pack-refs", "--all"], "").await?;
    Ok(git)
}

async fn run_git(directory: &Path, arguments: &[&str], input: &str) -> Result<()> {
    let mut child = tokio::process::Command::new("git")
        .arg("--git-dir")
        .arg(directory)
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run git")?;
    let mut stdin = child.stdin.take().context("git has no input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let status = child.wait().await?;
    ensure!(status.success(), "git {arguments:?} failed: {status}");
    Ok(())
}

/// Returns the name of an object.
fn object_name(object: usize) -> String {
    format!("plant-{object}")
}

async fn create_objects(client: &Client, repo: &str) -> Result<()> {
    let params = PostParams::default();
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    Api::all(client.clone()).create(&params, &namespace).await?;
    Api::namespaced(client.clone(), NAMESPACE)
        .create(&params, &api_secret()?)
        .await?;
    let objects: Api<GatewaySync> = Api::namespaced(client.clone(), NAMESPACE);
    for object in 0..OBJECTS {
        let spec = json!({"polling": {"enabled": false}});
        let object = gateway_sync(&object_name(object), repo, &spec)?;
        objects.create(&params, &object).await?;
    }
    Ok(())
}

/// Waits until the controller has handled the request of every object, and returns the number of the others.
async fn until_handled(objects: &Api<GatewaySync>) -> Result<usize> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    loop {
        let list = objects.list(&kube::api::ListParams::default()).await?;
        let is_handled = |object: &&GatewaySync| {
            let status = object.status.as_ref();
            status.and_then(|status| status.last_handled_requested_at.as_deref())
                == object.requested_at()
        };
        let unhandled = list.items.len() - list.items.iter().filter(is_handled).count();
        if unhandled == 0 || Instant::now() >= deadline {
            return Ok(unhandled);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns the number of the delivery whose ref each object has.
async fn last_requests(objects: &Api<GatewaySync>) -> Result<Vec<Option<u32>>> {
    let mut last = Vec::with_capacity(OBJECTS);
    for object in 0..OBJECTS {
        let object = objects.get(&object_name(object)).await?;
        last.push(object.requested_ref().and_then(deliveries::number_of));
    }
    Ok(last)
}
