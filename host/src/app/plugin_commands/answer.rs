//! Formats a plugin's answer as text.

use stoker_api::detection::Detection;

use crate::plugin::{CallError, Reply};

/// Returns the lines that describe an answer: one line for each ref, or a single line if there are no refs.
pub(super) fn lines(reply: &Result<Reply, CallError>) -> Vec<String> {
    match reply {
        Ok(Reply::NotMine) => vec!["not mine".to_owned()],
        Ok(Reply::Ignored(reason)) => vec![format!("ignored: {reason}")],
        Ok(Reply::Malformed(why)) => vec![format!("malformed: {why}")],
        Ok(Reply::Found(found)) => found.iter().map(detection).collect(),
        Err(error) => vec![format!("failed: {}", stoker_report::chain(error))],
    }
}

/// Returns the line of a note about a call.
pub(super) fn note(note: &str) -> String {
    format!("note: {note}")
}

fn detection(found: &Detection) -> String {
    let names = (!found.repositories.is_empty()).then(|| found.repositories.join(" or "));
    let parts = [
        Some(format!("found: {}", found.git_ref)),
        found.is_tag.then(|| "a tag".to_owned()),
        found
            .commit
            .as_ref()
            .map(|commit| format!("commit {commit}")),
        names.map(|names| format!("of {names}")),
        found.event.as_ref().map(|event| format!("event {event}")),
        found.occurred_at.map(|time| format!("at {time}")),
        found
            .delivery_id
            .as_ref()
            .map(|id| format!("delivery {id}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
