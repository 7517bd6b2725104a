//! `stoker`: parse, run, and say on one line what went wrong.

use std::process::ExitCode;

use stoker::app;
use stoker::cli;

/// A webhook is hundreds of small, short-lived allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
#[expect(
    clippy::print_stderr,
    reason = "the error of a failed command is printed after its log has ended"
)]
async fn main() -> ExitCode {
    match app::run(cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", stoker_report::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
