//! The formats of the senders.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Kind, Malformed, Outcome, Request, cloud_event, list, pointer, text, time};

use crate::keys;
use crate::push::Push;

/// The push of an artifact in the format `Default`.
const HARBOR_PUSH: &str = "PUSH_ARTIFACT";
/// The same in the format `CloudEvents`.
const HARBOR_EVENT: &str = "harbor.artifact.pushed";

/// Harbor, "Configure Webhook Notifications", the format `Default`.
pub(crate) fn harbor(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(kind) = request.string_at("/type") else {
        return Ok(Outcome::NotMine);
    };
    if request.kind_at("/occur_at") != Some(Kind::Number) {
        return Ok(Outcome::NotMine);
    }
    if kind != HARBOR_PUSH {
        return Ok(Outcome::ignored(&["event ", &kind]));
    }
    let push =
        harbor_push(request, "/event_data", HARBOR_PUSH)?.at(time::unix_at(request, "/occur_at"));
    Ok(push.announce(request))
}

/// Harbor, the format `CloudEvents`.
pub(crate) fn harbor_event(request: &impl Request) -> Result<Outcome, Malformed> {
    match request.string_at("/type") {
        Some(kind) if kind == HARBOR_EVENT => {}
        Some(kind) if kind.starts_with("harbor.") => {
            return Ok(Outcome::ignored(&["event ", &kind]));
        }
        _ => return Ok(Outcome::NotMine),
    }
    let mut push = harbor_push(request, "/data", HARBOR_EVENT)?.at(request.string_at("/time"));
    push.delivery_id = cloud_event::id(request.string_at("/source"), request.string_at("/id"));
    Ok(push.announce(request))
}

/// An artifact that was pushed without a tag has no tag, or has its digest as the tag.
fn harbor_push(request: &impl Request, data: &str, event: &str) -> Result<Push, Malformed> {
    let image = request.required(&text::concat(&[data, "/repository/repo_full_name"]))?;
    let resources = text::concat(&[data, "/resources"]);
    let tags = strings(request, &resources, "/tag")?.filter(|tag| !tag.contains(':'));
    Ok(Push::of(image, tags.collect(), event))
}

/// Docker Hub, "Webhooks". Nothing is sent to its `callback_url`, which is for tests of the image.
pub(crate) fn docker_hub(request: &impl Request) -> Result<Outcome, Malformed> {
    if request.kind_at("/repository/repo_name").is_none() {
        return Ok(Outcome::NotMine);
    }
    let image = request.required("/repository/repo_name")?;
    let tag = match request.required("/push_data/tag") {
        // A body that is written by hand may have both.
        Err(_) if request.has_ref() => return Ok(Outcome::NotMine),
        tag => tag?,
    };
    let push = Push::of(image, Vec::from([tag]), "push")
        .at(time::unix_at(request, "/push_data/pushed_at"));
    Ok(push.announce(request))
}

/// Quay, "Repository push". Every notification has the address of the image. Only a push has tags.
pub(crate) fn quay(request: &impl Request) -> Result<Outcome, Malformed> {
    const TAGS: &str = "/updated_tags";
    let Some(address) = request.string_at("/docker_url") else {
        return Ok(Outcome::NotMine);
    };
    let tags = match request.kind_at(TAGS) {
        // A body that is written by hand may have both.
        None if request.has_ref() => return Ok(Outcome::NotMine),
        None => return Ok(Outcome::ignored(&["no push to ", &address])),
        Some(Kind::Object) => keys::of_object(&request.json_at(TAGS).unwrap_or_default()),
        Some(_) => strings(request, TAGS, "")?.collect(),
    };
    if is_sample(request, &tags) {
        return Ok(Outcome::ignored(&["test notification of ", &address]));
    }
    // The body does not name the event. This is its name in Quay's API.
    let mut push = Push::of(request.required("/repository")?, tags, "repo_push");
    push.address = Some(address);
    Ok(push.announce(request))
}

/// Returns whether these are the tags of the fixed sample that Quay's "Test notification" sends. A push has no
/// `pruned_image_count`.
fn is_sample(request: &impl Request, tags: &[String]) -> bool {
    let is_fixed = matches!(tags, [first, second] if first == "latest" && second == "foo");
    is_fixed && request.json_at("/pruned_image_count").as_deref() == Some("3")
}

/// Returns the strings in an array, or the strings at a pointer of its elements. An element without a string is
/// skipped.
fn strings<R: Request>(
    request: &R,
    array: &str,
    rest: &'static str,
) -> Result<impl Iterator<Item = String>, Malformed> {
    let string = move |index| request.string_at(&pointer::element(array, index, rest));
    Ok(list::read(list::len(request, array)?).filter_map(string))
}
