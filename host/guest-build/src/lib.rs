//! Makes WebAssembly components from core modules, for `stoker plugin build`, and from the guests of this workspace
//! (plugins and guests of the tests), for build scripts.
//!
//! For build scripts, a nested cargo with its own target directory compiles the guests for `wasm32-unknown-unknown`. The
//! same sources give the same bytes, whatever the path of the checkout.

mod compile;
mod component;
mod strip;
mod target;
mod wasip1;

use std::path::{Path, PathBuf};

pub use compile::STACK;
pub use component::{Component, ComponentError, Recipe, componentize};
pub use target::{TRIPLE, is_installed};

/// The directory of the target directory with the components of the plugins of this workspace.
pub const PLUGINS: &str = "plugins";
/// The directory of the target directory with the components of the guests of the tests.
pub const GUESTS: &str = "guest-components";

/// The reason why the guests cannot be built. Each text is one line that states the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The standard library of the target is not installed, and cannot be installed.
    #[error(
        "the WebAssembly target of Rust is not installed; run: rustup target add {} --toolchain {toolchain}",
        target::TRIPLE
    )]
    NoTarget {
        /// The toolchain without the target.
        toolchain: String,
    },
    /// A program cannot be started.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The guests do not compile.
    #[error("the plugins do not compile; see: cargo {arguments}")]
    Compile {
        /// The arguments of the nested cargo.
        arguments: String,
    },
    /// A module cannot be made a component.
    #[error("cannot make a component of {module}: {why}")]
    Component {
        /// The module.
        module: String,
        /// The cause.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("cannot access {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// The guests to build, and where their components go.
pub struct Guests<'a> {
    /// The root of the workspace.
    pub workspace: &'a Path,
    /// The packages, whose names are `stoker-plugin-NAME` or `stoker-guest-NAME`.
    pub packages: &'a [&'a str],
    /// The directory to which the components are written, as `NAME.wasm`. Plugins are also written to [`PLUGINS`] and
    /// other guests to [`GUESTS`], because the name of this directory usually holds a hash.
    pub out: &'a Path,
}

impl Guests<'_> {
    /// Builds the guests, and declares to cargo the files that they depend on.
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
            let directory = if package.starts_with("stoker-plugin-") {
                PLUGINS
            } else {
                GUESTS
            };
            write(
                &target_directory(self.workspace, directory).join(&file),
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

/// Replaces a file in one step, because another process may be reading it.
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

/// Returns a directory in the target directory of a workspace.
#[must_use]
pub fn target_directory(workspace: &Path, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), |path| workspace.join(path));
    target.join(name)
}

/// Returns the root of the workspace of a package.
#[must_use]
pub fn workspace_of(package: &Path) -> PathBuf {
    let is_root = |directory: &&Path| directory.join("Cargo.lock").is_file();
    package
        .ancestors()
        .find(is_root)
        .unwrap_or(package)
        .to_owned()
}
