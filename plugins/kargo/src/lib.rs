//! Promotions of Kargo that send the freight. Each commit of the freight announces its tag, or its id if it has no tag.
//!
//! ```json
//! {"freight": {"commits": [{"tag": "v2.0.0"}]}}
//! ```
//!
//! The name of the event may be a separate member, at `/type`, `/event/type` or `/event`. An event that reports no
//! success is ignored.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(test)]
mod tests;

use stoker_plugin::{
    Descriptor, Detection, Kind, Malformed, Outcome, Request, list, pointer, text,
};

const COMMITS: &str = "/freight/commits";

/// Suffixes of the names of events that report no success, such as `PromotionFailed` and `FreightVerificationErrored`.
const NO_SUCCESS: [&str; 6] = [
    "Failed",
    "Errored",
    "Aborted",
    "Created",
    "Inconclusive",
    "Unknown",
];

/// The plugin is asked about bodies with a freight.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "kargo",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Kargo promotions: the tag, or the id, of each commit of the freight",
    headers: &[],
    pointers: &["/freight"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Returns what a promotion of Kargo announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if request.kind_at("/freight") != Some(Kind::Object) {
        return Ok(Outcome::NotMine);
    }
    let events = request.strings_at(&["/type", "/event/type", "/event"]);
    if let Some(event) = events
        .iter()
        .find(|event| NO_SUCCESS.iter().any(|end| event.ends_with(end)))
    {
        return Ok(Outcome::ignored(&["event ", event]));
    }
    let event = events.iter().find(|event| is_of_kargo(event));
    let event = event.map_or("", |event| event);
    match commits(request, event) {
        Ok(Outcome::Found(found)) if found.iter().any(is_tag) => Ok(Outcome::Found(found)),
        // A body that is written by hand may have both. A ref says more than the id of a commit.
        _ if request.has_ref() => Ok(Outcome::NotMine),
        outcome => outcome,
    }
}

/// Returns whether a commit of the freight has a tag.
fn is_tag(found: &Detection) -> bool {
    found.commit.as_deref() != Some(&*found.git_ref)
}

/// Returns what the commits of the freight announce.
fn commits(request: &impl Request, event: &str) -> Result<Outcome, Malformed> {
    let count = match request.kind_at(COMMITS) {
        Some(Kind::Null) | None => 0,
        Some(_) => list::len(request, COMMITS)?,
    };
    let mut parts = list::Parts::default();
    for index in list::read(count) {
        parts.add(commit(request, index, event));
    }
    parts
        .outcome()
        .unwrap_or_else(|| Ok(Outcome::ignored(&["the freight has no commits"])))
}

/// Returns whether the name of an event is one of Kargo's. The body of the step `http` is written by hand, and may have
/// any text at the same place.
fn is_of_kargo(event: &str) -> bool {
    event.starts_with("Promotion") || event.starts_with("Freight")
}

fn commit(request: &impl Request, index: u32, event: &str) -> Result<Outcome, Malformed> {
    let string_at = |member| request.string_at(&pointer::element(COMMITS, index, member));
    let id = string_at("/id").filter(|id| text::is_commit_id(id));
    let tag = string_at("/tag").filter(|tag| !tag.is_empty());
    let detection = tag.map(|tag| Detection::new(tag).tag());
    let Some(detection) = detection.or_else(|| id.clone().map(Detection::new)) else {
        return Err(Malformed::at(
            &pointer::element(COMMITS, index, ""),
            "has neither a tag nor a full commit id",
        ));
    };
    Ok(detection
        .commit(id)
        .repositories(string_at("/repoURL"))
        .event(event)
        .into())
}
