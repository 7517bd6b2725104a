//! The attacked process: `stoker run`, with an API server in another process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use stoker_api::GatewaySync;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::list::{HEALTHY_NAME, NAME, NAMESPACE};
use crate::SECRET;
use crate::control_plane::free_port;
use crate::control_plane::server::Server;

/// The time limit of each start.
const LIMIT: Duration = Duration::from_mins(1);
/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(50);

/// An API server, with the object that all webhooks are for.
pub(super) struct Sandbox {
    server: Server,
    directory: TempDir,
}

impl Sandbox {
    /// Starts `stoker sandbox`, and creates the object.
    pub(super) async fn start(stoker: &Path) -> Result<Self> {
        let directory = TempDir::new()?;
        std::fs::write(directory.path().join("secret"), SECRET)?;
        let program = std::path::absolute(stoker)?;
        let arguments = ["sandbox", "--kubeconfig=kubeconfig"].map(str::to_owned);
        let server = Server::start("sandbox", &program, &arguments, directory.path())?;
        let mut sandbox = Self { server, directory };
        let client = sandbox.client().await?;
        let objects = Api::<GatewaySync>::namespaced(client, NAMESPACE);
        // Nothing is read from git while an object is paused, so that only webhooks are measured.
        let object = |name: &str| {
            json!({
                "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "metadata": {"name": name},
                "spec": {
                    "paused": true,
                    "git": {"repo": "https://git.example.com/demo/plant.git", "ref": "main"},
                    "gateway": {"api": {"secretName": "gateway-api"}},
                    "sync": {"profiles": {"edge": {"mappings": [{"source": "config", "destination": "config"}]}}},
                },
            })
        };
        for name in [NAME, HEALTHY_NAME] {
            let object = serde_json::from_value(object(name))?;
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
            self.server.check_running()?;
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

/// A process of Stoker, which is killed when the value is dropped.
pub(super) struct Target {
    server: Server,
    port: u16,
}

impl Target {
    /// Starts Stoker, and waits until it is ready.
    pub(super) async fn start(sandbox: &Sandbox, stoker: &Path) -> Result<Self> {
        let (port, probes) = (free_port()?, free_port()?);
        let arguments = [
            "run".to_owned(),
            "--log=warn".to_owned(),
            "--kubeconfig=kubeconfig".to_owned(),
            "--webhook-hmac-secret-file=secret".to_owned(),
            format!("--webhook-receiver-port={port}"),
            format!("--health-probe-bind-address=127.0.0.1:{probes}"),
        ];
        let program = std::path::absolute(stoker)?;
        let server = Server::start("stoker", &program, &arguments, sandbox.directory.path())?;
        let mut target = Self { server, port };
        let url = format!("http://127.0.0.1:{probes}/readyz");
        let client = stoker_http_client::http_client()?;
        let deadline = Instant::now() + LIMIT;
        while !client
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            target.check_running()?;
            ensure!(Instant::now() < deadline, "Stoker is not ready");
            sleep(PAUSE).await;
        }
        Ok(target)
    }

    /// Returns the port of the receiver.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Fails if the process has ended.
    pub(super) fn check_running(&mut self) -> Result<()> {
        self.server.check_running().context("Stoker ended")
    }
}
