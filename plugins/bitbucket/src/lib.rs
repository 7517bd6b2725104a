//! Bitbucket's webhooks: those of Bitbucket Cloud, and those of Bitbucket Data Center and Server.
//!
//! | Event | From | Announces |
//! |---|---|---|
//! | `repo:push` | Cloud | each branch and tag of the push that was not deleted |
//! | `repo:refs_changed` | Data Center | the same |
//!
//! Every other event is this plugin's own too, and ignored.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod cloud;
mod data_center;

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Malformed, Outcome, Request, changes};

/// Asked where Bitbucket's header names the event.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "bitbucket",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Bitbucket Cloud and Data Center pushes, with every branch and tag in them",
    headers: &["x-event-key"],
    pointers: &[],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Says what a delivery of Bitbucket announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(event) = request.header("x-event-key") else {
        return Ok(Outcome::NotMine);
    };
    match event.as_str() {
        "repo:push" => changes(request, cloud::CHANGES, cloud::change),
        "repo:refs_changed" => changes(request, data_center::CHANGES, data_center::change),
        "diagnostics:ping" => Ok(Outcome::ignored(&["ping"])),
        other => Ok(Outcome::ignored(&["event ", other])),
    }
}
