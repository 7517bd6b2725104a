//! Images that were pushed to a registry. The operator maps their tags to git refs.
//!
//! | Sender | Delivery | Announces |
//! |---|---|---|
//! | Harbor | `PUSH_ARTIFACT`; as a CloudEvent `harbor.artifact.pushed` | each tag of the artifact |
//! | Docker Hub | with `push_data` | the tag |
//! | Quay | with `updated_tags`, a list or a map | each of the tags |
//!
//! Other events of these senders are also of this plugin's format, and are ignored. The plugin for GitHub handles the
//! events of GitHub's packages.
//!
//! | Setting | Meaning | Without it |
//! |---|---|---|
//! | `ref` | the git ref for a tag, with `{tag}` in place of the tag: `{tag}`, `refs/tags/v{tag}` | every push is ignored |
//! | `image` | patterns of images, by their names in the registry: `plant/line-7, plant/line-8*` | every image |
//! | `tags` | patterns of tags: `v*, stable` | every tag |
//! | `repository` | the name or URL of the git repository that has the refs | not known |
//!
//! Patterns are separated by commas, and `*` matches any run of characters. The tag of an image is not a git ref, and
//! only the operator knows the ref that belongs to it. So nothing is announced without `ref`.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod keys;
mod push;
mod senders;

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Malformed, Outcome, Request};

/// The plugin is asked about bodies with a member that only these senders have, and about CloudEvents, which Harbor can
/// send.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "registry",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Image tags pushed to Harbor, Docker Hub or Quay, as the refs that the settings name",
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

/// Returns what a delivery of a registry announces.
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
