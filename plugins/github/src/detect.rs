use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, text, time};

const ACTION: &str = "/action";
/// The headers of senders that send GitHub's as well, and mean something else by them.
const RELATIVES: [&str; 3] = ["x-forgejo-event", "x-gitea-event", "x-gogs-event"];

/// Says what a delivery of GitHub announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if RELATIVES.iter().any(|name| request.header(name).is_some()) {
        return Ok(Outcome::NotMine);
    }
    let Some(event) = request.header("x-github-event") else {
        // By hand, the action may be left out: who sends a release means it.
        return match request.kind_at(ACTION) {
            Some(_) => release(request, Some(&request.required(ACTION)?)),
            None => release(request, None),
        };
    };
    match event.as_str() {
        "release" => release(request, Some(&request.required(ACTION)?)),
        "push" => push(request),
        "create" => create(request),
        "delete" => delete(request),
        "ping" => Ok(Outcome::ignored(&["ping"])),
        other => Ok(Outcome::ignored(&["event ", other])),
    }
}

/// One release made in one go is sent as `created`, `published` and `released`. The last is also what becomes of a
/// pre-release later on; its `published_at` is then that of the pre-release, so it says nothing about this event.
fn release(request: &impl Request, action: Option<&str>) -> Result<Outcome, Malformed> {
    if let Some(action) = action
        && !matches!(action, "published" | "released")
    {
        return Ok(Outcome::ignored(&["release action ", action]));
    }
    if request.is_true("/release/draft") {
        return Ok(Outcome::ignored(&["draft"]));
    }
    // Bare, as it was sent: a host takes a bare name for a tag first, and the tag of a release is one.
    let tag = request.required("/release/tag_name")?;
    let published_at = match action {
        Some("released") => None,
        _ => request.string_at("/release/published_at"),
    };
    Ok(about(request, tag).occurred_at(published_at).into())
}

fn push(request: &impl Request) -> Result<Outcome, Malformed> {
    let git_ref = request.required("/ref")?;
    let after = request.string_at("/after").unwrap_or_default();
    if request.is_true("/deleted") || text::is_zero_id(&after) {
        return Ok(Outcome::ignored(&[&git_ref, " was deleted"]));
    }
    // Of an annotated tag, `after` is the tag object, which is no commit; the head commit is what it points to.
    let commit = if git_ref.starts_with("refs/heads/") {
        Some(after)
    } else {
        request.string_at("/head_commit/id")
    };
    Ok(about(request, git_ref)
        .commit(commit)
        .occurred_at(pushed_at(request))
        .into())
}

/// The name is sent bare. Its kind is sent beside it, so it is given in full: a tag of the same name must not be
/// taken for a new branch.
fn create(request: &impl Request) -> Result<Outcome, Malformed> {
    let kind = request.required("/ref_type")?;
    let prefix = match kind.as_str() {
        "tag" => "refs/tags/",
        "branch" => "refs/heads/",
        _ => return Ok(Outcome::ignored(&["created ", &kind])),
    };
    let name = request.required("/ref")?;
    Ok(about(request, text::concat(&[prefix, &name])).into())
}

fn delete(request: &impl Request) -> Result<Outcome, Malformed> {
    Ok(Outcome::ignored(&[
        &request.required("/ref")?,
        " was deleted",
    ]))
}

fn about(request: &impl Request, git_ref: String) -> Detection {
    let names = [
        "/repository/full_name",
        "/repository/clone_url",
        "/repository/ssh_url",
        "/repository/html_url",
    ];
    Detection::new(git_ref)
        .repositories(request.strings_at(&names))
        .delivery_id(request.header("x-github-delivery"))
}

/// When the push happened. The time of the head commit does not say that: a branch may be set back to an old commit.
fn pushed_at(request: &impl Request) -> Option<String> {
    let pointer = "/repository/pushed_at";
    // A number in a push, a string in every other event.
    request
        .string_at(pointer)
        .or_else(|| time::unix_at(request, pointer))
}
