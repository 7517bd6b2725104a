//! Measures attacks against Stoker, and prints a table in Markdown for the benchmarks.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the output of this program, and standard error shows the progress"
)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use stoker_tests::attacks::{self, Settings};
use stoker_tests::bench::process;

/// Attacks `stoker run`, and measures its memory and the latency of a healthy sender.
#[derive(Debug, Parser)]
#[command(name = "attacks", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,

    /// The binary of Stoker
    #[arg(long, value_name = "FILE", default_value = "target/release/stoker")]
    stoker: PathBuf,

    /// The time before each attack, and the time of each attack
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(3..))]
    seconds: u64,

    /// An attack to measure, instead of all of them. Can be repeated
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(attacks::names()))]
    only: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Attack a port of this machine.
    #[command(hide = true)]
    Attack {
        name: String,
        port: u16,
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Attack {
        name,
        port,
        seconds,
    }) = arguments.role
    {
        let seen = attacks::attack(&name, port, Duration::from_secs(seconds)).await?;
        println!("{}", serde_json::to_string(&seen)?);
        return Ok(());
    }
    let settings = Settings {
        stoker: arguments.stoker,
        time: Duration::from_secs(arguments.seconds),
        only: arguments.only,
    };
    let report = tokio::select! {
        report = attacks::run(&settings, |line| eprintln!("attacks: {line}")) => report?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted")
        }
    };
    println!("Machine: {}.\n\n{report}", process::machine()?);
    let missed = report.missed();
    if !missed.is_empty() {
        bail!("goals were missed: {}", missed.join("; "));
    }
    Ok(())
}
