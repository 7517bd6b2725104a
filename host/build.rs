//! Builds the plugins that are part of the binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stoker_guest_build::{Guests, workspace_of};

const BUILT_IN: [&str; 10] = [
    "stoker-plugin-gitea",
    "stoker-plugin-github",
    "stoker-plugin-gitlab",
    "stoker-plugin-bitbucket",
    "stoker-plugin-azure-devops",
    "stoker-plugin-registry",
    "stoker-plugin-cloudevents",
    "stoker-plugin-argocd",
    "stoker-plugin-kargo",
    "stoker-plugin-generic",
];
/// The one that the demo drops in.
const EXAMPLE: &str = "stoker-plugin-shipit";

fn main() -> ExitCode {
    let workspace = workspace_of(Path::new(env!("CARGO_MANIFEST_DIR")));
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default()
        .join("plugins");
    let mut packages = BUILT_IN.to_vec();
    if env::var_os("CARGO_FEATURE_SANDBOX").is_some() {
        packages.push(EXAMPLE);
    }
    match (Guests {
        workspace: &workspace,
        packages: &packages,
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
