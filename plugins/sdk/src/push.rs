//! Pushes: the places of their properties in the formats of GitHub and GitLab.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Kind, Outcome, Request, text, time};

/// Returns the id of the commit that the ref points to. In the push of an annotated tag, `after` is the tag object. The
/// commit of the tag is `checkout_sha` of GitLab and the head commit of GitHub.
pub fn commit(request: &impl Request, git_ref: &str) -> Option<String> {
    let id_at = |place| {
        let id = request.string_at(place);
        id.filter(|id| text::is_commit_id(id))
    };
    let after = id_at("/after").filter(|_| !git_ref.starts_with("refs/tags/"));
    after.or_else(|| {
        ["/commit", "/sha", "/checkout_sha", "/head_commit/id"]
            .into_iter()
            .find_map(id_at)
    })
}

/// Returns whether the ref was deleted. GitHub and Gitea report a deletion in a push, and in an event of its own. Unlike
/// the creation of a ref, this event has neither the default branch (GitHub) nor the id of the ref (Gitea).
pub fn is_deletion(request: &impl Request) -> bool {
    let after = request.string_at("/after");
    let has = |place| request.kind_at(place).is_some();
    request.is_true("/deleted")
        || after.as_deref().is_some_and(text::is_zero_id)
        || has("/ref_type")
            && has("/pusher_type")
            && !has("/after")
            && !has("/master_branch")
            && !has("/sha")
}

/// Returns the outcome if the body is another event of GitHub or Gitea than the push, the creation or the deletion of a
/// ref. The run of a workflow by hand, for example, has a `ref` that announces nothing. The body decides this, because a
/// signature covers only the body, so that the header with the name of the event can be changed.
pub fn other_event(request: &impl Request) -> Option<Outcome> {
    let is_object = |place| request.kind_at(place) == Some(Kind::Object);
    let has = |place| request.kind_at(place).is_some();
    let is_event = is_object("/repository") && is_object("/sender");
    let is_other = is_event && !has("/after") && !has("/ref_type");
    is_other.then(|| Outcome::ignored(&["an event that neither pushes nor creates a ref"]))
}

/// Returns the time of a push of GitHub. The time of the head commit may be earlier, because a branch may be reset to an
/// old commit. Other events have the time of an earlier push.
pub fn occurred_at(request: &impl Request) -> Option<String> {
    const PUSHED_AT: &str = "/repository/pushed_at";
    request.kind_at("/after")?;
    // The time is a number in a push, and a string in every other event.
    request
        .string_at(PUSHED_AT)
        .or_else(|| time::unix_at(request, PUSHED_AT))
}

/// Returns names and URLs of the repository.
pub fn repositories(request: &impl Request) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |parent: &str, members: &[&str]| {
        for member in members {
            names.extend(request.string_at(&text::concat(&[parent, member])));
        }
    };
    match request.kind_at("/repository") {
        Some(Kind::Text) => add("/repository", &[""]),
        Some(Kind::Object) => add(
            "/repository",
            &[
                "/full_name",
                "/clone_url",
                "/ssh_url",
                "/html_url",
                "/git_http_url",
                "/git_ssh_url",
            ],
        ),
        _ => {}
    }
    add(
        "/project",
        &[
            "/path_with_namespace",
            "/git_http_url",
            "/git_ssh_url",
            "/web_url",
        ],
    );
    names
}
