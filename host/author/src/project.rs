//! The files of a plugin project: its payload files, its component, and whether the component is up to date.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use stoker_guest_build::{GUESTS, PLUGINS, target_directory, workspace_of};

use super::error::AuthorError;
use super::manifest::{MANIFEST, Manifest};

/// The directory of the payload files.
const PAYLOADS: &str = "payloads";
/// Directories that are not scanned for sources.
const NOT_SOURCES: [&str; 5] = [PAYLOADS, "target", "node_modules", "__pycache__", "venv"];
/// Suffixes of files that are not sources.
const NOT_SOURCE_ENDS: [&str; 4] = [".wasm", ".part", ".xml", ".md"];
/// The maximum number of files that are scanned.
const MAX_FILES: usize = 2_000;

/// A file, and the time of its last change.
type Stamp = (SystemTime, PathBuf);

/// A directory with a plugin.
#[derive(Debug, Clone)]
pub struct Project {
    directory: PathBuf,
    name: String,
}

impl Project {
    /// Opens the project in a directory. `payloads/` stands for its parent project, unless it is a project itself.
    pub fn open(directory: &Path) -> Result<Self, AuthorError> {
        let directory = fs::canonicalize(directory).map_err(AuthorError::file(directory))?;
        if !directory.is_dir() {
            return Err(AuthorError::NotADirectory(directory));
        }
        let is_payloads =
            directory.file_name() == Some(OsStr::new(PAYLOADS)) && !is_buildable(&directory);
        let directory = match directory.parent().filter(|_| is_payloads) {
            Some(parent) => parent.to_owned(),
            None => directory,
        };
        let name = directory
            .file_name()
            .unwrap_or_default()
            .display()
            .to_string();
        Ok(Self { directory, name })
    }

    /// Returns the name of the directory, which is also the name of the component.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the file to which a build writes the component.
    #[must_use]
    pub fn component_file(&self) -> PathBuf {
        self.directory.join(format!("{}.wasm", self.name))
    }

    /// Returns the component, if there is one and it is not older than its sources.
    pub fn component(&self) -> Result<Option<PathBuf>, AuthorError> {
        if self.own_components().len() > 1 {
            return Err(AuthorError::Several {
                directory: self.directory.clone(),
                name: self.name.clone(),
            });
        }
        let newest = self.components().pop();
        let is_current = |(built, _): &Stamp| {
            // A directory that cannot be built is never out of date.
            !is_buildable(&self.directory)
                || self.sources().iter().all(|(changed, _)| changed <= built)
        };
        Ok(newest.filter(is_current).map(|(_, path)| path))
    }

    /// Returns the components of the project, the newest last. The plugins and guests of Stoker's own repository are
    /// built with the host, into its target directory.
    #[must_use]
    pub fn components(&self) -> Vec<Stamp> {
        let workspace = workspace_of(&self.directory);
        let built = [PLUGINS, GUESTS].map(|place| {
            let file = format!("{}.wasm", self.name);
            target_directory(&workspace, place).join(file)
        });
        let own = self.own_components().into_iter();
        let mut components: Vec<_> = own
            .chain(built)
            .filter_map(|path| Some((changed(&path)?, path)))
            .collect();
        components.sort();
        components
    }

    /// Returns the components in the directory: the one with the name of the directory, or else any. In a directory
    /// that can be built, other modules are the output of the build or part of its input.
    fn own_components(&self) -> Vec<PathBuf> {
        let named = self.component_file();
        if named.is_file() {
            vec![named]
        } else if is_buildable(&self.directory) {
            Vec::new()
        } else {
            files_with_extension("wasm", &self.directory)
        }
    }

    /// Returns the payload files, by name.
    pub fn payload_files(&self) -> Result<Vec<PathBuf>, AuthorError> {
        let directory = self.directory.join(PAYLOADS);
        let files = files_with_extension("json", &directory);
        if files.is_empty() {
            return Err(AuthorError::NoPayloads(directory));
        }
        Ok(files)
    }

    /// Returns the files that affect the results of the tests, with their times: sources and payload files.
    #[must_use]
    pub fn inputs(&self) -> Vec<Stamp> {
        let mut files = self.sources();
        collect(&self.directory.join(PAYLOADS), &mut files);
        files.sort();
        files
    }

    fn sources(&self) -> Vec<Stamp> {
        let mut files = Vec::new();
        collect(&self.directory, &mut files);
        // The build reports a manifest that cannot be read.
        if let Ok(Some(manifest)) = Manifest::read(&self.directory) {
            // The default one is in the directory.
            let wit = manifest.wit.map(|wit| self.directory.join(wit));
            let wit = wit.and_then(|wit| fs::canonicalize(wit).ok());
            if let Some(wit) = wit.filter(|wit| !wit.starts_with(&self.directory)) {
                collect(&wit, &mut files);
            }
            let adapter = manifest.adapter.map(|adapter| self.directory.join(adapter));
            files.extend(adapter.and_then(|path| Some((changed(&path)?, path))));
        }
        files
    }
}

