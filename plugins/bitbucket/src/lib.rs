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

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Descriptor, Detection, Kind, Malformed, Outcome, Request};

/// Asked where Bitbucket's header names the event.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "bitbucket",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Bitbucket Cloud and Data Center pushes, with every branch and tag in them",
    headers: &["x-event-key"],
    pointers: &[],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// What became of one ref in a push.
enum Change {
    Set(Detection),
    Deleted(String),
}

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

fn changes<R: Request>(
    request: &R,
    list: &str,
    change: impl Fn(&R, u32) -> Result<Change, Malformed>,
) -> Result<Outcome, Malformed> {
    match request.kind_at(list) {
        Some(Kind::Array) => {}
        Some(_) => return Err(Malformed::at(list, "is not an array")),
        None => return Err(Malformed::at(list, "is missing")),
    }
    let (mut found, mut deleted) = (Vec::new(), None);
    for index in 0..request.len_at(list).unwrap_or_default() {
        match change(request, index)? {
            Change::Set(detection) => found.push(detection),
            Change::Deleted(name) => deleted = deleted.or(Some(name)),
        }
    }
    Ok(match (found.is_empty(), deleted) {
        (false, _) => Outcome::Found(found),
        (true, Some(name)) => Outcome::ignored(&[&name, " was deleted"]),
        (true, None) => Outcome::ignored(&["the push has no changes"]),
    })
}
