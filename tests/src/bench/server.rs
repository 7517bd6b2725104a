//! A measured server, which is a separate process and is killed at the end.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use stoker_http_client::http_client;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{load, process};
use crate::process::{Process, free_port};
use crate::stoker_process::StokerProcess;
use crate::{SECRET, TestCluster};

/// The time limit for the minimal server to start.
const FLOOR_LIMIT: Duration = Duration::from_secs(30);
/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(20);

/// A measured server.
pub struct Server {
    running: Running,
    /// The working directory, with the log.
    _directory: TempDir,
}

enum Running {
    Stoker(StokerProcess),
    Floor { process: Process, port: u16 },
}

impl Server {
    /// Starts `stoker run` against the cluster's API server, with these drop-in plugins and settings. The variable
    /// `STOKER` names another program than the one beside this one, such as that of the image.
    pub async fn stoker(
        cluster: &TestCluster,
        plugins: Option<&Path>,
        settings: Option<&Path>,
    ) -> Result<Self> {
        let kubeconfig = cluster.kubeconfig()?;
        let binary = match std::env::var_os("STOKER") {
            Some(program) => std::path::absolute(program)?,
            None => std::env::current_exe()?.with_file_name("stoker"),
        };
        let mut flags = vec![
            "--log=error".to_owned(),
            "--webhook-rate=1000000".to_owned(),
            "--trusted-proxies=127.0.0.1".to_owned(),
        ];
        let files = [
            ("--kubeconfig", Some(kubeconfig.as_path())),
            ("--plugin-dir", plugins),
            ("--plugin-settings", settings),
        ];
        for (flag, path) in files {
            if let Some(path) = path {
                // The process has another working directory.
                let path = std::path::absolute(path)?;
                flags.push(format!("{flag}={}", path.display()));
            }
        }
        let directory = TempDir::new()?;
        let mut stoker = StokerProcess::new("stoker", &binary, flags, directory.path())?
            .with_variable("WEBHOOK_HMAC_SECRET", SECRET);
        stoker.start().await?;
        Ok(Self {
            running: Running::Stoker(stoker),
            _directory: directory,
        })
    }

    /// Starts the minimal server for comparison.
    pub async fn floor() -> Result<Self> {
        let (port, directory) = (free_port()?, TempDir::new()?);
        let arguments = ["floor".to_owned(), port.to_string()];
        let program = std::env::current_exe()?;
        let mut process = Process::start("floor", &program, &arguments, directory.path())?;
        let deadline = Instant::now() + FLOOR_LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            process.check_running()?;
            ensure!(Instant::now() < deadline, "the server does not answer");
            sleep(PAUSE).await;
        }
        Ok(Self {
            running: Running::Floor { process, port },
            _directory: directory,
        })
    }

    /// Returns the id of the process.
    pub fn pid(&self) -> Result<u32> {
        match &self.running {
            Running::Stoker(stoker) => stoker.pid(),
            Running::Floor { process, .. } => Ok(process.id()),
        }
    }

    /// Returns the port, on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.running {
            Running::Stoker(stoker) => stoker.port(),
            Running::Floor { port, .. } => *port,
        }
    }

    /// Returns the state of the plugins.
    pub async fn plugins(&self) -> Result<Vec<stoker::plugin::PluginStatus>> {
        let Running::Stoker(stoker) = &self.running else {
            bail!("the minimal server has no plugins");
        };
        let answer = http_client()?.get(stoker.probe("/plugins")).send().await?;
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
        let outcome = load::run(self.port(), requests, total, connections, status).await?;
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
