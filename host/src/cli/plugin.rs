//! The commands below `stoker plugin` and their flags.

use std::path::PathBuf;

#[cfg(feature = "authoring")]
use clap::ValueEnum;
use clap::{Args, Subcommand};

use super::plugin_directories::PluginDirectory;

/// The commands below `stoker plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List plugins in the order in which webhooks are offered to them, and report those that cannot be used. The
    /// plugins are the built-in ones and those of --plugin-dir, or those of the running Stoker at --host.
    List(ListFlags),
    /// Create a project for a new plugin.
    #[cfg(feature = "authoring")]
    New(NewFlags),
    /// Build the component of a project, and check it.
    #[cfg(feature = "authoring")]
    Build(BuildFlags),
    /// Check whether a component can be used, and print its description.
    Check(CheckFlags),
    /// Run a component on one delivery, and print its answer.
    Run(PluginRunFlags),
    /// Run the payload files of projects through their components, and compare the answers with the expected ones. A
    /// component that is missing, or older than its sources, is built first. Only files in the directory of the project
    /// count as sources, besides its `wit` and `adapter`; `stoker plugin build` builds always.
    #[cfg(feature = "authoring")]
    Test(TestFlags),
}

/// The flags of `stoker plugin list`.
#[derive(Debug, Clone, Args)]
pub struct ListFlags {
    /// Directory with plugins (*.wasm). Can be repeated.
    #[arg(
        long,
        env = "STOKER_PLUGIN_DIR",
        value_delimiter = ':',
        value_parser = PluginDirectory,
        value_name = "DIR"
    )]
    pub plugin_dir: Vec<PathBuf>,
    /// File with limits and settings of the plugins, in YAML.
    #[arg(long, env = "STOKER_PLUGIN_SETTINGS", value_name = "FILE")]
    pub plugin_settings: Option<PathBuf>,
    /// Largest size of a component in bytes, as --plugin-max-size of `stoker run`. The plugin settings override it.
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub max_size: u64,
    /// Address of the probes of a running Stoker, such as localhost:8081. Its plugins are listed, and the other flags
    /// are ignored.
    #[arg(long, value_name = "URL")]
    pub host: Option<String>,
}

/// The limits of a plugin, for where the defaults of `stoker run` do not suit it.
#[derive(Debug, Clone, Args)]
pub struct LimitFlags {
    /// Largest size of a component in bytes, as --plugin-max-size of `stoker run`.
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub max_size: u64,
    /// Most memory of one call in bytes, as `memory` in the plugin settings.
    #[arg(long, default_value_t = 16 << 20, value_name = "BYTES")]
    pub memory: usize,
}

/// The flags of `stoker plugin check`.
#[derive(Debug, Clone, Args)]
pub struct CheckFlags {
    /// The file of the component.
    pub file: PathBuf,
    /// The limits of the component.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// A setting of the plugin, as KEY=VALUE. Can be repeated.
    #[arg(long = "setting", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

/// The flags of `stoker plugin run`.
#[derive(Debug, Clone, Args)]
pub struct PluginRunFlags {
    /// The component, its limits and its settings.
    #[command(flatten)]
    pub plugin: CheckFlags,
    /// A header of the delivery, as NAME=VALUE or "NAME: VALUE". Can be repeated.
    #[arg(long = "header", visible_alias = "headers", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// The file with the body of the delivery; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub body: PathBuf,
}

/// The languages for which there is a template.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Language {
    /// Rust, built with cargo.
    Rust,
    /// C, built with clang or zig.
    C,
    /// JavaScript, built with Node.js.
    Js,
    /// Python.
    Python,
    /// Go.
    Go,
}

#[cfg(feature = "authoring")]
impl Language {
    /// Returns the name of the template.
    #[must_use]
    pub fn template(self) -> &'static str {
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
    /// The name of the plugin: lower-case letters, digits and hyphens.
    pub name: String,
    /// The language of the project.
    #[arg(long, value_enum)]
    pub lang: Language,
    /// The directory of the project [default: the name].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// The flags of `stoker plugin build`.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Args)]
pub struct BuildFlags {
    /// The directory of the project, with a plugin.yaml or a Cargo.toml.
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
    /// The cargo profile for a Rust package.
    #[arg(long, default_value = "release", value_name = "PROFILE")]
    pub profile: String,
    /// The limits of the component.
    #[command(flatten)]
    pub limits: LimitFlags,
}

/// The flags of `stoker plugin test`.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Args)]
pub struct TestFlags {
    /// The directories of projects, with payload files in payloads/*.json.
    #[arg(default_value = ".", value_name = "DIR")]
    pub directories: Vec<PathBuf>,
    /// Write the answers into the payload files that expect other ones. A failure is written only where a failure is
    /// expected.
    #[arg(long)]
    pub update: bool,
    /// Test again whenever the sources, the component or a payload file change, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    /// Write the results to a file as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// The limits of the components.
    #[command(flatten)]
    pub limits: LimitFlags,
}
