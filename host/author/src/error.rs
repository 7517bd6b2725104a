//! The errors of projects.

use std::path::{Path, PathBuf};

use stoker_guest_build::ComponentError;

/// The reason why a project cannot be created, built or tested. Each text states the remedy.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// The name of a new plugin is invalid.
    #[error(
        "the plugin name {name:?} is invalid: use 1 to 63 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The directory of a new project already exists.
    #[error("{} exists and is not an empty directory; choose another name, or another directory with --dir", .0.display())]
    Exists(PathBuf),
    /// There is no template for the language.
    #[error("this Stoker has no template for {0}")]
    NoTemplate(String),
    /// A file cannot be read or written.
    #[error("cannot access {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The directory of a project is a file.
    #[error("{} is a file; give the directory of a plugin project", .0.display())]
    NotADirectory(PathBuf),
    /// The directory is not a project.
    #[error(
        "{} is not a plugin project: it has neither a plugin.yaml nor a Cargo.toml; create one with `stoker plugin new`", .0.display()
    )]
    NoProject(PathBuf),
    /// The `plugin.yaml` is invalid.
    #[error(
        "{} is invalid: it needs `build` (a list of shell lines) and `output` (the file that they write), and may have `wit`, `world` and `adapter`: {why}", path.display()
    )]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The fault and its position.
        why: String,
    },
    /// A line of `build` failed.
    #[error("the build failed with {how} at the line: {line}")]
    Line {
        /// The line.
        line: String,
        /// The way in which the line ended, such as its exit status.
        how: String,
    },
    /// A program cannot be started.
    #[error("cannot start {program}; is it installed?")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The WebAssembly target of Rust is not installed.
    #[error(
        "the WebAssembly target of Rust is not installed; run: rustup target add {}",
        stoker_guest_build::TRIPLE
    )]
    NoTarget,
    /// Cargo failed.
    #[error("cargo failed; its messages are above")]
    Cargo,
    /// The package builds no module.
    #[error("{} builds no WebAssembly module; add to it: [lib] crate-type = [\"cdylib\"]", .0.display())]
    NoModule(PathBuf),
    /// The build did not write its output.
    #[error(
        "the build succeeded but did not make {}, the `output` of plugin.yaml", .0.display()
    )]
    NoOutput(PathBuf),
    /// The output of the build is not WebAssembly.
    #[error("{} is not WebAssembly: it does not start with the header of a module or a component", .0.display())]
    NotWasm(PathBuf),
    /// The module cannot be made a component.
    #[error("cannot make a component of {}", path.display())]
    Component {
        /// The module.
        path: PathBuf,
        /// The cause.
        source: ComponentError,
    },
    /// A directory holds several components, and no component has the name of the directory.
    #[error(
        "{} holds several components; name the one to test {name}.wasm, after the directory", directory.display()
    )]
    Several {
        /// The directory.
        directory: PathBuf,
        /// Its name.
        name: String,
    },
    /// A project has no payload files.
    #[error("there is no payload file (*.json) in {}; docs/plugin-authoring.md describes them", .0.display())]
    NoPayloads(PathBuf),
    /// A payload file is not in its format.
    #[error("the payload file is invalid")]
    Payload(#[from] serde_json::Error),
    /// A payload file has no body, or several.
    #[error(
        "the payload file is invalid: it needs exactly one of `body` (JSON), `bodyText` (a string) and `bodyFile` (a path relative to the payload file)"
    )]
    Body,
    /// The expected answer of a payload file has no member, or several.
    #[error(
        "the payload file is invalid: `expect` needs exactly one of `found`, `ignored`, `malformed`, `notMine` and `failed`"
    )]
    Expect,
    /// A header of a payload file is invalid.
    #[error("the payload file is invalid: {name:?} or its value cannot be a header")]
    Header {
        /// The name of the header.
        name: String,
    },
    /// The report cannot be written as XML.
    #[error("cannot write the JUnit report")]
    Report(#[from] quick_junit::SerializeError),
}

impl AuthorError {
    /// For `map_err`: the error of an access to a file.
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Reports whether a file is missing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}
