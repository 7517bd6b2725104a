//! Any sender whose body has a `ref` at the top level, and by settings any sender whose body has one anywhere.
//!
//! ```json
//! {"ref": "v2.0.0"}
//! ```
//!
//! Pushes in the shapes of GitHub and GitLab are such bodies, so what those say of the commit, of the repository and
//! of a deletion is understood.
//!
//! | Setting | Meaning | Without it |
//! |---|---|---|
//! | `ref` | JSON pointer to the ref, bare or full | `/ref` |
//! | `ref-prefix` | what is put before a ref that does not start with `refs/`, such as `refs/tags/` | nothing |
//! | `commit` | JSON pointer to the commit's id | where GitHub and GitLab have it, `/commit`, `/sha` |
//! | `repository` | JSON pointer to the repository's name or URL | where GitHub and GitLab have it |
//! | `occurred-at` | JSON pointer to the time, as RFC 3339 | not known |
//! | `delivery-id` | JSON pointer to the sender's id of the delivery | not known |
//! | `when-header` | lines `Name` or `Name: value`: the headers of these deliveries | any |
//! | `when` | lines `/pointer` or `/pointer = value`: what is there in those that announce a ref | any |
//!
//! Headers tell who sends, so where a `when-header` does not hold the delivery is somebody else's. The body tells what
//! happened, so where a `when` does not hold there is nothing to do. Every line must hold. A value is compared with a
//! string, or with the JSON text of a number, `true`, `false` or `null`.
//!
//! The plugin is asked where the first of these is there: the headers of `when-header`, the pointer of `ref`, `/ref`.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod conditions;
mod places;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use stoker_plugin::{
    Descriptor, Detection, Malformed, Outcome, PreFilter, Request, Settings, text,
};

use places::Places;

const REF: &str = "/ref";

/// Asked where there is a `ref`, unless settings say otherwise.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "generic",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Any body with a ref, at the top level or where the settings say",
    headers: &[],
    pointers: &[REF],
};

stoker_plugin::detector!(DESCRIPTOR, detect, pre_filter);

/// The deliveries that the settings mean. Where the place of the ref is not one, all of them: somebody should be told.
pub fn pre_filter(settings: &impl Settings) -> PreFilter {
    let headers = conditions::header_names(settings);
    let pointers = match settings.configured_pointer("ref") {
        _ if !headers.is_empty() => Vec::new(),
        Ok(pointer) => Vec::from([pointer.unwrap_or_else(|| REF.into())]),
        Err(_) => Vec::new(),
    };
    PreFilter { headers, pointers }
}

/// Says what a body with a ref announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if !conditions::headers_hold(request)? {
        return Ok(Outcome::NotMine);
    }
    if let Some(why) = conditions::unmet(request)? {
        return Ok(Outcome::Ignored(why));
    }
    let places = Places::configured(request)?;
    // GitLab names the kind of an event in the body. A job has a `ref` too, and announces nothing.
    if places.git_ref.is_none()
        && let Some(kind) = request.string_at("/object_kind")
        && !matches!(kind.as_str(), "push" | "tag_push")
    {
        return Ok(Outcome::ignored(&["object_kind ", &kind]));
    }
    let mut git_ref = request.required(places.git_ref.as_deref().unwrap_or(REF))?;
    if let Some(prefix) = request.configured("ref-prefix")
        && !git_ref.starts_with("refs/")
    {
        git_ref = text::concat(&[&prefix, &git_ref]);
    }
    if places.is_deletion(request) {
        return Ok(Outcome::ignored(&[&git_ref, " was deleted"]));
    }
    let commit = places.commit(request, &git_ref);
    Ok(Detection::new(git_ref)
        .commit(commit)
        .repositories(places.repositories(request))
        .occurred_at(places.occurred_at(request))
        .delivery_id(places.delivery_id(request))
        .into())
}
