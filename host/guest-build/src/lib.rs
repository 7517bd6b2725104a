//! Makes WebAssembly components: of core modules, for `stoker plugin build`, and of guests of this workspace, for build
//! scripts.
//!
//! For build scripts, a nested cargo with a target directory of its own compiles them for `wasm32-unknown-unknown`.
//! The same sources give the same bytes, wherever the checkout lies.

mod compile;
mod component;
mod strip;
mod target;
mod wasip1;

use std::path::{Path, PathBuf};

pub use compile::STACK;
pub use component::{Component, ComponentError, Recipe, componentize};
pub use target::{TRIPLE, is_installed};

/// The folder of the target directory with the plugins of this workspace, as components.
pub const PLUGINS: &str = "plugins";
/// The folder of the target directory with the guests of the tests, as components.
pub const GUESTS: &str = "guest-components";

/// Why there are no components. Each text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The standard library for the target is missing, and cannot be added.
    #[error(
        "the plugins need the WebAssembly target; type: rustup target add {} --toolchain {toolchain}",
        target::TRIPLE
    )]
    NoTarget {
        /// The toolchain that needs it.
        toolchain: String,
    },
    /// A program did not run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The guests do not compile.
    #[error("the plugins do not compile; see: cargo {arguments}")]
    Compile {
        /// The arguments of the nested cargo.
        arguments: String,
    },
    /// A module is no component of the interface.
    #[error("cannot make a component of {module}: {why}")]
    Component {
        /// The module.
        module: String,
        /// What is wrong.
        why: String,
    },
    /// A file could not be read or written.
    #[error("cannot access {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What to build, and where.
pub struct Guests<'a> {
    /// The root of the workspace.
    pub workspace: &'a Path,
    /// The packages, whose names are `stoker-plugin-NAME` or `stoker-guest-NAME`.
    pub packages: &'a [&'a str],
    /// Where components go, as `NAME.wasm`; they also go where people find them in the target directory, plugins to
    /// [`PLUGINS`] and the others to [`GUESTS`].
    pub out: &'a Path,
}

impl Guests<'_> {
    /// Builds all of them, and tells cargo what they depend on.
    pub fn build(&self) -> Result<(), Error> {
        target::ensure()?;
        let modules = compile::run(self.workspace, self.packages)?;
        for package in self.packages {
            let name = package
                .rsplit_once("stoker-plugin-")
                .or(package.rsplit_once("stoker-guest-"));
            let name = name.map_or(*package, |(_, name)| name);
            let module = modules.join(format!("{}.wasm", package.replace('-', "_")));
            let component = component_of(&module)?;
            let file = format!("{name}.wasm");
            write(&self.out.join(&file), &component)?;
            // Where people find it: the other place has a hash in its name.
            let folder = if package.starts_with("stoker-plugin-") {
                PLUGINS
            } else {
                GUESTS
            };
            write(
                &target_directory(self.workspace, folder).join(&file),
                &component,
            )?;
        }
        Ok(())
    }
}

fn component_of(module: &Path) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(module).map_err(|source| file_error(module, source))?;
    let component = componentize(&bytes, Recipe::default());
    let component = component.map_err(|error| Error::Component {
        module: module.display().to_string(),
        why: error.to_string(),
    });
    Ok(component?.bytes)
}

/// Writes a file through another name, for somebody may be reading the one that is there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let part = path.with_extension("part");
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&part, bytes))
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        source,
    }
}

/// A folder beside what cargo builds in a workspace.
#[must_use]
pub fn target_directory(workspace: &Path, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), |path| workspace.join(path));
    target.join(name)
}

/// The root of the workspace, from the folder of a package in it.
#[must_use]
pub fn workspace_of(package: &Path) -> PathBuf {
    let is_root = |folder: &&Path| folder.join("Cargo.lock").is_file();
    package
        .ancestors()
        .find(is_root)
        .unwrap_or(package)
        .to_owned()
}
