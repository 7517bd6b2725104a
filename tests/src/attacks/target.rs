//! The attacked process: `stoker run`, with an API server in another process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use stoker_api::GatewaySync;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::list::{HEALTHY_NAME, NAME, NAMESPACE};
use crate::SECRET;
use crate::objects::gateway_sync;
use crate::process::Process;
use crate::stoker_process::StokerProcess;

/// The time limit of the start.
const LIMIT: Duration = Duration::from_mins(1);
/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(50);

/// An API server, with the object that all webhooks are for.
pub(super) struct Sandbox {
    process: Process,
    directory: TempDir,
}

impl Sandbox {
    /// Starts `stoker sandbox`, and creates the object.
    pub(super) async fn start(stoker: &Path) -> Result<Self> {
        let directory = TempDir::new()?;
        std::fs::write(directory.path().join("secret"), SECRET)?;
        let program = std::path::absolute(stoker)?;
        let arguments = ["sandbox", "--kubeconfig=kubeconfig"].map(str::to_owned);
        let process = Process::start("sandbox", &program, &arguments, directory.path())?;
        let mut sandbox = Self { process, directory };
        let client = sandbox.client().await?;
        let objects = Api::<GatewaySync>::namespaced(client, NAMESPACE);
        // Nothing is read from git while an object is paused, so that only webhooks are measured.
        let repo = "https://git.example.com/demo/plant.git";
        for name in [NAME, HEALTHY_NAME] {
            let object = gateway_sync(name, repo, &json!({"paused": true}))?;
            objects.create(&PostParams::default(), &object).await?;
        }
        Ok(sandbox)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Waits for the kubeconfig file, and returns a client.
    async fn client(&mut self) -> Result<Client> {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.process.check_running()?;
            if let Ok(file) = Kubeconfig::read_from(self.kubeconfig()) {
                let options = KubeConfigOptions::default();
                let config = Config::from_custom_kubeconfig(file, &options).await?;
                return Ok(Client::try_from(config)?);
            }
            ensure!(Instant::now() < deadline, "the sandbox is not ready");
            sleep(PAUSE).await;
        }
    }
}

/// Starts the process that is attacked, and waits until it is ready.
pub(super) async fn start_stoker(sandbox: &Sandbox, stoker: &Path) -> Result<StokerProcess> {
    let flags = [
        "--log=warn",
        "--kubeconfig=kubeconfig",
        "--webhook-hmac-secret-file=secret",
    ];
    let flags = flags.map(str::to_owned);
    let mut process = StokerProcess::new("stoker", stoker, flags, sandbox.directory.path())?;
    process.start().await?;
    Ok(process)
}
