use std::path::{Path, PathBuf};

use stoker_guest_build::ComponentError;

/// Why a project cannot be made, built or read. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// A name that no plugin can have.
    #[error(
        "{name:?} cannot be the name of a plugin: take 1 to 63 lower-case letters, digits and hyphens, a letter first and no hyphen last"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The folder of a new project is taken.
    #[error("{} is there already and not empty; take another name, or another folder with --dir", .0.display())]
    NotEmpty(PathBuf),
    /// No template.
    #[error("this Stoker has no template for {0}")]
    NoTemplate(String),
    /// A file could not be read or written.
    #[error("cannot access {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A folder that is no project.
    #[error(
        "{} is no plugin project: it has neither a plugin.yaml nor a Cargo.toml; `stoker plugin new` makes one", .0.display()
    )]
    NoProject(PathBuf),
    /// A `plugin.yaml` that says something else.
    #[error(
        "{} is not understood: it has `build` (a list of shell lines) and `output` (the file that they make), and may have `wit`, `world` and `adapter`", path.display()
    )]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<serde_saphyr::Error>,
    },
    /// A line of `build` failed.
    #[error("the build stopped: {how} at the line: {line}")]
    Line {
        /// The line.
        line: String,
        /// How it ended.
        how: String,
    },
    /// A program did not start.
    #[error("cannot start {program}; is it installed?")]
    Start {
        /// The program.
        program: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The WebAssembly target is missing.
    #[error(
        "Rust cannot compile for WebAssembly yet; type: rustup target add {}",
        stoker_guest_build::TRIPLE
    )]
    NoTarget,
    /// The package does not compile.
    #[error("it does not compile; what is wrong stands above")]
    Compile,
    /// A package that makes no module.
    #[error("{} makes no WebAssembly module; add to it: [lib] crate-type = [\"cdylib\"]", .0.display())]
    NoModule(PathBuf),
    /// The output is not there.
    #[error(
        "the build ended well, and did not make {}, which plugin.yaml names as its `output`", .0.display()
    )]
    NoOutput(PathBuf),
    /// The output is something else.
    #[error("{} is no WebAssembly: it does not start with the bytes of a module or a component", .0.display())]
    NotWasm(PathBuf),
    /// A module that cannot become a component.
    #[error("cannot make a component of {}", path.display())]
    Component {
        /// The module.
        path: PathBuf,
        /// What is wrong.
        source: ComponentError,
    },
    /// Several components, none with the project's name.
    #[error(
        "{} holds several components; the one to test has the name of the folder, {name}.wasm", folder.display()
    )]
    Several {
        /// The folder.
        folder: PathBuf,
        /// Its name.
        name: String,
    },
    /// A project without payload files.
    #[error("there is no payload file in {}; see docs/plugin-authoring.md", .0.display())]
    NoPayloads(PathBuf),
    /// A payload file that is not one.
    #[error("it is not a payload file")]
    Payload(#[from] serde_json::Error),
    /// A payload file without its body, or with several.
    #[error(
        "it needs one of `body` (JSON), `bodyText` (a string) and `bodyFile` (a path beside it)"
    )]
    Body,
    /// A payload file with a header that is none.
    #[error("{name:?} and its value are no header")]
    Header {
        /// The name.
        name: String,
    },
    /// The report cannot be written.
    #[error("cannot write the report")]
    Report(#[source] std::io::Error),
}

impl AuthorError {
    /// For `map_err`: what the operating system said of a file.
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
