//! The author's side of the plugins: a project from a template, a component from a project, and payload files that say
//! what a component should answer.
//!
//! This room knows no other: it deals in files and in programs that build, and asks no plugin itself. It alone names
//! what makes components (`stoker_guest_build`) and what writes XML (`quick_xml`).

mod build;
mod cargo;
mod diff;
mod error;
mod expectation;
mod junit;
mod manifest;
mod name;
mod payload;
mod project;
mod scaffold;
mod suite;
mod update;

pub use error::AuthorError;
pub use expectation::{Announced, Expectation};
pub use junit::junit;
pub use name::PluginName;
pub use payload::PayloadFile;
pub use project::Project;
pub use scaffold::scaffold;
pub use suite::{Case, Outcome, Suite};
