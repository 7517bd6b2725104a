//! Bitbucket Data Center, "Event payload", `repo:refs_changed` and `mirror:repo_synchronized`.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Detection, Malformed, Outcome, Request, list, pointer, text};

const CHANGES: &str = "/changes";
const CLONE_LINKS: &str = "/repository/links/clone";
/// The maximum number of clone links: one for each protocol.
const MAX_LINKS: u32 = 4;

pub(crate) fn push(request: &impl Request, event: String) -> Result<Outcome, Malformed> {
    let date = request.string_at("/date");
    let about = Detection::default()
        .repositories(repositories(request))
        .event(event)
        .occurred_at(date.as_deref().and_then(text::rfc3339))
        .delivery_id(request.header("x-request-id"));
    // A mirror leaves the list empty if the list would be too long.
    let is_listed = request.len_at(CHANGES).is_some_and(|count| count > 0);
    if request.is_true("/refLimitExceeded") && !is_listed {
        return Ok(Outcome::ignored(&[
            "the push has more changes than Bitbucket lists; polling finds a change of the ref in use, but no new tag",
        ]));
    }
    list::changes(request, CHANGES, |request, index| {
        change(request, index, &about)
    })
}

fn change(request: &impl Request, index: u32, about: &Detection) -> Result<Outcome, Malformed> {
    let at = |rest| pointer::element(CHANGES, index, rest);
    let git_ref = request.required(&at("/ref/id"))?;
    let hash = request.string_at(&at("/toHash")).unwrap_or_default();
    let kind = request.string_at(&at("/type"));
    if kind.as_deref() == Some("DELETE") || text::is_zero_id(&hash) {
        return Ok(Outcome::deleted(&git_ref));
    }
    // For an annotated tag, this is the id of the tag object, not of the commit.
    let commit = git_ref.starts_with("refs/heads/").then_some(hash);
    let detection = Detection {
        git_ref,
        ..about.clone()
    };
    Ok(detection.commit(commit).into())
}

/// Returns the clone URLs and `PROJECT/repository`. Links that are missing or malformed are skipped.
pub(crate) fn repositories(request: &impl Request) -> Vec<String> {
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
