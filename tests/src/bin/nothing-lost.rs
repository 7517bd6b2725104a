//! Checks that no accepted webhook is lost while the API server and the replicas of Stoker are stopped and started.

#![expect(
    clippy::print_stdout,
    reason = "the report is the output of this program"
)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use stoker_tests::nothing_lost::{self, Settings};
use tokio::signal::unix::{SignalKind, signal};

/// Sends webhooks to two replicas of Stoker while servers are stopped and started, and checks the answers.
#[derive(Debug, Parser)]
#[command(name = "nothing-lost")]
struct Arguments {
    /// The directory that holds kube-apiserver and etcd
    #[arg(long, value_name = "DIR", env = "KUBEBUILDER_ASSETS")]
    assets: PathBuf,

    /// The binary of Stoker
    #[arg(long, value_name = "FILE", default_value = "target/release/stoker")]
    stoker: PathBuf,

    /// The time during which webhooks are sent
    #[arg(default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(100..))]
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let settings = Settings {
        assets: arguments.assets,
        stoker: arguments.stoker,
        time: Duration::from_secs(arguments.seconds),
    };
    // A signal ends the run like an error does, so that the servers are stopped and their directories removed.
    let mut terminate = signal(SignalKind::terminate())?;
    let verdict = tokio::select! {
        verdict = nothing_lost::run(&settings) => verdict?,
        _ = terminate.recv() => bail!("terminated"),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted")
        }
    };
    println!("{verdict}");
    if !verdict.failures().is_empty() {
        bail!("the run failed:\n{}", verdict.failures().join("\n"));
    }
    Ok(())
}
