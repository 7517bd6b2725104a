//! Builds the component of a project, in any language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stoker_guest_build::{Recipe, componentize};

use super::error::AuthorError;
use super::manifest::{MANIFEST, Manifest, WIT};
use super::project::Project;
use super::{cargo, file, manifest};

/// The largest module that is made a component, in bytes. A Python interpreter has 40 million bytes.
const MODULE_BYTES: u64 = 256 << 20;

impl Project {
    /// Builds the component and returns its file. The output of the build goes to standard error; `progress` is called
    /// with each line of a `plugin.yaml` before that line runs.
    pub fn build(&self, profile: &str, progress: impl Fn(&str)) -> Result<PathBuf, AuthorError> {
        let directory = self.directory();
        let manifest = Manifest::read(directory)?;
        let output = match &manifest {
            Some(manifest) => {
                for line in &manifest.build {
                    progress(&format!("$ {line}"));
                    run(line, directory)?;
                }
                directory.join(&manifest.output)
            }
            None if directory.join("Cargo.toml").is_file() => cargo::build(directory, profile)?,
            None => return Err(AuthorError::NoProject(directory.to_owned())),
        };
        let bytes = file::read(&output, MODULE_BYTES).map_err(|error| {
            if error.is_not_found() {
                AuthorError::NoOutput(output.clone())
            } else {
                error
            }
        })?;
        let component = component(bytes, &output, directory, manifest.as_ref(), &progress)?;
        let path = self.component_file();
        stoker_guest_build::write(&path, &component)
            .map_err(|error| AuthorError::file(&path)(std::io::Error::other(error)))?;
        Ok(path)
    }
}

/// Returns the component that a build made, or makes a component of the module that the build made.
fn component(
    bytes: Vec<u8>,
    output: &Path,
    directory: &Path,
    manifest: Option<&Manifest>,
    progress: &impl Fn(&str),
) -> Result<Vec<u8>, AuthorError> {
    // The first eight bytes are the magic number, a version, and a layer: 0 for a core module, 1 for a component
    // (component model, binary format).
    match bytes.as_slice() {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(bytes),
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => {}
        _ => return Err(AuthorError::NotWasm(output.to_owned())),
    }
    let wit = wit(directory, manifest)?;
    let world = manifest.map_or_else(manifest::default_world, |manifest| manifest.world.clone());
    let adapter = manifest
        .and_then(|manifest| manifest.adapter.as_ref())
        .map(|path| file::read(&directory.join(path), MODULE_BYTES))
        .transpose()?;
    let recipe = Recipe {
        world: wit.as_deref().map(|wit| (wit, world.as_str())),
        adapter: adapter.as_deref(),
    };
    let component = componentize(&bytes, recipe).map_err(|source| AuthorError::Component {
        path: output.to_owned(),
        source,
    })?;
    if !component.stubs.is_empty() {
        progress(&format!(
            "plugins have no operating system: stubs replace {}; the clock stands still, random bytes are zeros, and there are no files",
            component.stubs.join(", ")
        ));
    }
    Ok(component.bytes)
}

/// Returns the directory with the WIT: the one of the manifest, which must exist, or else the default one, if it exists.
fn wit(directory: &Path, manifest: Option<&Manifest>) -> Result<Option<PathBuf>, AuthorError> {
    let Some(wit) = manifest.and_then(|manifest| manifest.wit.as_ref()) else {
        let default = directory.join(WIT);
        return Ok(default.exists().then_some(default));
    };
    let wit = directory.join(wit);
    fs::metadata(&wit).map_err(AuthorError::file(&wit))?;
    Ok(Some(wit))
}

/// Runs one line of a `plugin.yaml`. Its standard output goes to standard error, because it is not the result of this
/// command.
fn run(line: &str, directory: &Path) -> Result<(), AuthorError> {
    let status = Command::new("sh")
        .args(["-c", line])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status();
    let status = status.map_err(|source| AuthorError::Start {
        program: "sh".to_owned(),
        source,
    })?;
    if status.success() {
        return Ok(());
    }
    let how = match status.code() {
        // POSIX, "Exit Status for Commands".
        Some(127) => format!("exit code 127 (a program was not found; {MANIFEST} says which)"),
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    };
    Err(AuthorError::Line {
        line: line.to_owned(),
        how,
    })
}
