//! Bitbucket Data Center, "Event payload", `repo:refs_changed`.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Change, Detection, Malformed, Request, pointer, text};

pub(crate) const CHANGES: &str = "/changes";
const CLONE_LINKS: &str = "/repository/links/clone";
/// One for each protocol.
const MAX_LINKS: u32 = 4;

pub(crate) fn change(request: &impl Request, index: u32) -> Result<Change, Malformed> {
    let at = |rest| pointer::element(CHANGES, index, rest);
    let git_ref = request.required(&at("/ref/id"))?;
    let hash = request.string_at(&at("/toHash")).unwrap_or_default();
    let kind = request.string_at(&at("/type"));
    if kind.as_deref() == Some("DELETE") || text::is_zero_id(&hash) {
        return Ok(Change::Deleted(git_ref));
    }
    // Of an annotated tag it is the tag object, which is no commit.
    let commit = git_ref.starts_with("refs/heads/").then_some(hash);
    Ok(Change::Set(
        Detection::new(git_ref)
            .commit(commit)
            .repositories(repositories(request))
            .delivery_id(request.header("x-request-id")),
    ))
}

/// The addresses to clone from, and `PROJECT/repository`. Links that are not there, or not in a list, are no reason to
/// refuse what else is known.
fn repositories(request: &impl Request) -> Vec<String> {
    let count = request
        .len_at(CLONE_LINKS)
        .unwrap_or_default()
        .min(MAX_LINKS);
    let mut names: Vec<_> = (0..count)
        .filter_map(|index| request.string_at(&pointer::element(CLONE_LINKS, index, "/href")))
        .collect();
    let project = request.string_at("/repository/project/key");
    let slug = request.string_at("/repository/slug");
    if let (Some(project), Some(slug)) = (project, slug) {
        names.push(text::concat(&[&project, "/", &slug]));
    }
    names
}
