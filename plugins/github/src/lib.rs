//! GitHub's webhooks.
//!
//! | Event | Announces |
//! |---|---|
//! | `release`, published or released | the release's tag |
//! | `push` | the branch or tag, unless it was deleted |
//! | `create` | the branch or tag |
//!
//! Every other event is this plugin's own too, and ignored: several of them have a top-level `ref` that announces
//! nothing, and no other plugin should take it for one. What Gitea, Forgejo and Gogs send, with GitHub's headers beside
//! their own, is not.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod detect;

#[cfg(test)]
mod tests;

use stoker_plugin::Descriptor;

pub use detect::detect;

/// Asked where GitHub's header names the event, and about a release that somebody sends by hand, without headers.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "github",
    version: env!("CARGO_PKG_VERSION"),
    summary: "GitHub releases, pushes, and created tags and branches",
    headers: &["x-github-event"],
    pointers: &["/release/tag_name"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);
