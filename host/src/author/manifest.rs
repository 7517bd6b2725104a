use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::AuthorError;

/// The file that says how a project in any language is built.
pub(super) const MANIFEST: &str = "plugin.yaml";

/// What `plugin.yaml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Shell lines, run one after the other in the project's folder.
    pub(super) build: Vec<String>,
    /// The module or component that they make.
    pub(super) output: PathBuf,
    /// The interface, for modules that do not carry their type.
    #[serde(default = "wit_folder")]
    pub(super) wit: PathBuf,
    /// The world in it.
    #[serde(default = "world")]
    pub(super) world: String,
    /// A core module that answers in the place of WASI.
    pub(super) adapter: Option<PathBuf>,
}

impl Manifest {
    /// Reads the one of a folder, if it has one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, AuthorError> {
        let path = folder.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AuthorError::file(&path)(error)),
        };
        serde_saphyr::from_str(&text)
            .map(Some)
            .map_err(|source| AuthorError::Manifest {
                path,
                source: Box::new(source),
            })
    }
}

pub(super) fn wit_folder() -> PathBuf {
    "wit".into()
}

pub(super) fn world() -> String {
    "payload-detector".to_owned()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn read(text: &str) -> Result<Option<Manifest>, AuthorError> {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(MANIFEST), text).unwrap();
        Manifest::read(folder.path())
    }

    #[test]
    fn the_interface_lies_in_wit_unless_it_says_otherwise() {
        let manifest = read("build: [make]\noutput: out.wasm\n").unwrap().unwrap();
        assert_eq!(manifest.build, ["make"]);
        assert_eq!(
            (manifest.wit.as_path(), manifest.world.as_str()),
            (Path::new("wit"), "payload-detector")
        );
        assert!(Manifest::read(Path::new("/nowhere")).unwrap().is_none());
    }

    #[test]
    fn a_word_that_means_nothing_is_refused() {
        assert!(read("build: [make]\noutput: out.wasm\noutptu: x\n").is_err());
        assert!(read("output: out.wasm\n").is_err());
    }
}
