//! Bitbucket Cloud, "Event payloads", `repo:push`. A plugin for Bitbucket Server sends the same event.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Detection, Kind, Malformed, Outcome, Request, list, pointer, text};

use crate::data_center;

const CHANGES: &str = "/push/changes";

pub(crate) fn push(request: &impl Request) -> Result<Outcome, Malformed> {
    let about = Detection::default()
        .repositories(repositories(request))
        .event("repo:push")
        .delivery_id(request.header("x-request-uuid"));
    list::changes(request, CHANGES, |request, index| {
        change(request, index, &about)
    })
}

/// Returns the names of the repository. The plugin for Bitbucket Server has the members of Data Center, and spells the
/// full name in another way.
fn repositories(request: &impl Request) -> Vec<String> {
    let mut names = request.strings_at(&["/repository/full_name", "/repository/links/html/href"]);
    if names.is_empty() {
        names = data_center::repositories(request);
        names.extend(request.string_at("/repository/fullName"));
    }
    names
}

/// The names have no `refs/` prefix; the type is a separate member. A deleted ref has only `old`.
fn change(request: &impl Request, index: u32, about: &Detection) -> Result<Outcome, Malformed> {
    let at = |rest| pointer::element(CHANGES, index, rest);
    if !matches!(request.kind_at(&at("/new")), Some(Kind::Object)) {
        return Ok(Outcome::deleted(&request.required(&at("/old/name"))?));
    }
    let name = request.required(&at("/new/name"))?;
    let git_ref = match request.string_at(&at("/new/type")).as_deref() {
        Some("branch") => text::concat(&["refs/heads/", &name]),
        Some("tag") => text::concat(&["refs/tags/", &name]),
        _ => name,
    };
    let detection = Detection {
        git_ref,
        ..about.clone()
    };
    let commit = request.string_at(&at("/new/target/hash"));
    Ok(detection.commit(commit).into())
}
