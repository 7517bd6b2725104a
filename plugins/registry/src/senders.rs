//! The shapes of the senders.

use alloc::vec::Vec;

use stoker_plugin::{Kind, Malformed, Outcome, Request, pointer, text, time};

use crate::keys;
use crate::push::Push;

/// Harbor, "Configure Webhook Notifications", the format `Default`.
pub(crate) fn harbor(request: &impl Request) -> Result<Outcome, Malformed> {
    let Some(kind) = request.string_at("/type") else {
        return Ok(Outcome::NotMine);
    };
    if request.kind_at("/occur_at") != Some(Kind::Number) {
        return Ok(Outcome::NotMine);
    }
    if kind != "PUSH_ARTIFACT" {
        return Ok(Outcome::ignored(&["event ", &kind]));
    }
    let push = harbor_push(request, "/event_data")?.at(time::unix_at(request, "/occur_at"));
    Ok(push.announce(request))
}

/// The same place, the format `CloudEvents`.
pub(crate) fn harbor_event(request: &impl Request) -> Result<Outcome, Malformed> {
    match request.string_at("/type") {
        Some(kind) if kind == "harbor.artifact.pushed" => {}
        Some(kind) if kind.starts_with("harbor.") => {
            return Ok(Outcome::ignored(&["event ", &kind]));
        }
        _ => return Ok(Outcome::NotMine),
    }
    let mut push = harbor_push(request, "/data")?.at(request.string_at("/time"));
    push.delivery_id = request.string_at("/id");
    Ok(push.announce(request))
}

/// What was pushed without a tag has none, or its digest in its place.
fn harbor_push(request: &impl Request, data: &str) -> Result<Push, Malformed> {
    let image = request.required(&text::concat(&[data, "/repository/repo_full_name"]))?;
    let resources = text::concat(&[data, "/resources"]);
    let count = array_len(request, &resources)?;
    let tag = |index| request.string_at(&pointer::element(&resources, index, "/tag"));
    let tags = (0..count).filter_map(tag).filter(|tag| !tag.contains(':'));
    Ok(Push::of(image, tags.collect()))
}

/// Docker Hub, "Webhooks". What it calls `callback_url` is for those who test the image; nothing is sent there.
pub(crate) fn docker_hub(request: &impl Request) -> Result<Outcome, Malformed> {
    if request.kind_at("/repository/repo_name").is_none() {
        return Ok(Outcome::NotMine);
    }
    let image = request.required("/repository/repo_name")?;
    let tag = request.required("/push_data/tag")?;
    let push = Push::of(image, Vec::from([tag])).at(time::unix_at(request, "/push_data/pushed_at"));
    Ok(push.announce(request))
}

/// Quay, "Repository push". Each of its notifications has the address of the image, and only a push has tags.
pub(crate) fn quay(request: &impl Request) -> Result<Outcome, Malformed> {
    const TAGS: &str = "/updated_tags";
    let Some(address) = request.string_at("/docker_url") else {
        return Ok(Outcome::NotMine);
    };
    let tags = match request.kind_at(TAGS) {
        None => return Ok(Outcome::ignored(&["no push to ", &address])),
        Some(Kind::Object) => keys::of_object(&request.json_at(TAGS).unwrap_or_default()),
        Some(_) => (0..array_len(request, TAGS)?)
            .filter_map(|index| request.string_at(&pointer::element(TAGS, index, "")))
            .collect(),
    };
    let mut push = Push::of(request.required("/repository")?, tags);
    push.address = Some(address);
    Ok(push.announce(request))
}

fn array_len(request: &impl Request, pointer: &str) -> Result<u32, Malformed> {
    match request.kind_at(pointer) {
        Some(Kind::Array) => Ok(request.len_at(pointer).unwrap_or_default()),
        Some(_) => Err(Malformed::at(pointer, "is not an array")),
        None => Err(Malformed::at(pointer, "is missing")),
    }
}
