//! Where a push in the shape of GitHub or GitLab has what it tells, below any place in a body: whole deliveries are
//! such pushes, and what an event carries may be one. `base` is the JSON pointer to the push, empty for the whole body.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Kind, Request, text};

/// The id of the commit that the ref points to. In the push of an annotated tag `after` is the tag object, which is no
/// commit. What it points to is GitLab's `checkout_sha` and GitHub's head commit.
pub fn commit(request: &impl Request, base: &str, git_ref: &str) -> Option<String> {
    let id_at = |place| {
        let id = request.string_at(&text::concat(&[base, place]));
        id.filter(|id| text::is_commit_id(id))
    };
    let after = id_at("/after").filter(|_| !git_ref.starts_with("refs/tags/"));
    after.or_else(|| {
        ["/commit", "/sha", "/checkout_sha", "/head_commit/id"]
            .into_iter()
            .find_map(id_at)
    })
}

/// Whether the push says that there is no such ref any more.
pub fn is_deletion(request: &impl Request, base: &str) -> bool {
    let after = request.string_at(&text::concat(&[base, "/after"]));
    request.is_true(&text::concat(&[base, "/deleted"]))
        || after.as_deref().is_some_and(text::is_zero_id)
}

/// Names and URLs of the repository.
pub fn repositories(request: &impl Request, base: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |parent: &str, members: &[&str]| {
        for member in members {
            names.extend(request.string_at(&text::concat(&[base, parent, member])));
        }
    };
    match request.kind_at(&text::concat(&[base, "/repository"])) {
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
