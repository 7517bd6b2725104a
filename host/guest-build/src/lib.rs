//! Builds guests of this workspace to WebAssembly components, for build scripts.
//!
//! A nested cargo with a target directory of its own compiles them for `wasm32-unknown-unknown`, and `wit-component`
//! makes components of the modules. The same sources give the same bytes, wherever the checkout lies.

mod compile;
mod strip;
mod target;

use std::path::{Path, PathBuf};

use wit_component::ComponentEncoder;

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
    /// Where components go, as `NAME.wasm`; plugins also go to `plugins` in the target directory.
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
            let component = componentize(&module)?;
            let file = format!("{name}.wasm");
            write(&self.out.join(&file), &component)?;
            if package.starts_with("stoker-plugin-") {
                // Where people find it: the other place has a hash in its name.
                write(
                    &compile::target_directory(self.workspace, "plugins").join(&file),
                    &component,
                )?;
            }
        }
        Ok(())
    }
}

fn componentize(module: &Path) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(module).map_err(|source| file_error(module, source))?;
    let error = |why| Error::Component {
        module: module.display().to_string(),
        why,
    };
    let component = ComponentEncoder::default()
        .module(&bytes)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|source| error(format!("{source:#}")))?;
    strip::custom_sections(&component)
        .ok_or_else(|| error("its sections cannot be read".to_owned()))
}

/// Through another name, for somebody may be reading the file that is there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
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
