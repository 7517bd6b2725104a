//! Promotions of Kargo that send the freight: each of its commits announces its tag, or itself where it has none.
//!
//! ```json
//! {"freight": {"commits": [{"tag": "v2.0.0"}]}}
//! ```
//!
//! The event may be named beside the freight, at `/type`, `/event/type` or `/event`. What has not come to a good end
//! by that name is ignored.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use stoker_plugin::{Descriptor, Detection, Kind, Malformed, Outcome, Request, pointer, text};

const COMMITS: &str = "/freight/commits";

/// How the names of events end that tell of no success, as in `PromotionFailed` and `FreightVerificationErrored`.
const NO_SUCCESS: [&str; 6] = [
    "Failed",
    "Errored",
    "Aborted",
    "Created",
    "Inconclusive",
    "Unknown",
];

/// Asked where there is a freight.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "kargo",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Kargo promotions: the tag, or the id, of each commit of the freight",
    headers: &[],
    pointers: &["/freight"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Says what a promotion of Kargo announces.
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
    let commits = match request.kind_at(COMMITS) {
        Some(Kind::Array) => request.len_at(COMMITS).unwrap_or_default(),
        Some(Kind::Null) | None => 0,
        Some(_) => return Err(Malformed::at(COMMITS, "is not an array")),
    };
    if commits == 0 {
        return Ok(Outcome::ignored(&["the freight has no commits"]));
    }
    let found = (0..commits)
        .map(|at| commit(request, at))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Outcome::Found(found))
}

fn commit(request: &impl Request, at: u32) -> Result<Detection, Malformed> {
    let string_at = |member| request.string_at(&pointer::element(COMMITS, at, member));
    let id = string_at("/id").filter(|id| text::is_commit_id(id));
    let tag = string_at("/tag").filter(|tag| !tag.is_empty());
    let Some(git_ref) = tag.or_else(|| id.clone()) else {
        return Err(Malformed::at(
            &pointer::element(COMMITS, at, ""),
            "has neither a tag nor a full commit id",
        ));
    };
    Ok(Detection::new(git_ref)
        .commit(id)
        .repositories(string_at("/repoURL")))
}
