//! The flags of those `stoker plugin` commands that are about one component or one project.

use std::path::PathBuf;

use clap::Args;
#[cfg(feature = "authoring")]
use clap::ValueEnum;

/// What a plugin may use, where the defaults of a host do not suit it.
#[derive(Debug, Clone, Args)]
pub struct LimitFlags {
    /// Bytes that the component may have, as `stoker run --plugin-max-size`.
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub max_size: u64,
    /// Bytes of memory that one call may use, as `memory` in the plugin settings.
    #[arg(long, default_value_t = 16 << 20, value_name = "BYTES")]
    pub memory: usize,
}

/// The flags of `stoker plugin check`.
#[derive(Debug, Clone, Args)]
pub struct CheckFlags {
    /// The component.
    pub file: PathBuf,
    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// A setting that it is told, as KEY=VALUE. May be given several times.
    #[arg(long = "setting", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

/// The flags of `stoker plugin run`.
#[derive(Debug, Clone, Args)]
pub struct AskFlags {
    /// The component, and what it gets.
    #[command(flatten)]
    pub plugin: CheckFlags,
    /// A header of the delivery, as NAME=VALUE or "NAME: VALUE". May be given several times.
    #[arg(long = "header", visible_alias = "headers", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// The file with the body, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub body: PathBuf,
}

/// The languages for which there is a template.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Language {
    /// Rust, with cargo.
    Rust,
    /// C, with clang or zig.
    C,
    /// JavaScript.
    Js,
    /// Python.
    Python,
    /// Go.
    Go,
}

#[cfg(feature = "authoring")]
impl Language {
    /// The word for it, which is its template's folder.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Js => "js",
            Self::Python => "python",
            Self::Go => "go",
        }
    }
}

/// The flags of `stoker plugin new`.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Args)]
pub struct NewFlags {
    /// The plugin's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// The language that it is written in.
    #[arg(long, value_enum)]
    pub lang: Language,
    /// The folder for the project [default: the name].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// The flags of `stoker plugin build`.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Args)]
pub struct BuildFlags {
    /// The project: a folder with a plugin.yaml or a Cargo.toml.
    #[arg(default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
    /// The cargo profile that a Rust package is built with.
    #[arg(long, default_value = "release", value_name = "PROFILE")]
    pub profile: String,
    /// What the component may use.
    #[command(flatten)]
    pub limits: LimitFlags,
}

/// The flags of `stoker plugin test`.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Args)]
pub struct TestFlags {
    /// Projects: folders with payloads/*.json.
    #[arg(default_value = ".", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Write what the plugin says into the files that expect something else; a failure only into those that expect one.
    #[arg(long)]
    pub update: bool,
    /// Test again when the sources, the component or a payload file changes, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    /// Write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// What the components may use.
    #[command(flatten)]
    pub limits: LimitFlags,
}
