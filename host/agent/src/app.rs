//! The commands, from their settings to their exit codes. This is the only module that combines the others.

mod machine;
mod once;
mod sidecar;
mod tasks;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use stoker_git::{FetchLimits, GitClient, GitClientConfig, ObjectStore};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command};
use crate::lock::DirectoryLock;
use crate::{memory, telemetry};

pub use sidecar::{Ports, Sidecar};

/// The number of threads. The agent shares its processors with the gateway.
const THREADS: usize = 2;

/// The signal about a file that is larger than the process may write (`ulimit -f`), which would end the process.
const SIGXFSZ: i32 = 25;

/// Runs a command, prints its error, and returns its exit code.
#[must_use]
#[expect(
    clippy::print_stderr,
    reason = "the error of a failed command is printed after its log has ended"
)]
pub fn run(cli: Cli) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let outcome = runtime
        .context("cannot start the threads")
        .and_then(|runtime| {
            let outcome = runtime.block_on(command(cli));
            // A sync that is not complete in time is aborted. The next start completes it.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", stoker_report::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn command(cli: Cli) -> Result<ExitCode> {
    // The signal is received for the life of the process, and does nothing. The write fails with an error.
    drop(signal(SignalKind::from_raw(SIGXFSZ)));
    match cli.command {
        None => {
            let is_verbose = std::env::var("LOG_DEV_MODE").is_ok_and(|text| text == "true");
            telemetry::start(is_verbose, "info");
            Box::pin(sidecar::run()).await
        }
        Some(Command::Run(flags)) => {
            telemetry::start(false, "info");
            Box::pin(machine::run(&flags.config)).await
        }
        Some(Command::Once(flags)) => {
            telemetry::start(false, "error");
            once::run(&flags).await
        }
    }
}

/// Returns a client of git servers that gets no file of more than this size in MiB, or than the memory allows.
fn git_client(max_file: Option<u16>) -> Result<GitClient> {
    let max_file = max_file.unwrap_or_else(memory::max_file_mib);
    let client = GitClient::with_config(GitClientConfig {
        fetch: FetchLimits {
            object_bytes: usize::from(max_file) * 1024 * 1024,
            ..FetchLimits::default()
        },
        ..GitClientConfig::default()
    });
    Ok(client?)
}

/// Opens the object store below the directory of the agent, and creates both if they are missing. No other agent can
/// use the directory until the lock is dropped.
fn open_store(directory: &Path) -> Result<(Arc<ObjectStore>, DirectoryLock)> {
    let path = directory.join("objects");
    std::fs::create_dir_all(&path)
        .with_context(|| format!("cannot create the directory {}", path.display()))?;
    let lock = DirectoryLock::take(directory)?;
    let store = ObjectStore::open(&path);
    let store = store.with_context(|| format!("cannot open the objects in {}", path.display()))?;
    Ok((Arc::new(store), lock))
}
