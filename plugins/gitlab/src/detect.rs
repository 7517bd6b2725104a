use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, list, pointer, push, text};

const CHANGES: &str = "/changes";

/// Returns what a delivery of GitLab announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(event) = request.header("x-gitlab-event") else {
        return Ok(Outcome::NotMine);
    };
    match by_event(request, &event) {
        // The template of a webhook may replace the body of any event.
        Err(_) if request.has_ref() => Ok(Outcome::NotMine),
        outcome => outcome,
    }
}

fn by_event(request: &impl Request, event: &str) -> Result<Outcome, Malformed> {
    match event {
        "Push Hook" => pushed(request, "push"),
        "Tag Push Hook" => pushed(request, "tag_push"),
        "Release Hook" => release(request),
        // The body names the event.
        "System Hook" => system(request),
        other => Ok(Outcome::ignored(&["event ", other])),
    }
}

fn system(request: &impl Request) -> Result<Outcome, Malformed> {
    let kind = match request.string_at("/object_kind") {
        Some(kind) => kind,
        None => request.required("/event_name")?,
    };
    match kind.as_str() {
        "push" | "tag_push" => pushed(request, &kind),
        "repository_update" => updated(request),
        "release" => release(request),
        other => Ok(Outcome::ignored(&["system event ", other])),
    }
}

/// For an annotated tag, `after` is the tag object. `checkout_sha` is the commit, for branches and tags.
fn pushed(request: &impl Request, event: &str) -> Result<Outcome, Malformed> {
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
    let commit = request.string_at("/checkout_sha");
    // The time is that of GitHub. Headers of GitLab on a signed body of GitHub must not remove it.
    Ok(about(request, git_ref)
        .commit(commit)
        .event(event)
        .occurred_at(push::occurred_at(request))
        .into())
}

/// A push of any number of refs, as the hooks of a whole instance send it ("System hooks").
fn updated(request: &impl Request) -> Result<Outcome, Malformed> {
    let about = about(request, String::new()).event("repository_update");
    list::changes(request, CHANGES, |request, index| {
        let at = |rest| pointer::element(CHANGES, index, rest);
        let git_ref = request.required(&at("/ref"))?;
        let after = request.string_at(&at("/after")).unwrap_or_default();
        if text::is_zero_id(&after) {
            return Ok(Outcome::deleted(&git_ref));
        }
        // For an annotated tag, this is the id of the tag object, not of the commit.
        let commit = git_ref.starts_with("refs/heads/").then_some(after);
        let detection = Detection {
            git_ref,
            ..about.clone()
        };
        Ok(detection.commit(commit).into())
    })
}

/// An `update` reports that the notes of a release were edited. The release may be an old one, so it announces nothing.
fn release(request: &impl Request) -> Result<Outcome, Malformed> {
    let action = request.required("/action")?;
    if action != "create" {
        return Ok(Outcome::ignored(&["release action ", &action]));
    }
    let tag = request.required("/tag")?;
    // `released_at` is a time that a person may choose.
    let created_at = request.string_at("/created_at");
    Ok(about(request, tag)
        .tag()
        .commit(request.string_at("/commit/id"))
        .event("release.create")
        .occurred_at(created_at.as_deref().and_then(text::rfc3339))
        .into())
}

fn about(request: &impl Request, git_ref: String) -> Detection {
    // The id of the event is the same in all webhooks about one event. Newer versions also send a key for each
    // delivery.
    let delivery = request
        .header("idempotency-key")
        .or_else(|| request.header("x-gitlab-event-uuid"));
    Detection::new(git_ref)
        .repositories(push::repositories(request))
        .delivery_id(delivery)
}