fn is_buildable(directory: &Path) -> bool {
    ["Cargo.toml", MANIFEST]
        .iter()
        .any(|name| directory.join(name).is_file())
}

fn files_with_extension(wanted: &str, directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == wanted)
        })
        .collect();
    files.sort();
    files
}

/// Collects the source files below a directory.
fn collect(directory: &Path, files: &mut Vec<Stamp>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().display().to_string();
        let is_generated = name.starts_with('.')
            || NOT_SOURCES.contains(&name.as_str())
            || NOT_SOURCE_ENDS.iter().any(|end| name.ends_with(end));
        if is_generated || files.len() >= MAX_FILES {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if let Some(changed) = changed(&path) {
            files.push((changed, path));
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    fn file(directory: &TempDir, name: &str, age: u64) {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
    }

    #[test]
    fn a_component_older_than_its_sources_is_out_of_date() {
        let directory = TempDir::new().unwrap();
        let project = Project::open(directory.path()).unwrap();
        assert!(project.component().unwrap().is_none());

        file(&directory, "Cargo.toml", 100);
        file(&directory, "src/lib.rs", 100);
        let named = format!("{}.wasm", project.name());
        file(&directory, &named, 50);
        for other in [
            "target/x",
            "payloads/a.json",
            "README.md",
            "out.part",
            ".git/x",
        ] {
            file(&directory, other, 10);
        }
        assert!(project.component().unwrap().unwrap().ends_with(named));
        file(&directory, "src/lib.rs", 10);
        assert!(project.component().unwrap().is_none());
    }

    #[test]
    fn of_several_components_the_one_with_the_name_of_the_directory_is_used() {
        let directory = TempDir::new().unwrap();
        let project = Project::open(directory.path()).unwrap();
        file(&directory, "a.wasm", 1);
        file(&directory, "b.wasm", 1);
        assert!(matches!(
            project.component(),
            Err(AuthorError::Several { .. })
        ));
        let named = format!("{}.wasm", project.name());
        file(&directory, &named, 5);
        assert!(project.component().unwrap().unwrap().ends_with(named));
    }

    #[test]
    fn the_modules_of_a_build_are_not_its_component() {
        let directory = TempDir::new().unwrap();
        let manifest = "build: ['true']\noutput: plugin.wasm\nadapter: stub.wasm\nwit: ../wit\n";
        file(&directory, "acme/plugin.yaml", 100);
        let path = directory.path().join("acme/plugin.yaml");
        fs::write(&path, manifest).unwrap();
        file(&directory, "acme/stub.wasm", 100);
        file(&directory, "wit/detect.wit", 100);
        let written = File::options().write(true).open(path).unwrap();
        let before = SystemTime::now() - Duration::from_secs(100);
        written.set_modified(before).unwrap();
        let project = Project::open(&directory.path().join("acme")).unwrap();
        assert!(project.component().unwrap().is_none());
        file(&directory, "acme/plugin.wasm", 50);
        assert!(project.component().unwrap().is_none());
        file(&directory, "acme/acme.wasm", 40);
        let built = project.component().unwrap().unwrap();
        assert!(built.ends_with("acme.wasm"));

        // The adapter and the WIT are sources, wherever they are.
        for source in ["acme/stub.wasm", "wit/detect.wit"] {
            file(&directory, source, 10);
            assert!(project.component().unwrap().is_none(), "{source}");
            file(&directory, source, 100);
            assert!(project.component().unwrap().is_some(), "{source}");
        }
    }

    #[test]
    fn the_directory_of_the_payload_files_means_the_project() {
        let directory = TempDir::new().unwrap();
        file(&directory, "payloads/b.json", 1);
        file(&directory, "payloads/a.json", 1);
        file(&directory, "payloads/a.txt", 1);
        let project = Project::open(&directory.path().join("payloads")).unwrap();
        assert_eq!(
            project.directory(),
            fs::canonicalize(directory.path()).unwrap().as_path()
        );
        assert_eq!(project.payload_files().unwrap().len(), 2);

        file(&directory, "payloads/plugin.yaml", 1);
        let project = Project::open(&directory.path().join("payloads")).unwrap();
        assert_eq!(project.name(), "payloads");
    }

    #[test]
    fn a_file_is_not_a_project() {
        let directory = TempDir::new().unwrap();
        file(&directory, "a.wasm", 1);
        let opened = Project::open(&directory.path().join("a.wasm"));
        assert!(matches!(opened, Err(AuthorError::NotADirectory(_))));
    }
}
