//! `stoker-agent`: brings the files of a published commit to a gateway's disk.

use std::process::ExitCode;

use clap::Parser as _;
use stoker_agent::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    stoker_agent::run(Cli::parse())
}
