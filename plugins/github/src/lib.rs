//! GitHub's webhooks.
//!
//! | Event | Announces |
//! |---|---|
//! | `release`, published or released | the release's tag |
//! | `push` | the branch or tag, unless it was deleted |
//! | `create` | the branch or tag |
//!
//! Every other event is of this plugin's format too, and ignored: several of them have a top-level `ref` that announces
//! nothing, which another plugin could misread. So are the branches of a merge queue. Deliveries of Gitea, Forgejo and
//! Gogs, which send GitHub's headers beside their own, are of another format.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod detect;

#[cfg(test)]
mod tests;

use stoker_plugin::Descriptor;

pub use detect::detect;

/// Asked about deliveries with GitHub's header, and about a release that was sent by hand, without headers.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "github",
    version: env!("CARGO_PKG_VERSION"),
    summary: "GitHub releases, pushes, and created tags and branches",
    headers: &["x-github-event"],
    pointers: &["/release/tag_name"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);
