//! Bitbucket Cloud, "Event payloads", `repo:push`.

use stoker_plugin::{Change, Detection, Kind, Malformed, Request, pointer, text};

pub(crate) const CHANGES: &str = "/push/changes";

/// Names are bare, with their type beside them. Of a deleted ref, only `old` is there.
pub(crate) fn change(request: &impl Request, index: u32) -> Result<Change, Malformed> {
    let at = |rest| pointer::element(CHANGES, index, rest);
    if !matches!(request.kind_at(&at("/new")), Some(Kind::Object)) {
        return Ok(Change::Deleted(request.required(&at("/old/name"))?));
    }
    let name = request.required(&at("/new/name"))?;
    let git_ref = match request.string_at(&at("/new/type")).as_deref() {
        Some("branch") => text::concat(&["refs/heads/", &name]),
        Some("tag") => text::concat(&["refs/tags/", &name]),
        _ => name,
    };
    let names = ["/repository/full_name", "/repository/links/html/href"];
    Ok(Change::Set(
        Detection::new(git_ref)
            .commit(request.string_at(&at("/new/target/hash")))
            .repositories(request.strings_at(&names))
            .delivery_id(request.header("x-request-uuid")),
    ))
}
