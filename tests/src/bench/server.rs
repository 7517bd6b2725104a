//! A measured server, which is a separate process and is killed at the end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stoker_http_client::http_client;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::{load, process};
use crate::{SECRET, TestCluster};

/// A measured server.
pub struct Server {
    child: Child,
    port: u16,
    probes: u16,
}

impl Server {
    /// Starts `stoker run` against the cluster's API server, with these drop-in plugins and settings.
    pub async fn stoker(
        cluster: &TestCluster,
        plugins: Option<&Path>,
        settings: Option<&Path>,
    ) -> Result<Self> {
        let (port, probes) = (free_port().await?, free_port().await?);
        let kubeconfig = cluster.kubeconfig()?;
        let binary = std::env::current_exe()?.with_file_name("stoker");
        let mut command = Command::new(&binary);
        command
            .args(["run", "--log", "error"])
            .args([
                "--health-probe-bind-address",
                &format!("127.0.0.1:{probes}"),
            ])
            .args(["--webhook-receiver-port", &port.to_string()])
            .args(["--webhook-rate", "1000000"])
            .args(["--trusted-proxies", "127.0.0.1"])
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .env("WEBHOOK_HMAC_SECRET", SECRET)
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(plugins) = plugins {
            command.arg("--plugin-dir").arg(plugins);
        }
        if let Some(settings) = settings {
            command.arg("--plugin-settings").arg(settings);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Self::answers(child, port, probes).await
    }

    /// Starts the minimal server for comparison.
    pub async fn floor() -> Result<Self> {
        let port = free_port().await?;
        let child = Command::new(std::env::current_exe()?)
            .args(["floor", &port.to_string()])
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the minimal server")?;
        Self::answers(child, port, 0).await
    }

    async fn answers(child: Child, port: u16, probes: u16) -> Result<Self> {
        let up = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), up)
            .await
            .context("the server does not answer")?;
        Ok(Self {
            child,
            port,
            probes,
        })
    }

    /// Returns the id of the process.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the server ended")
    }

    /// Returns the port, on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the state of the plugins.
    pub async fn plugins(&self) -> Result<Vec<stoker::plugin::PluginStatus>> {
        let url = format!("http://127.0.0.1:{}/plugins", self.probes);
        let answer = http_client()?.get(url).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// Sends `total` requests, and returns the processor time per request in microseconds. Each answer must be 202.
    pub async fn load(
        &self,
        requests: Vec<Vec<u8>>,
        total: usize,
        connections: usize,
    ) -> Result<(f64, load::Outcome)> {
        self.load_expecting(requests, total, connections, 202).await
    }

    /// Sends `total` requests, and returns the processor time per request in microseconds. Each answer must have this
    /// status.
    pub async fn load_expecting(
        &self,
        requests: Vec<Vec<u8>>,
        total: usize,
        connections: usize,
        status: u16,
    ) -> Result<(f64, load::Outcome)> {
        let before = process::cpu_time(self.pid()?)?;
        let outcome = load::run(self.port, requests, total, connections, status).await?;
        let used = process::cpu_time(self.pid()?)?.saturating_sub(before);
        ensure!(
            outcome.others == 0,
            "{} answers were not {status}",
            outcome.others
        );
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let each = used.as_secs_f64() * 1e6 / total as f64;
        Ok((each, outcome))
    }
}

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))
        .await?
        .local_addr()?
        .port())
}
