use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, text};

/// Says what a delivery of GitLab announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(event) = request.header("x-gitlab-event") else {
        return Ok(Outcome::NotMine);
    };
    match event.as_str() {
        "Push Hook" | "Tag Push Hook" => push(request),
        "Release Hook" => release(request),
        // The name of what happened is in the body only.
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
        "push" | "tag_push" => push(request),
        "release" => release(request),
        other => Ok(Outcome::ignored(&["system event ", other])),
    }
}

/// `after` of an annotated tag is the tag object; `checkout_sha` is the commit, of a branch and of a tag alike.
fn push(request: &impl Request) -> Result<Outcome, Malformed> {
    let git_ref = request.required("/ref")?;
    let after = request.string_at("/after").unwrap_or_default();
    if text::is_zero_id(&after) {
        return Ok(Outcome::ignored(&[&git_ref, " was deleted"]));
    }
    let commit = request.string_at("/checkout_sha");
    Ok(about(request, git_ref).commit(commit).into())
}

fn release(request: &impl Request) -> Result<Outcome, Malformed> {
    match request.required("/action")?.as_str() {
        "create" | "update" => {}
        action => return Ok(Outcome::ignored(&["release action ", action])),
    }
    let tag = request.required("/tag")?;
    Ok(about(request, tag)
        .commit(request.string_at("/commit/id"))
        .into())
}

fn about(request: &impl Request, git_ref: String) -> Detection {
    let names = [
        "/project/path_with_namespace",
        "/project/git_http_url",
        "/project/git_ssh_url",
        "/project/web_url",
    ];
    // The event's id is that of what happened, and the same for each hook that hears of it; a key for one delivery
    // came later.
    let delivery = request
        .header("idempotency-key")
        .or_else(|| request.header("x-gitlab-event-uuid"));
    Detection::new(git_ref)
        .repositories(request.strings_at(&names))
        .delivery_id(delivery)
}
