//! GitHub's webhooks.
//!
//! | Event | Announces |
//! |---|---|
//! | `release`, published or released | the release's tag |
//! | `push` | the branch or tag, unless it was deleted |
//! | `create` | the branch or tag |
//!
//! Every other event is also of this plugin's format, and is ignored. Several of these events have a top-level `ref`
//! that announces nothing, which another plugin could misread. Deliveries of Gitea, Forgejo and Gogs are of another
//! format, although they have GitHub's headers in addition to their own.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod detect;

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, release};

pub use detect::detect;

/// The plugin is asked about deliveries with GitHub's header, and about releases that were sent manually, without
/// headers.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "github",
    version: env!("CARGO_PKG_VERSION"),
    summary: "GitHub releases, pushes, and created tags and branches",
    headers: &["x-github-event"],
    pointers: &[release::TAG],
};

stoker_plugin::detector!(DESCRIPTOR, detect);
