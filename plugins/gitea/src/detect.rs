use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, text};

/// The senders' headers, the youngest first.
pub(crate) const EVENT: [&str; 3] = ["x-forgejo-event", "x-gitea-event", "x-gogs-event"];
const DELIVERY: [&str; 3] = ["x-forgejo-delivery", "x-gitea-delivery", "x-gogs-delivery"];

/// Says what a delivery of Gitea, Forgejo or Gogs announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(event) = first(request, &EVENT) else {
        return Ok(Outcome::NotMine);
    };
    match event.as_str() {
        "push" => push(request),
        "create" => create(request),
        "release" => release(request),
        "delete" => delete(request),
        other => Ok(Outcome::ignored(&["event ", other])),
    }
}

fn push(request: &impl Request) -> Result<Outcome, Malformed> {
    let git_ref = request.required("/ref")?;
    let after = request.string_at("/after").unwrap_or_default();
    if text::is_zero_id(&after) {
        return Ok(Outcome::ignored(&[&git_ref, " was deleted"]));
    }
    // Of an annotated tag, `after` is the tag object, which is no commit; the head commit is what it points to.
    let commit = if git_ref.starts_with("refs/heads/") {
        Some(after)
    } else {
        request.string_at("/head_commit/id")
    };
    Ok(about(request, git_ref).commit(commit).into())
}

/// The name is bare, with its kind beside it. So is an id; but that of a tag may be the tag object's.
fn create(request: &impl Request) -> Result<Outcome, Malformed> {
    let kind = request.required("/ref_type")?;
    let prefix = match kind.as_str() {
        "tag" => "refs/tags/",
        "branch" => "refs/heads/",
        _ => return Ok(Outcome::ignored(&["created ", &kind])),
    };
    let name = request.required("/ref")?;
    // Versions differ in whether they send the whole name.
    let git_ref = if name.starts_with("refs/") {
        name
    } else {
        text::concat(&[prefix, &name])
    };
    let commit = match kind.as_str() {
        "branch" => request.string_at("/sha"),
        _ => None,
    };
    Ok(about(request, git_ref).commit(commit).into())
}

fn delete(request: &impl Request) -> Result<Outcome, Malformed> {
    Ok(Outcome::ignored(&[
        &request.required("/ref")?,
        " was deleted",
    ]))
}

/// An update is a change of the words as well, of any release however old, and would put a gateway back to its tag. The
/// tag of a draft that becomes a release was announced by itself.
fn release(request: &impl Request) -> Result<Outcome, Malformed> {
    let action = request.required("/action")?;
    if action != "published" {
        return Ok(Outcome::ignored(&["release action ", &action]));
    }
    if request.is_true("/release/draft") {
        return Ok(Outcome::ignored(&["draft"]));
    }
    let tag = request.required("/release/tag_name")?;
    let published_at = request.string_at("/release/published_at");
    Ok(about(request, tag).occurred_at(published_at).into())
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
        .delivery_id(first(request, &DELIVERY))
}

fn first(request: &impl Request, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| request.header(name))
}
