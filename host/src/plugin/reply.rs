//! Checks the answer of a guest, which is not trusted.

mod time;

use stoker_api::detection::{CommitId, Detection, GitRef};
use stoker_report::{characters, first_unprintable};

use super::error::CallError;
use super::limits::{Limits, TEXT_BYTES};

/// The maximum number of repositories that one detection may name.
const MAX_REPOSITORIES: usize = 32;
/// The maximum length of a repository name, in bytes.
const MAX_REPOSITORY_BYTES: usize = 2048;
/// The maximum length of a delivery id, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The maximum length of an event, in bytes. The types of CloudEvents are names in reverse domain notation, which are
/// longer than the words of other senders.
const MAX_EVENT_BYTES: usize = 255;
/// The name of the attribute with the event.
const EVENT: &str = "event";

/// The answer of a guest, unchecked.
#[derive(Debug)]
pub(super) enum RawReply {
    NotMine,
    Ignored(String),
    Found(Vec<RawDetection>),
    Malformed(String),
}

/// One detection of a guest, unchecked.
#[derive(Debug, Default)]
pub(super) struct RawDetection {
    pub(super) git_ref: String,
    pub(super) commit: Option<String>,
    pub(super) repositories: Vec<String>,
    pub(super) occurred_at: Option<String>,
    pub(super) delivery_id: Option<String>,
    pub(super) attributes: Vec<(String, String)>,
}

/// The answer of a plugin, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The delivery has another format.
    NotMine,
    /// The delivery has this format and announces nothing. The text is the reason.
    Ignored(String),
    /// The delivery announces at least one ref.
    Found(Vec<Detection>),
    /// The delivery has this format and is malformed. The text is the reason.
    Malformed(String),
}

/// Checks an answer.
pub(super) fn check(raw: RawReply, limits: &Limits) -> Result<Reply, CallError> {
    let text = |text: String| printable(&text, TEXT_BYTES);
    Ok(match raw {
        RawReply::NotMine => Reply::NotMine,
        RawReply::Ignored(reason) => Reply::Ignored(text(reason)),
        RawReply::Malformed(why) => Reply::Malformed(text(why)),
        RawReply::Found(found) if found.is_empty() => {
            return Err(answer("that it found something, and named no ref"));
        }
        RawReply::Found(found) => Reply::Found(usable(found, limits.detections)?),
    })
}

/// Returns the usable detections. An unusable detection does not affect the others. If all are unusable, the error of
/// the first is returned. If there are more than `limit`, the first and the last are kept, because in the order of git,
/// older tags are in the middle.
fn usable(mut found: Vec<RawDetection>, limit: usize) -> Result<Vec<Detection>, CallError> {
    if let Some(beyond) = found.len().checked_sub(limit) {
        let middle = limit.div_ceil(2);
        found.drain(middle..middle + beyond);
    }
    let mut error = None;
    let mut usable = Vec::with_capacity(found.len());
    for raw in found {
        match detection(raw) {
            Ok(detection) => usable.push(detection),
            Err(why) => {
                error.get_or_insert(why);
            }
        }
    }
    match error {
        Some(error) if usable.is_empty() => Err(error),
        _ => Ok(usable),
    }
}

fn detection(raw: RawDetection) -> Result<Detection, CallError> {
    let git_ref = GitRef::parse(&raw.git_ref)?;
    let commit = raw
        .commit
        .as_deref()
        .map(CommitId::parse)
        .transpose()
        .map_err(|error| answer(format!("with a commit that cannot be used: {error}")))?;
    // A name that cannot be used stays a name, which means no repository. A detection without a name would be accepted.
    let mut repositories = raw.repositories;
    repositories.truncate(MAX_REPOSITORIES);
    for name in &mut repositories {
        if name.len() > MAX_REPOSITORY_BYTES || first_unprintable(name).is_some() {
            *name = printable(name, MAX_REPOSITORY_BYTES);
        }
    }
    let occurred_at = raw.occurred_at.as_deref().map(time::parse).transpose();
    let occurred_at =
        occurred_at.map_err(|why| answer(format!("with a time that cannot be used: {why}")))?;
    // A request is valid without the id.
    let is_fit = |id: &String| id.len() <= MAX_ID_BYTES && first_unprintable(id).is_none();
    let delivery_id = raw.delivery_id.filter(is_fit);
    Ok(Detection {
        git_ref,
        commit,
        repositories,
        event: event(&raw.attributes),
        occurred_at,
        delivery_id,
    })
}

/// Returns the event of a detection. An event that is too long is cut, because a detection without one has another
/// meaning.
fn event(attributes: &[(String, String)]) -> Option<String> {
    let (_, event) = attributes.iter().find(|(name, _)| name == EVENT)?;
    let (shown, _) = bounded(event.trim(), MAX_EVENT_BYTES);
    (!shown.is_empty()).then_some(shown)
}

fn answer(what: impl Into<String>) -> CallError {
    CallError::Answer { what: what.into() }
}

/// Makes a text safe to display: at most `max_bytes` bytes, with an ellipsis if it was truncated, and without
/// characters that move a terminal's cursor or change the direction of writing.
pub(super) fn printable(text: &str, max_bytes: usize) -> String {
    let (mut shown, is_cut) = bounded(text, max_bytes);
    if is_cut {
        shown.push('…');
    }
    shown
}

/// Returns the beginning of a text without such characters, and whether the text is longer.
fn bounded(text: &str, max_bytes: usize) -> (String, bool) {
    let mut shown = String::with_capacity(text.len().min(max_bytes));
    for (c, is_unprintable) in characters(text) {
        let c = if is_unprintable {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        };
        if shown.len() + c.len_utf8() > max_bytes {
            return (shown, true);
        }
        shown.push(c);
    }
    (shown, false)
}

#[cfg(test)]
mod tests;
