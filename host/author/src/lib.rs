//! The part of Stoker for plugin authors. It writes a project from a template, builds its component, reads payload
//! files, and reports test results.
//!
//! This crate works with files and runs build tools. It does not run plugins, and does not depend on the sandbox, on
//! HTTP servers or on Kubernetes.
//!
//! The modules, in the order in which an author uses them: `scaffold` (a new project, named by `name`), `project` (the
//! files of a project), `build` (the component, by `manifest` or by `cargo`), `payload` (payload files), `answer` (the
//! expected answer of a plugin), `update` (writes an answer into a payload file), `suite` (test results, with `diff`)
//! and `junit` (the report for CI systems).

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

pub use answer::{Answer, FoundRef, RefKind};
pub use error::AuthorError;
pub use junit::junit;
pub use name::PluginName;
pub use payload::PayloadFile;
pub use project::Project;
pub use scaffold::scaffold;
pub use suite::{Case, Outcome, Suite};
