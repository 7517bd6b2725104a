//! A project to a component, whatever it is written in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stoker_guest_build::{Recipe, componentize};

use super::error::AuthorError;
use super::manifest::{self, Manifest};
use super::project::Project;
use super::{cargo, manifest::MANIFEST};

impl Project {
    /// Builds the component, and gives its file. What the build prints goes to standard error; each line of a
    /// `plugin.yaml` is told before it runs.
    pub fn build(&self, profile: &str, tell: impl Fn(&str)) -> Result<PathBuf, AuthorError> {
        let folder = self.folder();
        let manifest = Manifest::read(folder)?;
        let output = match &manifest {
            Some(manifest) => {
                for line in &manifest.build {
                    tell(&format!("$ {line}"));
                    run(line, folder)?;
                }
                folder.join(&manifest.output)
            }
            None if folder.join("Cargo.toml").is_file() => cargo::build(folder, profile)?,
            None => return Err(AuthorError::NoProject(folder.to_owned())),
        };
        let bytes = match fs::read(&output) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(AuthorError::NoOutput(output));
            }
            other => other.map_err(AuthorError::file(&output))?,
        };
        let component = component(bytes, &output, folder, manifest.as_ref(), &tell)?;
        let file = self.component_file();
        stoker_guest_build::write(&file, &component)
            .map_err(|error| AuthorError::file(&file)(std::io::Error::other(error)))?;
        Ok(file)
    }
}

/// The first eight bytes are the magic number, a version, and a layer: 0 for a core module, 1 for a component
/// (component model, binary format).
fn component(
    bytes: Vec<u8>,
    output: &Path,
    folder: &Path,
    manifest: Option<&Manifest>,
    tell: &impl Fn(&str),
) -> Result<Vec<u8>, AuthorError> {
    match bytes.as_slice() {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(bytes),
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => {}
        _ => return Err(AuthorError::NotWasm(output.to_owned())),
    }
    let wit = folder.join(manifest.map_or_else(manifest::wit_folder, |said| said.wit.clone()));
    let world = manifest.map_or_else(manifest::world, |said| said.world.clone());
    let adapter = manifest.and_then(|said| said.adapter.as_ref());
    let adapter = adapter.map(|path| {
        let path = folder.join(path);
        fs::read(&path).map_err(AuthorError::file(&path))
    });
    let adapter = adapter.transpose()?;
    let recipe = Recipe {
        world: wit.exists().then_some((wit.as_path(), world.as_str())),
        adapter: adapter.as_deref(),
    };
    let component = componentize(&bytes, recipe);
    let component = component.map_err(|source| AuthorError::Component {
        path: output.to_owned(),
        source,
    })?;
    if !component.stubs.is_empty() {
        tell(&format!(
            "a plugin has no system, so stubs answer for {}: a clock that stands still, zeros for random bytes, no files",
            component.stubs.join(", ")
        ));
    }
    Ok(component.bytes)
}

/// Runs one line of a `plugin.yaml`. Its standard output is no result of this command.
fn run(line: &str, folder: &Path) -> Result<(), AuthorError> {
    let status = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
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
        Some(127) => format!("a program of it was not found ({MANIFEST} says what is run)"),
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    };
    Err(AuthorError::Line {
        line: line.to_owned(),
        how,
    })
}
