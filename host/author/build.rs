//! Lists the files of the templates, so that `scaffold` can include them.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Read at run time: the script may have been compiled for a checkout that has moved since.
    let directory = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let templates = directory("CARGO_MANIFEST_DIR").join("templates");
    println!("cargo::rerun-if-changed={}", templates.display());
    let output = directory("OUT_DIR").join("templates.rs");
    match list(&templates).and_then(|list| fs::write(output, list)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error=cannot list {}: {error}", templates.display());
            ExitCode::FAILURE
        }
    }
}

/// Returns the template files as a Rust expression: the template, the path in it and the content of each file. A macro
/// that reads the directory at compile time would not notice a file that is added later.
fn list(templates: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    collect(templates, &mut files)?;
    files.sort();
    let mut list = "&[".to_owned();
    for path in files {
        let in_templates = path.strip_prefix(templates).unwrap_or(&path);
        let mut parts = in_templates.components();
        let template = parts.next();
        let template = template.as_ref().map_or(Path::new(""), AsRef::as_ref);
        let texts = [template, parts.as_path(), &path].map(|path| path.display().to_string());
        let [template, name, path] = texts;
        // Writing to a `String` cannot fail.
        let _ = write!(list, "({template:?}, {name:?}, include_bytes!({path:?})),");
    }
    list.push(']');
    Ok(list)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
