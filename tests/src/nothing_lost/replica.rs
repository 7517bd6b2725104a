//! One replica of Stoker, which is stopped and started again on the same port.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::NAMESPACE;
use crate::SECRET;
use crate::control_plane::free_port;
use crate::control_plane::server::Server;

/// The time limit of a start, and of an end with its drain.
const LIMIT: Duration = Duration::from_secs(30);
/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(50);

/// A replica of Stoker. Its process is killed when the value is dropped.
pub(super) struct Replica {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    port: u16,
    probes: u16,
    server: Option<Server>,
}

impl Replica {
    /// Chooses the ports of a replica, which is not started yet. Its log is in `directory`.
    pub(super) fn new(
        name: &'static str,
        program: &Path,
        kubeconfig: &Path,
        directory: &Path,
    ) -> Result<Self> {
        let (port, probes) = (free_port()?, free_port()?);
        let secret = directory.join("secret");
        std::fs::write(&secret, SECRET).context("cannot write the secret")?;
        let arguments = [
            "run".to_owned(),
            "--leader-elect".to_owned(),
            "--log=warn".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--webhook-hmac-secret-file={}", secret.display()),
            format!("--webhook-receiver-port={port}"),
            format!("--health-probe-bind-address=127.0.0.1:{probes}"),
            format!("--watch-namespace={NAMESPACE}"),
            format!("--pod-namespace={NAMESPACE}"),
            format!("--pod-name={name}"),
        ];
        Ok(Self {
            name,
            // The process has another working directory.
            program: std::path::absolute(program)?,
            arguments: arguments.into(),
            directory: directory.to_owned(),
            port,
            probes,
            server: None,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the port of the receiver.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn start(&mut self) -> Result<()> {
        let server = Server::start(self.name, &self.program, &self.arguments, &self.directory)?;
        self.server = Some(server);
        Ok(())
    }

    /// Waits until the probe reports that the replica is ready.
    pub(super) async fn until_ready(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.probes);
        let client = stoker_http_client::http_client()?;
        let deadline = Instant::now() + LIMIT;
        loop {
            self.check_running()?;
            let answer = client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} is not ready", self.name);
            sleep(PAUSE).await;
        }
    }

    /// Fails if the process has ended by itself.
    pub(super) fn check_running(&mut self) -> Result<()> {
        self.server
            .as_mut()
            .context("the replica does not run")?
            .check_running()
    }

    /// Ends the process at once, as `kill -9` does.
    pub(super) fn kill(&mut self) {
        drop(self.server.take());
    }

    /// Ends the process by SIGTERM, and waits until it has drained.
    pub(super) async fn terminate(&mut self) -> Result<()> {
        let mut server = self.server.take().context("the replica does not run")?;
        server.signal(Signal::SIGTERM)?;
        let deadline = Instant::now() + LIMIT;
        while !server.has_exited()? {
            ensure!(Instant::now() < deadline, "{} does not end", self.name);
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
