//! Builds the plugins that are part of the binary, and lists the templates of new ones.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
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
    // Asked when it runs: the script may have been compiled for a checkout that has moved since.
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
        return fail(&error.to_string());
    }
    if env::var_os("CARGO_FEATURE_AUTHORING").is_none() {
        return ExitCode::SUCCESS;
    }
    let templates = package.join("templates");
    println!("cargo::rerun-if-changed={}", templates.display());
    match list(&templates).and_then(|list| fs::write(out.join("templates.rs"), list)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot list {}: {error}", templates.display())),
    }
}

/// The template files as an expression: folder, name and content of each. A list rather than a macro that looks at the
/// folder, so that a file that is added is noticed.
fn list(templates: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    walk(templates, &mut files)?;
    files.sort();
    let mut list = "&[".to_owned();
    for path in files {
        let name = path.strip_prefix(templates).unwrap_or(&path);
        let mut parts = name.components();
        let folder = parts.next();
        let folder = folder.as_ref().map_or(Path::new(""), AsRef::as_ref);
        let texts = [folder, parts.as_path(), &path].map(|path| path.display().to_string());
        let [folder, name, path] = texts;
        // A text never fails to grow.
        let _ = write!(list, "({folder:?}, {name:?}, include_bytes!({path:?})),");
    }
    list.push(']');
    Ok(list)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn fail(why: &str) -> ExitCode {
    println!("cargo::error={why}");
    ExitCode::FAILURE
}
