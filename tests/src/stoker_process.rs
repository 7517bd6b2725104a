//! A process of `stoker run` on ports of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use stoker_http_client::http_client;
use tokio::time::{Instant, sleep};

use crate::process::{Process, free_port};

/// The time limit of a start.
const START_LIMIT: Duration = Duration::from_mins(1);
/// The time limit of an end with its drain.
const END_LIMIT: Duration = Duration::from_secs(30);
/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(50);

/// A process of `stoker run`, which can be stopped and started again on the same ports. It is killed when the value is
/// dropped.
pub(crate) struct StokerProcess {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
    directory: PathBuf,
    port: u16,
    probes: u16,
    process: Option<Process>,
}

impl StokerProcess {
    /// Chooses the ports of a process, which is not started yet. `flags` are those of `stoker run`, except the ports.
    /// The process runs in `directory`, and its log is there.
    pub(crate) fn new(
        name: &'static str,
        program: &Path,
        flags: impl IntoIterator<Item = String>,
        directory: &Path,
    ) -> Result<Self> {
        let (port, probes) = (free_port()?, free_port()?);
        let mut arguments = vec![
            "run".to_owned(),
            format!("--webhook-receiver-port={port}"),
            format!("--health-probe-bind-address=127.0.0.1:{probes}"),
        ];
        arguments.extend(flags);
        Ok(Self {
            name,
            // The process has another working directory.
            program: std::path::absolute(program)?,
            arguments,
            variables: Vec::new(),
            directory: directory.to_owned(),
            port,
            probes,
            process: None,
        })
    }

    /// Sets a variable of the environment, which is empty otherwise.
    pub(crate) fn with_variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the port of the receiver.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a path of the probes.
    pub(crate) fn probe(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.probes)
    }

    /// Returns the id of the process.
    pub(crate) fn pid(&self) -> Result<u32> {
        let process = self.process.as_ref().context("the process does not run")?;
        Ok(process.id())
    }

    /// Starts the process, and waits until it is ready.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let process = Process::start_with(
            self.name,
            &self.program,
            &self.arguments,
            &self.variables,
            &self.directory,
        )?;
        self.process = Some(process);
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> Result<()> {
        let client = http_client()?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            self.check_running()?;
            let answer = client.get(self.probe("/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} is not ready", self.name);
            sleep(PAUSE).await;
        }
    }

    /// Fails if the process has ended by itself.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("the process does not run")?;
        process.check_running()
    }

    /// Ends the process at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Ends the process by SIGTERM, and waits until it has drained.
    pub(crate) async fn terminate(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the process does not run")?;
        process.signal(Signal::SIGTERM)?;
        let deadline = Instant::now() + END_LIMIT;
        while !process.has_exited()? {
            ensure!(Instant::now() < deadline, "{} does not end", self.name);
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
