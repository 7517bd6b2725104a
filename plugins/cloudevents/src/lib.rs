//! CloudEvents 1.0 and 0.3 over HTTP in binary and structured mode.
//!
//! | Type of the event | Announces |
//! |---|---|
//! | `dev.cdevents.branch.created` | the branch |
//! | `dev.cdevents.change.merged` | the commit, if the change is named by its id |
//! | `dev.cdevents.artifact.packaged`, `….published` | the version of the artifact, or its tag if the version is a digest |
//! | `dev.cdevents.service.deployed`, `….upgraded` | the same of the artifact that runs |
//! | any other of `dev.cdevents.` | nothing |
//! | any other, with a release of GitHub or Gitea in its data | the tag, if the release was published |
//! | any other | the `ref` in its data, unless the data is an event of GitHub, Gitea or GitLab that neither pushed nor created it |
//!
//! An event that announces nothing is also of this plugin's format, and is ignored. The exception is Harbor's events
//! about images, which another plugin handles. The source and the id of the event are the id of the delivery, and the time
//! of the event is the time at which it occurred.
//!
//! The data is JSON: a value, a string that holds JSON, or Base64 (`data_base64`).
//!
//! A batch is refused: one answer cannot say what became of each of its events, so a sender could not send again what
//! was not accepted.
//!
//! | Setting | Meaning | Without it |
//! |---|---|---|
//! | `type` | patterns of types: `com.example.release.*, dev.cdevents.branch.created.*` | every type |
//! | `ref` | JSON pointer to the ref within the data of an event that is not a CDEvent | `/ref` |
//!
//! Patterns are separated by commas, and `*` matches any run of characters. If the data of a type that matches `type`
//! has no ref, the event is malformed; without the setting `type`, such an event is ignored.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod cdevents;
mod data;
mod event;

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Malformed, Outcome, Request};

use event::{Event, Options};

/// The plugin is asked about deliveries that have the version of the specification in a header or in the body, and about
/// batches, to refuse them.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "cloudevents",
    version: env!("CARGO_PKG_VERSION"),
    summary: "CloudEvents: CDEvents of branches, changes, artifacts and services, and any with a ref in its data",
    headers: &[event::BINARY],
    pointers: &["/specversion", FIRST_OF_BATCH, "/1/specversion"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// The version of the specification in the first event of a batch.
const FIRST_OF_BATCH: &str = "/0/specversion";

/// Returns what a CloudEvent announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let options = Options::of(request);
    if request.header(event::BINARY).is_some() && !has_event_type(request) {
        return Event::binary(request)?.announce(request, &options);
    }
    if request.kind_at("/specversion").is_some() {
        // A body that is written by hand may have both. Every event has a type.
        if request.has_ref() && request.required(event::TYPE).is_err() && !has_event_type(request) {
            return Ok(Outcome::NotMine);
        }
        return Event::structured(request)?.announce(request, &options);
    }
    let is_event = |pointer| request.kind_at(pointer).is_some();
    if is_event(FIRST_OF_BATCH) || is_event("/1/specversion") {
        let why = "a batch of CloudEvents is not accepted; send each event in its own webhook";
        return Err(Malformed(why.into()));
    }
    Ok(Outcome::NotMine)
}

/// Returns whether the body is an event or a batch. Only the media type determines this, not the other headers (HTTP
/// protocol binding, 3).
fn has_event_type(request: &impl Request) -> bool {
    const TYPE: &str = "application/cloudevents";
    let media_type = request.header("content-type").unwrap_or_default();
    let start = media_type.trim_ascii_start().get(..TYPE.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
}
