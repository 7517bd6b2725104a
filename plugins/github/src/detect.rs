use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, push, release};

const ACTION: &str = "/action";
/// The headers of senders that also send GitHub's headers, with another meaning.
const COMPATIBLE_SENDERS: [&str; 3] = ["x-forgejo-event", "x-gitea-event", "x-gogs-event"];

/// Returns what a delivery of GitHub announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if COMPATIBLE_SENDERS
        .iter()
        .any(|name| request.header(name).is_some())
    {
        return Ok(Outcome::NotMine);
    }
    let Some(event) = request.header("x-github-event") else {
        // A release that was sent manually may have no action.
        return match request.kind_at(ACTION) {
            _ if request.required(release::TAG).is_err() && request.has_ref() => {
                Ok(Outcome::NotMine)
            }
            // A program in Go sends a member that it does not set as an empty string.
            Some(_) if request.string_at(ACTION).as_deref() != Some("") => {
                released(request, Some(&request.required(ACTION)?))
            }
            _ => released(request, None),
        };
    };
    match event.as_str() {
        "push" => pushed(request),
        "delete" => delete(request),
        _ if push::is_by_hand(request) => Ok(Outcome::NotMine),
        // A body that is written by hand may have no members of a release.
        "release" if is_incomplete(request) && request.has_ref() => Ok(Outcome::NotMine),
        "release" => released(request, Some(&request.required(ACTION)?)),
        "create" => create(request),
        "ping" => Ok(Outcome::ignored(&["ping"])),
        other => Ok(Outcome::ignored(&["event ", other])),
    }
}

fn released(request: &impl Request, action: Option<&str>) -> Result<Outcome, Malformed> {
    release::announced(request, action, about(request, String::new()))
}

fn is_incomplete(request: &impl Request) -> bool {
    request.required(ACTION).is_err() || request.required(release::TAG).is_err()
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
    Ok(about(request, git_ref)
        .commit(commit)
        .event("push")
        .occurred_at(push::occurred_at(request))
        .into())
}

/// The name has no `refs/` prefix; its kind is a separate member.
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
    Ok(about(request, git_ref).event("create").into())
}

fn delete(request: &impl Request) -> Result<Outcome, Malformed> {
    Ok(Outcome::deleted(&request.required("/ref")?))
}

fn about(request: &impl Request, git_ref: String) -> Detection {
    Detection::new(git_ref)
        .repositories(push::repositories(request))
        .delivery_id(request.header("x-github-delivery"))
}
