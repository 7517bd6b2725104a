//! Releases, in the format of GitHub. The format of Gitea is similar.

use alloc::string::String;

use crate::{Detection, Malformed, Outcome, Request, text};

/// The pointer to the tag of a release.
pub const TAG: &str = "/release/tag_name";

/// Returns what a release of GitHub announces. `about` is the detection without a ref, an event and a time. A release
/// that was sent manually may have no action.
///
/// GitHub sends a new release as `created`, `published` and `released`. The event `released` also reports that a
/// pre-release became a release. `published_at` is then the time of the pre-release. `updated_at` is the time of the
/// event in both cases. Older versions of GitHub Enterprise Server do not send it.
pub fn announced(
    request: &impl Request,
    action: Option<&str>,
    about: Detection,
) -> Result<Outcome, Malformed> {
    if let Some(action) = action
        && !matches!(action, "published" | "released")
    {
        return Ok(Outcome::ignored(&["release action ", action]));
    }
    if request.is_true("/release/draft") {
        return Ok(Outcome::ignored(&["draft"]));
    }
    let git_ref = request.required(TAG)?;
    let time = match action {
        Some("released") => "/release/updated_at",
        _ => "/release/published_at",
    };
    let mut detection = Detection { git_ref, ..about }
        .tag()
        .occurred_at(time_at(request, time));
    if let Some(action) = action {
        detection = detection.event(text::concat(&["release.", action]));
    }
    Ok(detection.into())
}

/// Returns a time of a release of GitHub. Gitea, Forgejo and Gogs have another time at the place of its publication: if
/// the tag existed before the release, it is the date of the tag or of its commit.
fn time_at(request: &impl Request, pointer: &str) -> Option<String> {
    // Their users have a member that users of GitHub do not have.
    let is_of_gitea = request.kind_at("/sender/username").is_some();
    request.string_at(pointer).filter(|_| !is_of_gitea)
}
