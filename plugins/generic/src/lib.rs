//! Deliveries of any sender whose body has a `ref` at the top level, or at a place that the settings name.
//!
//! ```json
//! {"ref": "v2.0.0"}
//! ```
//!
//! The pushes of GitHub and GitLab have this form, so the plugin reads their commit, repository and deletion, and the
//! time of GitHub's. It ignores other events of GitHub, Gitea and GitLab that have a `ref`.
//!
//! | Setting | Meaning | Without it |
//! |---|---|---|
//! | `ref` | JSON pointer to the ref, bare or full | `/ref` |
//! | `ref-prefix` | prefix of a ref that does not start with `refs/`, such as `refs/tags/` | none |
//! | `commit` | JSON pointer to the commit's id | the places of GitHub and GitLab, `/commit`, `/sha` |
//! | `repository` | JSON pointer to the repository's name or URL | the places of GitHub and GitLab |
//! | `event` | JSON pointer to the name of what happened | not known |
//! | `occurred-at` | JSON pointer to the time, as RFC 3339 | the time of GitHub's pushes |
//! | `delivery-id` | JSON pointer to the sender's id of the delivery | not known |
//! | `when-header` | lines `Name` or `Name: value`: the headers of these deliveries | any |
//! | `when` | lines `/pointer` or `/pointer = value`: values in the body of those that announce a ref | any |
//!
//! Headers identify the sender: if a `when-header` does not hold, the delivery is of another format. The body describes
//! the event: if a `when` does not hold, the delivery is ignored. Every line must hold. A value is compared with a
//! string, or with the JSON text of a number, `true`, `false` or `null`.
//!
//! The plugin is asked about deliveries with the headers of `when-header`. Without this setting, it is asked about
//! deliveries with a value at the pointer of `ref` or at one of `when`. In both cases it is also asked about messages that confirm a
//! subscription of Amazon SNS or Azure Event Grid. It ignores these messages.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod conditions;
mod handshake;
mod places;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{
    Descriptor, Detection, Malformed, Outcome, PreFilter, Request, Settings, push, sns, text,
};

use places::Places;

const REF: &str = "/ref";

/// The plugin is asked about bodies with a `ref`, unless the settings name another place.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "generic",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Any body with a ref, at the top level or at the place in the settings",
    headers: &handshake::HEADERS,
    pointers: &[REF, sns::SUBSCRIBE_URL],
};

stoker_plugin::detector!(DESCRIPTOR, detect, pre_filter);

/// Returns the deliveries that the settings select. If the setting `ref` is invalid, these are all deliveries, so that
/// the answer to a sender reports the error.
pub fn pre_filter(settings: &impl Settings) -> PreFilter {
    let mut headers = conditions::header_names(settings);
    let mut pointers = match settings.configured_pointer("ref") {
        _ if !headers.is_empty() => Vec::new(),
        Ok(pointer) => {
            let mut pointers = conditions::pointers(settings);
            pointers.insert(0, pointer.unwrap_or_else(|| REF.into()));
            pointers
        }
        Err(_) => return PreFilter::default(),
    };
    pointers.push(sns::SUBSCRIBE_URL.into());
    for name in handshake::HEADERS {
        headers.push(name.into());
    }
    PreFilter { headers, pointers }
}

/// Returns what a body with a ref announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if let Some(outcome) = handshake::answer(request) {
        return Ok(outcome);
    }
    if !conditions::headers_hold(request)? || is_of_other_format(request) {
        return Ok(Outcome::NotMine);
    }
    if let Some(why) = conditions::unmet(request)? {
        return Ok(Outcome::Ignored(why));
    }
    let places = Places::configured(request)?;
    if places.git_ref.is_none()
        && let Some(outcome) = push::other_event(request)
    {
        return Ok(outcome);
    }
    let name = request.required(places.git_ref.as_deref().unwrap_or(REF))?;
    if places.is_deletion(request) {
        return Ok(Outcome::deleted(&name));
    }
    let git_ref = full_name(request, &places, name);
    if places.git_ref.is_none()
        && let Some(outcome) = push::test_delivery(request, &git_ref)
    {
        return Ok(outcome);
    }
    let commit = places.commit(request, &git_ref);
    Ok(Detection::new(git_ref)
        .commit(commit)
        .repositories(places.repositories(request))
        .event(places.event(request).unwrap_or_default())
        .occurred_at(places.occurred_at(request))
        .delivery_id(places.delivery_id(request))
        .into())
}

/// Returns the ref with the prefix of its kind in the body, or else with the prefix in the settings. A ref that has a
/// prefix is not changed.
fn full_name(request: &impl Request, places: &Places, name: String) -> String {
    let git_ref = match places.git_ref {
        None => push::full_name(request, name),
        Some(_) => name,
    };
    match request.configured("ref-prefix") {
        Some(prefix) if !git_ref.starts_with("refs/") => text::concat(&[&prefix, &git_ref]),
        _ => git_ref,
    }
}

/// Returns whether the plugin was asked only because the delivery may be one of [`handshake`].
fn is_of_other_format(request: &impl Request) -> bool {
    let is_missing = |pointer: &str| request.kind_at(pointer).is_none();
    conditions::header_names(request).is_empty()
        && request
            .configured_pointer("ref")
            .is_ok_and(|at| is_missing(at.as_deref().unwrap_or(REF)))
        && conditions::pointers(request)
            .iter()
            .all(|pointer| is_missing(pointer))
}
