//! The standard library for WebAssembly, which rustup installs if it is missing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// The target of all guests. It has no WASI, so guests import only the interface.
pub const TRIPLE: &str = "wasm32-unknown-unknown";

/// Installs the target if it is missing. With `RUSTUP_AUTO_INSTALL=0`, rustup does not add the targets of
/// `rust-toolchain.toml` to an installed toolchain.
pub(super) fn ensure() -> Result<(), Error> {
    if is_installed(Path::new("."))? {
        return Ok(());
    }
    let toolchain = env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".to_owned());
    let added = Command::new("rustup")
        .args(["target", "add", TRIPLE, "--toolchain", &toolchain])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match added {
        Ok(status) if status.success() && is_installed(Path::new("."))? => Ok(()),
        _ => Err(Error::NoTarget { toolchain }),
    }
}

/// Reports whether the toolchain that is used in a directory has the target.
pub fn is_installed(directory: &Path) -> Result<bool, Error> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(&rustc)
        .args(["--print", "sysroot"])
        .current_dir(directory)
        .output();
    let output = output.map_err(|source| Error::Run {
        program: rustc,
        source,
    })?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(sysroot
        .join("lib/rustlib")
        .join(TRIPLE)
        .join("lib")
        .is_dir())
}
