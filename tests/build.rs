//! Builds the guests that the tests drop in.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stoker_guest_build::{Guests, workspace_of};

const GUESTS: [&str; 4] = [
    "stoker-guest-hostile",
    "stoker-guest-hostile-describe",
    "stoker-guest-hostile-start",
    "stoker-guest-plain-std",
];

fn main() -> ExitCode {
    let workspace = workspace_of(Path::new(env!("CARGO_MANIFEST_DIR")));
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default()
        .join("guests");
    match (Guests {
        workspace: &workspace,
        packages: &GUESTS,
        out: &out,
    })
    .build()
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn fail(why: &str) {
    println!("cargo::error={why}");
}
