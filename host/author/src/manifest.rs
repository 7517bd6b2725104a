//! The file `plugin.yaml` of a project.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::UserMessageFormatter;

use super::error::AuthorError;
use super::file;

/// The file that defines the build of a project in any language.
pub(super) const MANIFEST: &str = "plugin.yaml";
/// The directory with the WIT of a project that names no other one.
pub(super) const WIT: &str = "wit";
/// The largest `plugin.yaml`, in bytes. Those of the templates have some hundred bytes.
const MANIFEST_BYTES: u64 = 1 << 20;

/// The content of a `plugin.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Shell lines that run one after the other in the project's directory.
    pub(super) build: Vec<String>,
    /// The module or component that the lines write.
    pub(super) output: PathBuf,
    /// The directory with the WIT, for modules that do not contain their type. Without it, it is [`WIT`] if that exists.
    pub(super) wit: Option<PathBuf>,
    /// The world in that WIT.
    #[serde(default = "default_world")]
    pub(super) world: String,
    /// A core module that implements WASI preview 1, instead of Stoker's stubs.
    pub(super) adapter: Option<PathBuf>,
}

impl Manifest {
    /// Reads the `plugin.yaml` of a directory, if there is one.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, AuthorError> {
        let path = directory.join(MANIFEST);
        let text = match file::read_text(&path, MANIFEST_BYTES) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        // Errors are printed on one line, and a snippet of the file would need several.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(&text, options)
            .map(Some)
            .map_err(|error| AuthorError::Manifest {
                path,
                // The library's own words are for programmers.
                why: error.render_with_formatter(&UserMessageFormatter),
            })
    }
}

pub(super) fn default_world() -> String {
    "payload-detector".to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn read(text: &str) -> Result<Option<Manifest>, AuthorError> {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join(MANIFEST), text).unwrap();
        Manifest::read(directory.path())
    }

    #[test]
    fn the_wit_and_the_world_may_be_left_out() {
        let manifest = read("build: [make]\noutput: out.wasm\n").unwrap().unwrap();
        assert_eq!(manifest.build, ["make"]);
        assert_eq!(
            (manifest.wit, manifest.world.as_str()),
            (None, "payload-detector")
        );
        assert!(Manifest::read(Path::new("/nowhere")).unwrap().is_none());
    }

    #[test]
    fn unknown_and_missing_members_are_refused() {
        assert!(read("build: [make]\noutput: out.wasm\noutptu: x\n").is_err());
        assert!(read("output: out.wasm\n").is_err());
        let error = read("build: [make").unwrap_err();
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }

    #[test]
    fn a_repeated_key_is_reported_in_words_for_authors() {
        let error = read("build: [make]\nbuild: [make]\noutput: out.wasm\n").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("duplicate") && !text.contains("Options"),
            "{text}"
        );
    }
}
