//! Images that were pushed to a registry, whose tags stand for git refs.
//!
//! | Sender | Delivery | Announces |
//! |---|---|---|
//! | Harbor | `PUSH_ARTIFACT`; as a CloudEvent `harbor.artifact.pushed` | each tag of the artifact |
//! | Docker Hub | with `push_data` | the tag |
//! | Quay | with `updated_tags`, a list or a map | each of the tags |
//!
//! What else these senders tell of is this plugin's own too, and ignored. GitHub's packages are GitHub's events.
//!
//! | Setting | Meaning | Without it |
//! |---|---|---|
//! | `ref` | the git ref that a tag stands for, with `{tag}` where the tag goes: `{tag}`, `refs/tags/v{tag}` | every push is ignored |
//! | `image` | the images that are meant, by name as the registry has it: `plant/line-7, plant/line-8*` | every image |
//! | `tags` | the tags that are meant: `v*, stable` | every tag |
//! | `repository` | the name or URL of the git repository that the refs are in | not known |
//!
//! `image` and `tags` are separated by commas, and `*` stands for any run of characters. A tag of an image is no ref of
//! git by itself, and only the operator knows whether one stands for the other; so without `ref` nothing is announced.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod keys;
mod push;
mod senders;

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Malformed, Outcome, Request};

/// Asked where the body has what only these senders' have, or is a CloudEvent, as some of Harbor's are.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "registry",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Image tags pushed to Harbor, Docker Hub or Quay, as the refs that the settings say",
    headers: &[],
    pointers: &[
        "/event_data",
        "/specversion",
        "/push_data",
        "/updated_tags",
        "/docker_url",
    ],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Says what a delivery of a registry announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if request.kind_at("/specversion").is_some() {
        senders::harbor_event(request)
    } else if request.kind_at("/event_data").is_some() {
        senders::harbor(request)
    } else if request.kind_at("/push_data").is_some() {
        senders::docker_hub(request)
    } else {
        senders::quay(request)
    }
}
