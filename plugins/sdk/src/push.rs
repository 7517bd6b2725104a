//! Pushes: the places of their properties in the formats of GitHub and GitLab.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Kind, Outcome, Request, text, time};

/// The prefix of the refs that are tags.
const TAGS: &str = "refs/tags/";
/// The prefix of the refs that are branches.
const BRANCHES: &str = "refs/heads/";
/// The pointer to the kind of a created or deleted ref.
const KIND: &str = "/ref_type";

/// Returns the full name of a ref whose kind is a member of its own, as in the events of GitHub and Gitea that create a
/// ref. A branch and a tag may have the same name. Returns the name of any other ref as it is.
pub fn full_name(request: &impl Request, name: String) -> String {
    let kind = request.string_at(KIND);
    match kind.as_deref().and_then(prefix) {
        // Some versions of Gitea send the full name.
        Some(prefix) if !name.starts_with("refs/") => text::concat(&[prefix, &name]),
        _ => name,
    }
}

/// Returns the prefix of the refs of a kind, `tag` or `branch`. Returns `None` for any other kind.
#[must_use]
pub fn prefix(kind: &str) -> Option<&'static str> {
    // Some versions of Gitea send the names of git's directories as the kind.
    match kind {
        "tag" | "tags" => Some(TAGS),
        "branch" | "branches" | "heads" => Some(BRANCHES),
        _ => None,
    }
}

/// Returns the id of the commit that the ref points to. In the push of an annotated tag, `after` is the tag object. The
/// commit of the tag is `checkout_sha` of GitLab and the head commit of GitHub. In the creation of a tag of Gitea, `sha`
/// may be the tag object.
pub fn commit(request: &impl Request, git_ref: &str) -> Option<String> {
    let id_at = |place| {
        let id = request.string_at(place);
        id.filter(|id| text::is_commit_id(id))
    };
    let is_branch = git_ref.starts_with(BRANCHES);
    let after = id_at("/after").filter(|_| !git_ref.starts_with(TAGS));
    let sha = || id_at("/sha").filter(|_| is_branch || request.kind_at(KIND).is_none());
    after.or_else(|| id_at("/commit")).or_else(sha).or_else(|| {
        ["/checkout_sha", "/head_commit/id"]
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
        || has(KIND)
            && has("/pusher_type")
            && !has("/after")
            && !has("/master_branch")
            && !has("/sha")
}

/// Returns the outcome if a push changes nothing. The test deliveries of Gitea, Forgejo and Gogs are pushes of the default
/// branch with the same commit before and after.
pub fn test_delivery(request: &impl Request, git_ref: &str) -> Option<Outcome> {
    let after = request.string_at("/after")?;
    // Scripts that send webhooks omit what they do not know.
    let is_test =
        text::is_commit_id(&after) && request.string_at("/before").as_ref() == Some(&after);
    is_test.then(|| Outcome::ignored(&["test delivery: ", git_ref, " was not changed"]))
}

/// Returns the outcome if the body is another event of GitHub, Gitea or GitLab than the push, the creation or the deletion
/// of a ref. The run of a workflow by hand and a job, for example, have a `ref` that announces nothing. The body decides
/// this, because a signature covers only the body, so that the header with the name of the event can be changed.
pub fn other_event(request: &impl Request) -> Option<Outcome> {
    /// The members of which a push, or the creation or deletion of a ref, has at least one. Every event may be shortened.
    const OF_PUSH: [&str; 6] = [
        "/after",
        "/before",
        "/commits",
        "/head_commit",
        "/pusher",
        KIND,
    ];
    // GitLab names the event in the body.
    if let Some(kind) = request.string_at("/object_kind")
        && !matches!(kind.as_str(), "push" | "tag_push")
    {
        return Some(Outcome::ignored(&["object_kind ", &kind]));
    }
    let has = |place| request.kind_at(place).is_some();
    let is_event = request.kind_at("/repository") == Some(Kind::Object) && has("/sender/login");
    // Another event also says what happened. A body of nothing but the ref, the repository and the sender does not.
    let is_more = request.len_at("").is_some_and(|members| members > 3);
    let is_other = is_event && is_more && !OF_PUSH.into_iter().any(has);
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

/// Returns names and URLs of the repository, at the places of every format. A body has to be read in the same way
/// whatever the headers say about its sender, because a signature covers only the body.
pub fn repositories(request: &impl Request) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |parent: &str, members: &[&str]| {
        for member in members {
            names.extend(request.string_at(&text::concat(&[parent, member])));
        }
    };
    add(
        "/project",
        &[
            "/path_with_namespace",
            "/git_http_url",
            "/git_ssh_url",
            "/web_url",
        ],
    );
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
    names
}

/// Returns whether the body has a ref, and a repository that is a string. Programs such as the steps of a workflow send
/// such bodies with the headers of GitHub. In the events of GitHub and Gitea, the repository is an object.
pub fn is_by_hand(request: &impl Request) -> bool {
    request.has_text("/ref") && request.kind_at("/repository") == Some(Kind::Text)
}
