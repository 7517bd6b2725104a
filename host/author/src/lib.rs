//! The plugin author's side of Stoker: writes a project from a template, builds its component, reads payload files, and
//! reports test results.
//!
//! This crate works with files and runs build tools. It runs no plugin, and knows nothing of the sandbox, of HTTP
//! servers or of Kubernetes.
//!
//! In the order in which an author meets them: `scaffold` (a new project, named by `name`), `project` (the files of a
//! project), `build` (the component, by `manifest` or by `cargo`), `payload` (payload files), `answer` (what a plugin
//! should answer), `update` (writes an answer into a payload file), `suite` (test results, with `diff`) and `junit`
//! (the report for CI systems).

mod answer;
mod build;
mod cargo;
mod diff;
mod error;
mod file;
mod junit;
mod manifest;
mod name;
mod payload;
mod project;
mod scaffold;
mod suite;
mod update;

pub use answer::{Answer, FoundRef};
pub use error::AuthorError;
pub use junit::junit;
pub use name::PluginName;
pub use payload::PayloadFile;
pub use project::Project;
pub use scaffold::scaffold;
pub use suite::{Case, Outcome, Suite};
