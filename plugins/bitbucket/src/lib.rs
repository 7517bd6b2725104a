//! Webhooks of Bitbucket Cloud, and of Bitbucket Data Center and Server.
//!
//! | Event | From | Announces |
//! |---|---|---|
//! | `repo:push` | Cloud, a plugin for Server | each branch and tag of the push that was not deleted |
//! | `repo:refs_changed` | Data Center | the same |
//! | `mirror:repo_synchronized` | Data Center | the same, once a mirror has it |
//!
//! Every other event is also of this plugin's format, and is ignored.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod cloud;
mod data_center;

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Malformed, Outcome, Request};

/// The only member of the body that tests a connection. Some versions of Bitbucket send it without a header.
const TEST: &str = "/test";

/// The plugin is asked about deliveries with Bitbucket's header, and about connection tests.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "bitbucket",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Bitbucket Cloud and Data Center pushes, with every branch and tag in them",
    headers: &["x-event-key"],
    pointers: &[TEST],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Returns what a delivery of Bitbucket announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(event) = request.header("x-event-key") else {
        let is_test = request.is_true(TEST) && request.len_at("") == Some(1);
        return Ok(if is_test {
            Outcome::ignored(&["connection test"])
        } else {
            Outcome::NotMine
        });
    };
    match event.as_str() {
        "repo:push" => cloud::push(request),
        "repo:refs_changed" | "mirror:repo_synchronized" => data_center::push(request, event),
        "diagnostics:ping" => Ok(Outcome::ignored(&["ping"])),
        other => Ok(Outcome::ignored(&["event ", other])),
    }
}
