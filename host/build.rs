//! Builds the plugins that are part of the binary.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use stoker_guest_build::{Guests, workspace_of};

const BUILT_IN: [&str; 11] = [
    "stoker-plugin-gitea",
    "stoker-plugin-github",
    "stoker-plugin-gitlab",
    "stoker-plugin-bitbucket",
    "stoker-plugin-azure-devops",
    "stoker-plugin-codecommit",
    "stoker-plugin-registry",
    "stoker-plugin-cloudevents",
    "stoker-plugin-argocd",
    "stoker-plugin-kargo",
    "stoker-plugin-generic",
];
/// The plugin that `stoker demo` adds while it runs.
const EXAMPLE: &str = "stoker-plugin-shipit";

fn main() -> ExitCode {
    // Read at run time: the script may have been compiled for a checkout that has moved since.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let workspace = workspace_of(&package);
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let mut packages = BUILT_IN.to_vec();
    if env::var_os("CARGO_FEATURE_SANDBOX").is_some() {
        packages.push(EXAMPLE);
    }
    let guests = Guests {
        workspace: &workspace,
        packages: &packages,
        out: &out.join("plugins"),
    };
    if let Err(error) = guests.build() {
        println!("cargo::error={error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
