//! Webhooks of GitLab projects, groups and whole instances.
//!
//! | Event | Announces |
//! |---|---|
//! | `Push Hook` | the branch, unless it was deleted |
//! | `Tag Push Hook` | the tag, unless it was deleted |
//! | `Release Hook`, created | the release's tag |
//! | `System Hook` about one of them | the same |
//! | `System Hook` `repository_update` | each branch and tag of the push that was not deleted |
//!
//! Every other event is also of this plugin's format, and is ignored. For example, a pipeline and a job have a `ref`
//! that announces nothing.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod detect;

#[cfg(test)]
mod tests;

use stoker_plugin::Descriptor;

pub use detect::detect;

/// The plugin is asked about deliveries with GitLab's header.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "gitlab",
    version: env!("CARGO_PKG_VERSION"),
    summary: "GitLab pushes, tags and releases",
    headers: &["x-gitlab-event"],
    pointers: &[],
};

stoker_plugin::detector!(DESCRIPTOR, detect);
