//! Pushes: the places of their properties in the formats of GitHub and GitLab, and the refs that a forge creates for
//! itself.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Detection, Kind, Outcome, Request, text};

/// The folders of refs that forges create for themselves, such as the head of a pull request. They are those of GitHub,
/// Gitea and Azure DevOps; of Bitbucket; of GitLab with its merge trains and pipelines; and of Gerrit.
const FORGE_REFS: [&str; 8] = [
    "refs/pull/",
    "refs/pull-requests/",
    "refs/merge-requests/",
    "refs/keep-around/",
    "refs/pipelines/",
    "refs/environments/",
    "refs/changes/",
    "refs/for/",
];

/// Returns the answer about a ref that was set. A ref that the forge created for itself is ignored, because it is not
/// reviewed and is temporary.
#[must_use]
pub fn announced(detection: Detection) -> Outcome {
    let git_ref = &detection.git_ref;
    if FORGE_REFS.iter().any(|forge| git_ref.starts_with(forge)) {
        Outcome::ignored(&[git_ref, " is a ref of the forge's own"])
    } else {
        detection.into()
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_of_the_forges_own_is_ignored() {
        for git_ref in [
            "refs/pull/7/head",
            "refs/pull/7/merge",
            "refs/pull-requests/7/from",
            "refs/merge-requests/7/train",
            "refs/merge-requests/7/head",
            "refs/keep-around/ab",
            "refs/changes/01/1/1",
        ] {
            let outcome = announced(Detection::new(git_ref));
            assert_eq!(
                outcome,
                Outcome::ignored(&[git_ref, " is a ref of the forge's own"])
            );
        }
        for git_ref in [
            "refs/heads/main",
            "refs/heads/refs/pull/7",
            "refs/heads/dependabot/npm/x",
            "refs/tags/pull/7",
            "refs/deploy/line-7",
            "pull/7",
        ] {
            let detection = Detection::new(git_ref);
            assert_eq!(announced(detection.clone()), detection.into());
        }
    }
}
