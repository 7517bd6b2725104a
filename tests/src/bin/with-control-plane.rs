//! Runs a command with a Kubernetes control plane of its own.

#![expect(
    clippy::print_stderr,
    reason = "this program reports on standard error; standard output belongs to the command"
)]

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stoker_tests::control_plane::ControlPlane;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::time::timeout;

/// The time limit for the command to stop after each signal. It exceeds the ten
/// seconds that test runners usually give their tests.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Starts etcd and kube-apiserver, runs a command against them and stops them.
///
/// The command gets the cluster in KUBECONFIG and in `STOKER_TEST_KUBECONFIG`.
/// Only this program sets the second variable, so that a test that reads it
/// cannot change another cluster by mistake.
#[derive(Debug, Parser)]
#[command(name = "with-control-plane", verbatim_doc_comment)]
struct Arguments {
    /// The directory that holds kube-apiserver and etcd
    #[arg(long, value_name = "DIR", env = "KUBEBUILDER_ASSETS")]
    assets: Option<PathBuf>,

    /// Use the cluster that KUBECONFIG names, and start nothing
    #[arg(long)]
    use_kubeconfig: bool,

    /// The command to run, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("with-control-plane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<u8> {
    // Signals are handled before anything is started, so that the servers are
    // stopped whenever this process is.
    let mut stop_requests = StopRequests::listen()?;
    let cluster = tokio::select! {
        cluster = Cluster::provide(&arguments) => cluster?,
        request = stop_requests.next() => return Ok(code_for_signal(request)),
    };
    eprintln!("with-control-plane: {}", cluster.describe());

    let mut command = spawn(&arguments.command, &cluster)?;
    let (status, request) = tokio::select! {
        status = command.wait() => (status, None),
        request = stop_requests.next() => {
            let status = stop(&mut command, request, &mut stop_requests).await;
            (status, Some(request))
        }
    };
    let status = status.context("cannot wait for the command")?;
    // An interrupted run is not a success, even if the command exits with 0.
    Ok(request.map_or_else(|| code_for_status(status), code_for_signal))
}

/// The cluster of the command.
enum Cluster {
    Own(Box<ControlPlane>),
    Given(OsString),
}

impl Cluster {
    async fn provide(arguments: &Arguments) -> Result<Self> {
        if arguments.use_kubeconfig {
            let kubeconfig = std::env::var_os("KUBECONFIG")
                .context("--use-kubeconfig needs KUBECONFIG to be set")?;
            return Ok(Self::Given(kubeconfig));
        }
        let assets = arguments.assets.as_deref().context(
            "--assets or KUBEBUILDER_ASSETS must name the directory with kube-apiserver and etcd",
        )?;
        let control_plane = ControlPlane::start(assets)
            .await
            .context("cannot start the control plane")?;
        Ok(Self::Own(Box::new(control_plane)))
    }

    fn kubeconfig(&self) -> OsString {
        match self {
            Self::Own(control_plane) => control_plane.kubeconfig_path().into(),
            Self::Given(kubeconfig) => kubeconfig.clone(),
        }
    }

    fn describe(&self) -> String {
        let kubeconfig = self.kubeconfig();
        let kubeconfig = kubeconfig.display();
        match self {
            Self::Own(control_plane) => {
                let version = control_plane.version();
                format!("Kubernetes {version} is ready; KUBECONFIG={kubeconfig}")
            }
            Self::Given(_) => format!("using the given cluster; KUBECONFIG={kubeconfig}"),
        }
    }
}

fn spawn(command: &[OsString], cluster: &Cluster) -> Result<Child> {
    let (program, arguments) = command.split_first().context("no command given")?;
    let mut command = Command::new(program);
    if let Cluster::Own(_) = cluster {
        command.env("NO_PROXY", no_proxy());
    }
    command
        .args(arguments)
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("STOKER_TEST_KUBECONFIG", cluster.kubeconfig())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))
}

/// Returns the hosts for which the command must not use a proxy: the configured
/// ones, and the loopback address of its own cluster.
fn no_proxy() -> OsString {
    let configured = ["NO_PROXY", "no_proxy"]
        .into_iter()
        .filter_map(std::env::var_os)
        .find(|hosts| !hosts.is_empty());
    let Some(mut hosts) = configured else {
        return "127.0.0.1".into();
    };
    hosts.push(",127.0.0.1");
    hosts
}

/// Stops the command. If it takes too long or another signal arrives, the next
/// signal is stronger.
async fn stop(
    command: &mut Child,
    request: Signal,
    stop_requests: &mut StopRequests,
) -> std::io::Result<ExitStatus> {
    // Ctrl-C in a terminal reaches the command too. With a second one, most
    // test runners skip their clean-up.
    if request != Signal::SIGINT {
        send(command, Signal::SIGTERM);
    }
    for stronger in [Signal::SIGTERM, Signal::SIGKILL] {
        tokio::select! {
            outcome = timeout(STOP_LIMIT, command.wait()) => {
                if let Ok(status) = outcome {
                    return status;
                }
            }
            _ = stop_requests.next() => {}
        }
        send(command, stronger);
    }
    command.wait().await
}

fn send(command: &Child, signal: Signal) {
    // After the command ended, it has no id and needs no signal.
    let id = command.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id
        && let Err(error) = kill(Pid::from_raw(id), signal)
    {
        eprintln!("with-control-plane: cannot send {signal} to the command: {error}");
    }
}

/// The signals that stop this program.
struct StopRequests {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl StopRequests {
    fn listen() -> Result<Self> {
        let listen_for = |kind| unix::signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen_for(SignalKind::interrupt())?,
            terminate: listen_for(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
        }
    }
}

/// Returns the exit code that a shell reports for this status.
fn code_for_status(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn code_for_signal(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_a_shell() {
        assert_eq!(code_for_status(ExitStatus::from_raw(0)), 0);
        assert_eq!(code_for_status(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code_for_status(ExitStatus::from_raw(9)), 137);
        assert_eq!(code_for_signal(Signal::SIGINT), 130);
        assert_eq!(code_for_signal(Signal::SIGTERM), 143);
    }

    #[test]
    fn the_arguments_after_the_dashes_are_the_command() {
        let arguments =
            Arguments::parse_from(["with-control-plane", "--assets", "bin", "--", "ls", "-l"]);
        assert_eq!(arguments.assets, Some(PathBuf::from("bin")));
        assert_eq!(arguments.command, ["ls", "-l"]);
    }
}
