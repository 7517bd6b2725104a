//! CloudEvents 1.0 over HTTP in each of their modes: binary, structured and batched.
//!
//! | Type of the event | Announces |
//! |---|---|
//! | `dev.cdevents.branch.created` | the branch |
//! | `dev.cdevents.change.merged` | the commit, where the change is named by its id |
//! | `dev.cdevents.artifact.packaged`, `….published` | the version of the artifact, or its tag where that is a digest |
//! | `dev.cdevents.service.deployed`, `….upgraded` | the same of the artifact that runs |
//! | any other of `dev.cdevents.` | nothing |
//! | any other | the `ref` in its data, unless it was deleted |
//!
//! An event that announces nothing is this plugin's own too, and ignored; but Harbor's events are images, and another
//! plugin's. The event's id is that of the delivery, and its time is when it happened.
//!
//! | Setting | Meaning | Without it |
//! |---|---|---|
//! | `type` | the types of event that are meant: `com.example.release.*, dev.cdevents.branch.created.*` | every type |
//! | `ref` | JSON pointer to the ref within the data of an event that is no CDEvent | `/ref` |
//!
//! The types are separated by commas, and `*` stands for any run of characters. Where data of a type that `type` names
//! has no ref, it is malformed; where `type` is not given, the event is ignored.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod cdevents;
mod event;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Descriptor, Malformed, Outcome, Request, pointer};

use event::Event;

/// Asked where a header or the body says that an event, or the first of several, is a CloudEvent.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "cloudevents",
    version: env!("CARGO_PKG_VERSION"),
    summary: "CloudEvents: CDEvents of branches, changes, artifacts and services, and any with a ref in its data",
    headers: &[event::BINARY],
    pointers: &["/specversion", "/0/specversion"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Says what a CloudEvent, or several in a batch, announce.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if request.header(event::BINARY).is_some() {
        return Event::binary(request)?.announce(request);
    }
    if request.kind_at("/specversion").is_some() {
        return Event::structured(request, "")?.announce(request);
    }
    if request.kind_at("/0/specversion").is_none() {
        return Ok(Outcome::NotMine);
    }
    let (mut found, mut ignored) = (Vec::new(), None::<String>);
    for index in 0..request.len_at("").unwrap_or_default() {
        let event = Event::structured(request, &pointer::element("", index, ""))?;
        match event.announce(request)? {
            Outcome::Found(more) => found.extend(more),
            Outcome::Ignored(why) => ignored = ignored.or(Some(why)),
            Outcome::NotMine => {}
        }
    }
    Ok(match ignored {
        _ if !found.is_empty() => Outcome::Found(found),
        Some(why) => Outcome::Ignored(why),
        None => Outcome::NotMine,
    })
}
