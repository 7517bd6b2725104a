//! Webhooks of Gitea, and of Forgejo and Gogs, which are related to Gitea.
//!
//! | Event | Announces |
//! |---|---|
//! | `push` | the branch or tag, unless it was deleted |
//! | `create` | the branch or tag |
//! | `release`, published | the release's tag, unless it is a draft |
//!
//! Every other event is also of this plugin's format, and is ignored. A test delivery is ignored too.
//!
//! Each of the three senders also sends GitHub's headers and the headers of the senders that it descends from. The
//! bodies are similar to GitHub's. So a host asks this plugin before the one for GitHub, and this plugin reads the
//! header of the newest sender.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod detect;

#[cfg(test)]
mod tests;

use stoker_plugin::Descriptor;

pub use detect::detect;

/// The plugin is asked about deliveries with a header of one of the three senders.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "gitea",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Gitea, Forgejo and Gogs: pushes, created tags and branches, and releases",
    headers: &detect::EVENT,
    pointers: &[],
};

stoker_plugin::detector!(DESCRIPTOR, detect);
