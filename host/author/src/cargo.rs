//! Builds the core module of a Rust package.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use stoker_guest_build::{STACK, TRIPLE};

use super::error::AuthorError;

/// One of cargo's JSON messages (The Cargo Book, "External tools"). Messages of other kinds lack these fields.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    reason: String,
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    kind: Vec<String>,
}

/// Compiles the package in a directory and returns its module.
pub(super) fn build(directory: &Path, profile: &str) -> Result<PathBuf, AuthorError> {
    // If rustc cannot be run, cargo reports the cause better.
    if matches!(stoker_guest_build::is_installed(directory), Ok(false)) {
        return Err(AuthorError::NoTarget);
    }
    let manifest = directory.join("Cargo.toml");
    // `RUSTFLAGS`, and the project's own flags for this target, override these flags.
    let flags = format!("build.rustflags=[\"{STACK}\"]");
    let mut child = Command::new("cargo")
        .args(["build", "--profile", profile, "--target", TRIPLE])
        .args([
            "--message-format=json-render-diagnostics",
            "--config",
            &flags,
        ])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| AuthorError::Start {
            program: "cargo".to_owned(),
            source,
        })?;
    let mut module = None;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            module = module_of(&line, &manifest).or(module);
        }
    }
    let status = child.wait().map_err(AuthorError::file(&manifest))?;
    if !status.success() {
        return Err(AuthorError::Cargo);
    }
    module.ok_or(AuthorError::NoModule(manifest))
}

/// Returns the module that a message reports, if it belongs to the package.
fn module_of(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let is_module = message.reason == "compiler-artifact"
        && message.manifest_path == manifest
        && message.target.kind.iter().any(|kind| kind == "cdylib");
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|end| end == "wasm");
    is_module
        .then(|| message.filenames.into_iter().find(is_wasm))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_one_of_the_package() {
        let line = |manifest: &str, kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","target":{{"kind":["{kind}"]}},"filenames":["/t/a.rlib","/t/a.wasm"]}}"#
            )
        };
        let manifest = Path::new("/p/Cargo.toml");
        let module = |line: String| module_of(&line, manifest);
        assert_eq!(
            module(line("/p/Cargo.toml", "cdylib")),
            Some("/t/a.wasm".into())
        );
        assert_eq!(module(line("/p/Cargo.toml", "lib")), None);
        assert_eq!(module(line("/q/Cargo.toml", "cdylib")), None);
        assert_eq!(
            module(r#"{"reason":"build-finished","success":true}"#.into()),
            None
        );
    }
}
