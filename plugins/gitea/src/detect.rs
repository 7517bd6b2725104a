use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, push};

/// The headers of the senders, the newest sender first.
pub(crate) const EVENT: [&str; 3] = ["x-forgejo-event", "x-gitea-event", "x-gogs-event"];
const DELIVERY: [&str; 3] = ["x-forgejo-delivery", "x-gitea-delivery", "x-gogs-delivery"];

/// Returns what a delivery of Gitea, Forgejo or Gogs announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(event) = first(request, &EVENT) else {
        return Ok(Outcome::NotMine);
    };
    match event.as_str() {
        "push" => pushed(request),
        "delete" => delete(request),
        _ if push::is_by_hand(request) => Ok(Outcome::NotMine),
        "create" => create(request),
        "release" => match release(request) {
            // A body that is written by hand may have no members of a release.
            Err(_) if request.has_ref() => Ok(Outcome::NotMine),
            outcome => outcome,
        },
        other => Ok(Outcome::ignored(&["event ", other])),
    }
}

fn pushed(request: &impl Request) -> Result<Outcome, Malformed> {
    let name = request.required("/ref")?;
    if push::is_deletion(request) {
        return Ok(Outcome::deleted(&name));
    }
    if let Some(outcome) = push::other_event(request) {
        return Ok(outcome);
    }
    let git_ref = push::full_name(request, name);
    if let Some(outcome) = push::test_delivery(request, &git_ref) {
        return Ok(outcome);
    }
    let after = request.string_at("/after");
    // For an annotated tag, `after` is the tag object. The head commit is the commit that the tag points to.
    let commit = after
        .filter(|_| git_ref.starts_with("refs/heads/"))
        .or_else(|| request.string_at("/head_commit/id"));
    // The time is that of GitHub. Headers of Gitea on a signed body of GitHub must not remove it.
    Ok(about(request, git_ref)
        .commit(commit)
        .event("push")
        .occurred_at(push::occurred_at(request))
        .into())
}

/// The name has no `refs/` prefix; its kind and an id are separate members.
fn create(request: &impl Request) -> Result<Outcome, Malformed> {
    let kind = request.required("/ref_type")?;
    if push::prefix(&kind).is_none() {
        return Ok(Outcome::ignored(&["created ", &kind]));
    }
    let name = request.required("/ref")?;
    if push::is_deletion(request) {
        return Ok(Outcome::deleted(&name));
    }
    let git_ref = push::full_name(request, name);
    let commit = push::commit(request, &git_ref);
    Ok(about(request, git_ref)
        .commit(commit)
        .event("create")
        .into())
}

fn delete(request: &impl Request) -> Result<Outcome, Malformed> {
    Ok(Outcome::deleted(&request.required("/ref")?))
}

/// An update may change only the text of an old release, and would then set a gateway back to its tag. If a draft becomes
/// a release, the action is `published` if this creates the tag. If the tag exists already, it is `updated`; then only the
/// push of the tag announces it.
fn release(request: &impl Request) -> Result<Outcome, Malformed> {
    let action = request.required("/action")?;
    if action != "published" {
        return Ok(Outcome::ignored(&["release action ", &action]));
    }
    if request.is_true("/release/draft") {
        return Ok(Outcome::ignored(&["draft"]));
    }
    let tag = request.required("/release/tag_name")?;
    // If the tag existed before the release, this is the date of the tag or of its commit. Only GitHub reports the time of
    // the event here. Headers of Gitea on a signed body of GitHub, whose releases have `node_id`, must not remove it.
    let published_at = request
        .string_at("/release/published_at")
        .filter(|_| request.kind_at("/release/node_id").is_some());
    Ok(about(request, tag)
        .tag()
        .event("release.published")
        .occurred_at(published_at)
        .into())
}

fn about(request: &impl Request, git_ref: String) -> Detection {
    Detection::new(git_ref)
        .repositories(push::repositories(request))
        .delivery_id(first(request, &DELIVERY))
}

fn first(request: &impl Request, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| request.header(name))
}
