//! Checks the answer of a guest, which is not trusted.

mod time;

use stoker_api::detection::{CommitId, Detection, GitRef};
use stoker_report::{characters, first_unprintable};

use super::call::MAX_NOTES;
use super::error::CallError;
use super::limits::{Limits, TEXT_BYTES};

/// The maximum number of repositories that one detection may name. A detection with more is refused: without some of
/// its names, it would be taken for one of other repositories.
const MAX_REPOSITORIES: usize = 4096;
/// The maximum length of a repository name, in bytes.
const MAX_REPOSITORY_BYTES: usize = 2048;
/// The maximum length of a delivery id, in bytes. That of a CloudEvent is its source, a URI reference, and its id.
const MAX_ID_BYTES: usize = 1024;
/// The maximum length of an event, in bytes. The types of CloudEvents are names in reverse domain notation, which are
/// longer than the words of other senders.
const MAX_EVENT_BYTES: usize = 255;
/// The name of the attribute with the event.
const EVENT: &str = "event";
/// The name of the attribute with the kind of a bare ref, and its only value.
const REF_KIND: (&str, &str) = ("ref-kind", "tag");

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

/// Checks an answer. What is left out of it is added to `notes`.
pub(super) fn check(
    raw: RawReply,
    limits: &Limits,
    notes: &mut Vec<String>,
) -> Result<Reply, CallError> {
    let text = |text: String| printable(&text, TEXT_BYTES);
    Ok(match raw {
        RawReply::NotMine => Reply::NotMine,
        RawReply::Ignored(reason) => Reply::Ignored(text(reason)),
        RawReply::Malformed(why) => Reply::Malformed(text(why)),
        RawReply::Found(found) if found.is_empty() => {
            return Err(answer("that it found something, and named no ref"));
        }
        RawReply::Found(found) => Reply::Found(usable(found, limits.detections, notes)?),
    })
}

/// Returns the usable detections. An unusable detection does not affect the others. If all are unusable, the error of
/// the first is returned. If there are more than `limit`, the first and the last are kept, because in the order of git,
/// older tags are in the middle.
fn usable(
    mut found: Vec<RawDetection>,
    limit: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<Detection>, CallError> {
    let mut notes = Notes {
        left: MAX_NOTES,
        notes,
    };
    if let Some(beyond) = found.len().checked_sub(limit).filter(|beyond| *beyond > 0) {
        let middle = limit.div_ceil(2);
        notes.add(|| format!("{beyond} of the refs are left out: an answer has at most {limit}"));
        found.drain(middle..middle + beyond);
    }
    let mut error = None;
    let mut usable = Vec::with_capacity(found.len());
    for raw in found {
        match detection(raw, &mut notes) {
            Ok(detection) => usable.push(detection),
            Err(why) => {
                error.get_or_insert(why);
            }
        }
    }
    match error {
        Some(error) if usable.is_empty() => Err(error),
        Some(error) => {
            notes.add(|| format!("a ref is left out: {error}"));
            Ok(usable)
        }
        None => Ok(usable),
    }
}

/// Checks a detection. The sender wrote its commit, its time and its id, and none of them decides what is requested: one
/// that cannot be used is left out.
fn detection(raw: RawDetection, notes: &mut Notes<'_>) -> Result<Detection, CallError> {
    let git_ref = GitRef::parse(&raw.git_ref)?;
    let commit = raw.commit.as_deref().and_then(|id| {
        let commit = CommitId::parse(id);
        commit
            .map_err(|error| notes.left_out("commit", id, &git_ref, &error.to_string()))
            .ok()
    });
    // A name that cannot be used stays a name, which means no repository. A detection without a name would be accepted.
    let mut repositories = raw.repositories;
    if repositories.len() > MAX_REPOSITORIES {
        let count = repositories.len();
        return Err(answer(format!(
            "with {count} repositories of one ref, more than {MAX_REPOSITORIES}"
        )));
    }
    for name in &mut repositories {
        if name.len() > MAX_REPOSITORY_BYTES || first_unprintable(name).is_some() {
            *name = printable(name, MAX_REPOSITORY_BYTES);
        }
    }
    let occurred_at = raw.occurred_at.as_deref().and_then(|text| {
        let time = time::parse(text);
        time.map_err(|why| notes.add(|| format!("the time of {git_ref} is left out: {why}")))
            .ok()
    });
    let delivery_id = raw.delivery_id.filter(|id| {
        let is_fit = id.len() <= MAX_ID_BYTES && first_unprintable(id).is_none();
        if !is_fit {
            let why = format!("it is not a printable text of at most {MAX_ID_BYTES} bytes");
            notes.left_out("delivery id", id, &git_ref, &why);
        }
        is_fit
    });
    Ok(Detection {
        git_ref,
        is_tag: attribute(&raw.attributes, REF_KIND.0) == Some(REF_KIND.1),
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
    let (shown, _) = bounded(attribute(attributes, EVENT)?, MAX_EVENT_BYTES);
    (!shown.is_empty()).then_some(shown)
}

/// Returns the value of the first attribute of a name.
fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = attributes.iter().find(|(other, _)| other == name)?;
    Some(value.trim())
}

/// Notes for the author of the plugin about what is left out of an answer.
struct Notes<'n> {
    /// How many more are kept.
    left: usize,
    notes: &'n mut Vec<String>,
}

impl Notes<'_> {
    fn add(&mut self, note: impl FnOnce() -> String) {
        if self.left > 0 {
            self.left -= 1;
            self.notes.push(printable(&note(), TEXT_BYTES));
        }
    }

    /// Notes that a part of a detection is left out.
    fn left_out(&mut self, what: &str, text: &str, git_ref: &GitRef, why: &str) {
        self.add(|| {
            let text = printable(text, 64);
            format!("the {what} {text:?} of {git_ref} is left out: {why}")
        });
    }
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
