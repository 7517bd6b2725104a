//! Checks the answer of a guest, which is not trusted.

mod time;

use super::error::CallError;
use super::limits::{Limits, TEXT_BYTES};
use crate::detection::{CommitId, Detection, GitRef};
use crate::report::is_unprintable;

/// The most repositories that one detection may name.
const MAX_REPOSITORIES: usize = 32;
/// The longest name of a repository, in bytes.
const MAX_REPOSITORY_BYTES: usize = 2048;
/// The longest delivery id, in bytes.
const MAX_ID_BYTES: usize = 256;

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
}

/// The answer of a plugin, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Another format.
    NotMine,
    /// Its format and nothing to do, for this reason.
    Ignored(String),
    /// At least one ref.
    Found(Vec<Detection>),
    /// Its format, but malformed in this way.
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
        RawReply::Found(found) if found.len() > limits.detections => {
            return Err(answer(format!(
                "with {} refs, more than {}",
                found.len(),
                limits.detections
            )));
        }
        RawReply::Found(found) => {
            Reply::Found(found.into_iter().map(detection).collect::<Result<_, _>>()?)
        }
    })
}

fn detection(raw: RawDetection) -> Result<Detection, CallError> {
    let git_ref = GitRef::parse(&raw.git_ref)?;
    let commit = raw
        .commit
        .as_deref()
        .map(CommitId::parse)
        .transpose()
        .map_err(|error| answer(format!("with a commit that cannot be used: {error}")))?;
    if raw.repositories.len() > MAX_REPOSITORIES {
        return Err(answer(format!(
            "with more than {MAX_REPOSITORIES} repositories for one ref"
        )));
    }
    let is_bad =
        |name: &&String| name.len() > MAX_REPOSITORY_BYTES || name.chars().any(char::is_control);
    if let Some(name) = raw.repositories.iter().find(is_bad) {
        return Err(answer(format!(
            "with {:?} as the name of a repository",
            printable(name, 64)
        )));
    }
    let occurred_at = raw.occurred_at.as_deref().map(time::parse).transpose();
    let occurred_at =
        occurred_at.map_err(|why| answer(format!("with a time that cannot be used: {why}")))?;
    // An id that does not fit is left out: nothing depends on it.
    let is_fit = |id: &String| id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control);
    let delivery_id = raw.delivery_id.filter(is_fit);
    Ok(Detection {
        git_ref,
        commit,
        repositories: raw.repositories,
        occurred_at,
        delivery_id,
    })
}

fn answer(what: impl Into<String>) -> CallError {
    CallError::Answer { what: what.into() }
}

/// A text that may be shown: at most so many bytes, with an ellipsis where it was cut off, and without characters that
/// move a terminal's cursor or change the direction of writing.
pub(super) fn printable(text: &str, max_bytes: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars() {
        let c = if is_unprintable(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        };
        if shown.len() + c.len_utf8() > max_bytes {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(raw: RawDetection) -> Result<Reply, CallError> {
        check(RawReply::Found(vec![raw]), &Limits::default())
    }

    fn raw(git_ref: &str) -> RawDetection {
        RawDetection {
            git_ref: git_ref.to_owned(),
            ..RawDetection::default()
        }
    }

    #[test]
    fn a_sound_detection_is_taken_over() {
        let raw = RawDetection {
            git_ref: "refs/tags/v1".into(),
            commit: Some("AB".repeat(20)),
            repositories: vec!["o/r".into()],
            occurred_at: Some("2026-01-02T03:04:05+01:00".into()),
            delivery_id: Some("id".into()),
        };
        let Ok(Reply::Found(found)) = found(raw) else {
            panic!("not found")
        };
        assert_eq!(found[0].git_ref.as_str(), "refs/tags/v1");
        assert_eq!(found[0].commit.as_ref().unwrap().as_str(), "ab".repeat(20));
        assert_eq!(
            found[0].occurred_at.unwrap().to_string(),
            "2026-01-02T02:04:05Z"
        );
    }

    #[test]
    fn a_ref_that_git_refuses_is_no_fault_of_the_plugin() {
        assert!(matches!(found(raw("a b")), Err(CallError::Ref(_))));
        assert!(matches!(found(raw("")), Err(CallError::Ref(_))));
        let commit = RawDetection {
            commit: Some("abc".into()),
            ..raw("v1")
        };
        assert!(matches!(found(commit), Err(CallError::Answer { .. })));
        let zeros = RawDetection {
            commit: Some("0".repeat(40)),
            ..raw("v1")
        };
        assert_eq!(
            found(zeros).unwrap_err().to_string(),
            "it answered with a commit that cannot be used: a commit id of all zeros means that there is no commit"
        );
    }

    #[test]
    fn empty_and_endless_answers_are_refused() {
        let limits = Limits::default();
        assert!(check(RawReply::Found(vec![]), &limits).is_err());
        let many = (0..=limits.detections).map(|_| raw("v1")).collect();
        assert!(check(RawReply::Found(many), &limits).is_err());
        let repositories = RawDetection {
            repositories: vec!["o/r".into(); 33],
            ..raw("v1")
        };
        assert!(found(repositories).is_err());
        let time = RawDetection {
            occurred_at: Some("yesterday".into()),
            ..raw("v1")
        };
        assert!(found(time).is_err());
    }

    #[test]
    fn reasons_are_bounded_and_printable() {
        let reason = format!("\u{1b}]0;x\u{7}{}", "é".repeat(2000));
        let Ok(Reply::Ignored(reason)) = check(RawReply::Ignored(reason), &Limits::default())
        else {
            panic!("not ignored")
        };
        assert!(
            reason.len() <= 1024 + '…'.len_utf8()
                && reason.ends_with('…')
                && !reason.contains('\u{1b}')
        );
    }
}
