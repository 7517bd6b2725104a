//! Pushes: the places of their properties in the formats of GitHub and GitLab.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Kind, Request, text};

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

/// Returns whether the push deleted the ref.
pub fn is_deletion(request: &impl Request) -> bool {
    let after = request.string_at("/after");
    request.is_true("/deleted") || after.as_deref().is_some_and(text::is_zero_id)
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
