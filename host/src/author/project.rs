//! A folder with a plugin: its payload files, its component, and whether that is older than what it is made of.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use stoker_guest_build::{GUESTS, PLUGINS, target_directory, workspace_of};

use super::error::AuthorError;
use super::manifest::MANIFEST;

/// The folder of a project with its payload files.
const PAYLOADS: &str = "payloads";
/// What in a project is made by tools, or does not change the component.
const NO_SOURCES: [&str; 5] = [PAYLOADS, "target", "node_modules", "__pycache__", "venv"];
/// Likewise by the end of the name: components, reports, texts for people.
const NO_ENDS: [&str; 4] = [".wasm", ".part", ".xml", ".md"];
/// A project beyond this many files is not looked through further: what it has is no source of a plugin any more.
const MAX_FILES: usize = 2_000;

/// A file, and when it was changed.
type Stamp = (SystemTime, PathBuf);

/// A folder with a plugin.
#[derive(Debug, Clone)]
pub struct Project {
    folder: PathBuf,
    name: String,
}

impl Project {
    /// The project of a folder, or of a folder of payload files in one.
    pub fn open(folder: &Path) -> Result<Self, AuthorError> {
        let folder = fs::canonicalize(folder).map_err(AuthorError::file(folder))?;
        let is_payloads = folder.file_name() == Some(OsStr::new(PAYLOADS));
        let folder = match folder.parent().filter(|_| is_payloads) {
            Some(parent) => parent.to_owned(),
            None => folder,
        };
        let name = folder.file_name().unwrap_or_default().display().to_string();
        Ok(Self { folder, name })
    }

    /// The name of its folder, which is the name of its component.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a build puts the component.
    #[must_use]
    pub fn component_file(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }

    /// The component that is there, if it is not older than what it is made of.
    pub fn component(&self) -> Result<Option<PathBuf>, AuthorError> {
        if !self.component_file().is_file() && files_ending("wasm", &self.folder).len() > 1 {
            return Err(AuthorError::Several {
                folder: self.folder.clone(),
                name: self.name.clone(),
            });
        }
        let youngest = self.components().pop();
        let is_current = |(built, _): &Stamp| {
            !self.is_buildable() || self.sources().iter().all(|(changed, _)| changed <= built)
        };
        Ok(youngest.filter(is_current).map(|(_, path)| path))
    }

    /// A folder with a component and payload files, and no way to build it, is tested as it is.
    fn is_buildable(&self) -> bool {
        ["Cargo.toml", MANIFEST].map(|name| self.folder.join(name).is_file()) != [false; 2]
    }

    /// The components that there are, the youngest last. Plugins and guests of this repository are built with the
    /// host, to its target directory; in the folder, it is the one of its name or else any.
    #[must_use]
    pub fn components(&self) -> Vec<Stamp> {
        let workspace = workspace_of(&self.folder);
        let named = self.component_file();
        let built = [PLUGINS, GUESTS].map(|place| {
            let file = format!("{}.wasm", self.name);
            target_directory(&workspace, place).join(file)
        });
        let own = if named.is_file() {
            vec![named]
        } else {
            files_ending("wasm", &self.folder)
        };
        let mut components: Vec<_> = own
            .into_iter()
            .chain(built)
            .filter_map(|path| Some((changed(&path)?, path)))
            .collect();
        components.sort();
        components
    }

    /// The payload files, by name.
    pub fn payload_files(&self) -> Result<Vec<PathBuf>, AuthorError> {
        let folder = self.folder.join(PAYLOADS);
        let files = files_ending("json", &folder);
        if files.is_empty() {
            return Err(AuthorError::NoPayloads(folder));
        }
        Ok(files)
    }

    /// What changes the outcome of its tests, with the time of its last change: sources and payload files.
    #[must_use]
    pub fn inputs(&self) -> Vec<Stamp> {
        let mut files = self.sources();
        collect(&self.folder.join(PAYLOADS), &mut files);
        files.sort();
        files
    }

    fn sources(&self) -> Vec<Stamp> {
        let mut files = Vec::new();
        collect(&self.folder, &mut files);
        files
    }
}

fn files_ending(end: &str, folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == end))
        .collect();
    files.sort();
    files
}

/// The files below a folder that people write.
fn collect(folder: &Path, files: &mut Vec<Stamp>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().display().to_string();
        let is_made = name.starts_with('.')
            || NO_SOURCES.contains(&name.as_str())
            || NO_ENDS.iter().any(|end| name.ends_with(end));
        if is_made || files.len() >= MAX_FILES {
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

    fn file(folder: &TempDir, name: &str, age: u64) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
    }

    #[test]
    fn a_component_older_than_its_sources_does_not_count() {
        let folder = TempDir::new().unwrap();
        let project = Project::open(folder.path()).unwrap();
        assert!(project.component().unwrap().is_none());

        file(&folder, "Cargo.toml", 100);
        file(&folder, "src/lib.rs", 100);
        file(&folder, "other.wasm", 50);
        for made in [
            "target/x",
            "payloads/a.json",
            "README.md",
            "out.part",
            ".git/x",
        ] {
            file(&folder, made, 10);
        }
        assert!(
            project
                .component()
                .unwrap()
                .unwrap()
                .ends_with("other.wasm")
        );
        file(&folder, "src/lib.rs", 10);
        assert!(project.component().unwrap().is_none());
    }

    #[test]
    fn of_several_components_the_one_with_the_name_counts() {
        let folder = TempDir::new().unwrap();
        let project = Project::open(folder.path()).unwrap();
        file(&folder, "a.wasm", 1);
        file(&folder, "b.wasm", 1);
        assert!(matches!(
            project.component(),
            Err(AuthorError::Several { .. })
        ));
        let named = format!("{}.wasm", project.name());
        file(&folder, &named, 5);
        assert!(project.component().unwrap().unwrap().ends_with(named));
    }

    #[test]
    fn a_folder_of_payloads_means_its_project() {
        let folder = TempDir::new().unwrap();
        file(&folder, "payloads/b.json", 1);
        file(&folder, "payloads/a.json", 1);
        file(&folder, "payloads/a.txt", 1);
        let project = Project::open(&folder.path().join("payloads")).unwrap();
        assert_eq!(
            project.folder(),
            fs::canonicalize(folder.path()).unwrap().as_path()
        );
        assert_eq!(project.payload_files().unwrap().len(), 2);
    }
}
