//! Whether a server has the commit of an id, read from its answers.
//!
//! An answer is read no further than needed: the objects themselves are not looked at, only what kind they are.

use super::error::{GitError, plain};
use super::greeting;
use super::packet::{Incoming, Packet, Packets};
use stoker_api::detection::CommitId;

/// Reads the answer to a `fetch` of one object, without its history where the server can do so.
///
/// A server that leaves the history out names the commits at which it stops: the commit itself, or the one that an
/// annotated tag leads to. Where it names none, the first object in the pack tells: commits come before trees.
pub(super) async fn read_fetched<S: Incoming>(
    packets: &mut Packets<S>,
    id: &CommitId,
) -> Result<(), GitError> {
    let mut tagged = None;
    loop {
        let line = match packets.next().await.map_err(|error| not_found(error, id))? {
            Packet::Line(line) => line,
            Packet::Delimiter => continue,
            Packet::Flush => return Err(GitError::Truncated),
        };
        if let Some(boundary) = line.text().strip_prefix(b"shallow ") {
            let boundary = greeting::object_id(boundary).ok_or_else(|| {
                GitError::malformed(format!("{:?} is not the id of an object", plain(boundary)))
            })?;
            if boundary == *id {
                return Ok(());
            }
            tagged = Some(boundary);
        } else if line.text() == b"packfile" {
            break;
        }
    }
    if let Some(commit) = tagged {
        return Err(not_a_commit(id, Some(&commit)));
    }
    match first_object(packets)
        .await
        .map_err(|error| not_found(error, id))?
    {
        1 => Ok(()),
        2 => Err(GitError::NotACommit {
            id: id.clone(),
            found: "a directory".to_owned(),
        }),
        3 => Err(GitError::NotACommit {
            id: id.clone(),
            found: "a file".to_owned(),
        }),
        4 => Err(not_a_commit(id, None)),
        other => Err(GitError::malformed(format!(
            "a pack that starts with an object of type {other}"
        ))),
    }
}

/// The type of the first object in a pack, which comes in packets that each start with the number of a channel.
async fn first_object<S: Incoming>(packets: &mut Packets<S>) -> Result<u8, GitError> {
    // `PACK`, a version and a count of four bytes each, and then the first object's type in three bits of a byte.
    const TYPE_AT: usize = 12;
    let mut pack = Vec::with_capacity(TYPE_AT + 1);
    while pack.len() <= TYPE_AT {
        let Packet::Line(line) = packets.next().await? else {
            return Err(GitError::Truncated);
        };
        match line.data().split_first() {
            Some((1, data)) => pack.extend(data.iter().take(TYPE_AT + 1)),
            Some((2, _)) => {}
            Some((3, message)) => {
                return Err(GitError::Remote {
                    message: plain(message),
                });
            }
            _ => return Err(GitError::malformed("a pack in a channel that is not known")),
        }
    }
    if pack.starts_with(b"PACK") {
        Ok((pack[TYPE_AT] >> 4) & 7)
    } else {
        Err(GitError::malformed("not a pack"))
    }
}

/// Reads the refs of an old server: what one of them points to, the server has.
pub(super) async fn read_tips<S: Incoming>(
    packets: &mut Packets<S>,
    first: Packet,
    id: &CommitId,
) -> Result<(), GitError> {
    let mut found = false;
    let mut tagged = None;
    let visit = |tip: greeting::Advertised| match tip.peeled {
        Some(commit) if tip.id == *id => tagged = Some(commit),
        Some(commit) => found |= commit == *id,
        None => found |= tip.id == *id,
    };
    greeting::old_refs(packets, first, visit).await?;
    match tagged {
        _ if found => Ok(()),
        Some(commit) => Err(not_a_commit(id, Some(&commit))),
        None => Err(GitError::CommitUnverifiable { id: id.clone() }),
    }
}

/// A tag's id is refused, not followed: the commit is what is written down, and an id means itself.
fn not_a_commit(id: &CommitId, commit: Option<&CommitId>) -> GitError {
    let found = match commit {
        Some(commit) => format!("an annotated tag of {commit}"),
        None => "an annotated tag".to_owned(),
    };
    GitError::NotACommit {
        id: id.clone(),
        found,
    }
}

/// Servers say in different words that they have no such object, but all of them name it.
fn not_found(error: GitError, id: &CommitId) -> GitError {
    match error {
        GitError::Remote { message }
            if message.contains("not our ref") || message.contains(id.as_str()) =>
        {
            GitError::CommitNotFound { id: id.clone() }
        }
        error => error,
    }
}
