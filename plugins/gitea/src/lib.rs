//! The webhooks of Gitea, and of its relatives Forgejo and Gogs.
//!
//! | Event | Announces |
//! |---|---|
//! | `push` | the branch or tag, unless it was deleted |
//! | `create` | the branch or tag |
//! | `release`, published | the release's tag, unless it is a draft |
//!
//! Every other event is of this plugin's format too, and ignored. So is a test delivery.
//!
//! Each of the three also sends the headers of those that it descends from, and GitHub's, with bodies that are similar
//! to GitHub's. So this plugin is asked before the one for GitHub, and reads the youngest of the headers.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod detect;

#[cfg(test)]
mod tests;

use stoker_plugin::Descriptor;

pub use detect::detect;

/// Asked about deliveries with a header of one of the three.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "gitea",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Gitea, Forgejo and Gogs: pushes, created tags and branches, and releases",
    headers: &detect::EVENT,
    pointers: &[],
};

stoker_plugin::detector!(DESCRIPTOR, detect);
