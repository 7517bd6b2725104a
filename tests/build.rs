//! Builds the guests that the tests drop in.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use stoker_guest_build::{Guests, workspace_of};

/// What is built at once has the same features of what it shares, so a guest with the standard library is built apart
/// from one without.
const GUESTS: [&[&str]; 2] = [
    &[
        "stoker-guest-dozen",
        "stoker-guest-hostile",
        "stoker-guest-hostile-describe",
        "stoker-guest-hostile-start",
        "stoker-guest-plain-std",
        "stoker-guest-unfiltered",
    ],
    &["stoker-guest-dozen-std"],
];

fn main() -> ExitCode {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let workspace = workspace_of(&package);
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default()
        .join("guests");
    let built = GUESTS.iter().try_for_each(|packages| {
        let guests = Guests {
            workspace: &workspace,
            packages,
            out: &out,
        };
        guests.build()
    });
    match built {
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
