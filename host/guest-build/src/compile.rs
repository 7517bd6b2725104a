//! Compiles guests with a nested cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::target::TRIPLE;
use super::{Error, target_directory};

/// The linker flag for a stack of 64 KiB. The default of one megabyte would be most of the memory that a host resets
/// after each call.
pub const STACK: &str = "-Clink-arg=-zstack-size=65536";

/// Variables that the outer cargo sets for its own compilations, or that would change the bytes of a guest.
const NOT_INHERITED: [&str; 9] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_MAKEFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

/// Compiles the packages and returns the directory of their modules.
pub(super) fn run(workspace: &Path, packages: &[&str]) -> Result<PathBuf, Error> {
    for path in watched(packages) {
        println_cargo(&format!(
            "rerun-if-changed={}",
            workspace.join(path).display()
        ));
    }
    // The nested cargo has its own target directory, which all profiles of the outer cargo share. In a common
    // directory, the nested cargo would wait for the lock of the outer cargo, which waits for the nested cargo.
    let target_directory = target_directory(workspace, "guests");
    let mut arguments = vec![
        "build",
        "--locked",
        "--profile",
        "plugin",
        "--target",
        TRIPLE,
    ];
    for package in packages {
        arguments.extend(["--package", package]);
    }
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command
        .args(&arguments)
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", &target_directory);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if NOT_INHERITED.contains(&name.as_str())
            || name.starts_with("CARGO_PROFILE_")
            || name.starts_with("CARGO_TARGET_WASM")
        {
            command.env_remove(name);
        }
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(workspace));
    let status = command.status().map_err(|source| Error::Run {
        program: cargo,
        source,
    })?;
    if !status.success() {
        return Err(Error::Compile {
            arguments: arguments.join(" "),
        });
    }
    Ok(target_directory.join(TRIPLE).join("plugin"))
}

/// Returns the files on which the guests depend.
fn watched(packages: &[&str]) -> Vec<String> {
    let shared = ["Cargo.lock", "Cargo.toml", "rust-toolchain.toml", "wit"];
    let mut paths: Vec<_> = shared.iter().map(|&path| path.to_owned()).collect();
    let mut directories = vec!["plugins/sdk".to_owned()];
    for package in packages {
        let plugin = package.strip_prefix("stoker-plugin-");
        let guest = package.strip_prefix("stoker-guest-");
        directories.extend(plugin.map(|name| format!("plugins/{name}")));
        directories.extend(guest.map(|name| format!("tests/guests/{name}")));
    }
    for directory in directories {
        paths.extend(["Cargo.toml", "src"].map(|part| format!("{directory}/{part}")));
    }
    paths
}

/// Returns the flags of rustc. Panic messages contain the paths of source files. Without the remapping, the bytes of a
/// guest would depend on the paths of the checkout and of cargo's home.
fn flags(workspace: &Path) -> String {
    let home =
        env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo")));
    let flag = |from: &str, to: &str| format!("--remap-path-prefix={from}={to}");
    let flags = [
        STACK.to_owned(),
        flag(&workspace.display().to_string(), "stoker"),
        flag(&home.unwrap_or_default(), "cargo"),
    ];
    flags.join("\u{1f}")
}

#[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
fn println_cargo(directive: &str) {
    println!("cargo::{directive}");
}
