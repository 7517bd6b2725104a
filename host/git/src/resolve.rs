//! One lookup on a server whose advertisement was received. The functions are in the order of their requests.
//!
//! This module handles the protocol. It does not depend on a transport.

use stoker_api::detection::{CommitId, GitRef};

use super::advertisement::{self, Advertised, Advertisement, ObjectFormat};
use super::cache::KnownCommits;
use super::candidates::{Query, RefCandidates};
use super::connection::Connection;
use super::error::GitError;
use super::fetch::{Fetch, Fetched, ObjectType};
use super::packet::{Packet, PacketSource, Packets};
use super::request::Request;
use super::{RefKind, ResolvedRef, fetch};

/// Returns the commit of a ref on the server of a connection.
pub(super) async fn resolve(
    packets: &mut Packets<Connection>,
    advertisement: Advertisement,
    git_ref: &GitRef,
    known: &KnownCommits,
) -> Result<ResolvedRef, GitError> {
    let outcome = match Query::of(git_ref.name()) {
        Query::Commit(id) => resolve_id(packets, advertisement, id).await,
        Query::Ref(candidates) => {
            resolve_name(packets, advertisement, candidates, git_ref, known).await
        }
    };
    packets.source().close().await;
    outcome
}

async fn resolve_name(
    packets: &mut Packets<Connection>,
    advertisement: Advertisement,
    mut candidates: RefCandidates,
    git_ref: &GitRef,
    known: &KnownCommits,
) -> Result<ResolvedRef, GitError> {
    let fetch = match advertisement {
        Advertisement::V2(server) if server.ls_refs => {
            let mut arguments = vec!["peel".to_owned(), "symrefs".to_owned()];
            arguments.extend(candidates.names().map(|name| format!("ref-prefix {name}")));
            let request = Request::command("ls-refs", server.object_format, &arguments);
            packets.source().send(&request).await?;
            read_refs(packets, &mut candidates).await?;
            server.fetch.map(|features| Fetch::v2(&server, features))
        }
        Advertisement::V2(_) => {
            return Err(GitError::malformed("the server does not list refs"));
        }
        Advertisement::V0(first) => {
            let server =
                advertisement::read_v0_refs(packets, first, |found| candidates.add(found)).await?;
            Fetch::v0(&server)
        }
    };
    let Some((kind, found)) = candidates.into_winner() else {
        return Err(GitError::RefNotFound {
            git_ref: git_ref.clone(),
        });
    };
    let commit = match fetch {
        Some(fetch) if needs_verification(&found) && !known.contains(found.target()) => {
            let commit = verify_target(packets, &fetch, &found).await?;
            known.insert(commit.clone());
            commit
        }
        _ => found.target().clone(),
    };
    Ok(describe(kind, found, commit))
}

/// Returns whether the object of a ref may be something other than a commit. Git permits only commits for branches and
/// for `HEAD` (git-update-ref), but a tag, or another ref outside `refs/heads/`, may lead to a tree or a blob.
fn needs_verification(found: &Advertised) -> bool {
    found.name != "HEAD" && !found.name.starts_with("refs/heads/")
}

/// Returns the commit that a ref leads to, after the server has confirmed that the object is a commit.
///
/// A server sends the types of objects only in a pack. At most the type of the first object of the pack is read.
async fn verify_target(
    packets: &mut Packets<Connection>,
    fetch: &Fetch,
    found: &Advertised,
) -> Result<CommitId, GitError> {
    let refuse = |found_type| {
        Err(GitError::RefNotACommit {
            name: found.name.clone(),
            id: found.target().clone(),
            found: found_type,
        })
    };
    // Every server permits fetches of the object of a ref. Some servers refuse fetches of the object that a tag leads
    // to.
    packets.source().send(&fetch.request(&found.id)).await?;
    match fetch::read(packets, fetch.version, found.target()).await? {
        Fetched::Expected | Fetched::Object(ObjectType::Commit) => Ok(found.target().clone()),
        Fetched::Commit(commit) => Ok(commit),
        Fetched::Object(ObjectType::Tree) => refuse("a directory"),
        Fetched::Object(ObjectType::Blob) => refuse("a file"),
        // The pack begins with the tag, so the type of the tag's target is not known yet.
        Fetched::Object(ObjectType::Tag) => {
            match peeled_type(packets, fetch, found.target()).await? {
                Some(ObjectType::Tree) => refuse("a directory"),
                Some(ObjectType::Blob) => refuse("a file"),
                Some(ObjectType::Tag) | None if fetch.shallow => refuse("a directory or a file"),
                // The object is a commit, or the server does not support shallow clones and cannot provide the type.
                Some(ObjectType::Commit | ObjectType::Tag) | None => Ok(found.target().clone()),
            }
        }
    }
}

/// Returns the type of the object that an annotated tag leads to, if the server permits fetching it.
async fn peeled_type(
    packets: &mut Packets<Connection>,
    fetch: &Fetch,
    id: &CommitId,
) -> Result<Option<ObjectType>, GitError> {
    if !fetch.permits_any_object() || !packets.source().is_stateless() {
        return Ok(None);
    }
    packets.source().send(&fetch.request(id)).await?;
    match fetch::read(packets, fetch.version, id).await {
        Ok(Fetched::Expected) => Ok(Some(ObjectType::Commit)),
        Ok(Fetched::Object(found)) => Ok(Some(found)),
        Ok(Fetched::Commit(_)) => Ok(Some(ObjectType::Tag)),
        Err(GitError::CommitNotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn describe(kind: RefKind, found: Advertised, commit: CommitId) -> ResolvedRef {
    if found.name != "HEAD" {
        return ResolvedRef::new(commit, kind).with_full_name(found.name);
    }
    let full_name = found.symref.unwrap_or(found.name);
    let kind = if full_name.starts_with("refs/heads/") {
        RefKind::Branch
    } else {
        kind
    };
    ResolvedRef::new(commit, kind).with_full_name(full_name)
}

/// Reads the answer to `ls-refs`.
pub(super) async fn read_refs<S: PacketSource>(
    packets: &mut Packets<S>,
    candidates: &mut RefCandidates,
) -> Result<(), GitError> {
    loop {
        match packets.next().await? {
            Packet::Line(line) => {
                if let Some(found) = advertisement::listed_ref(&line)? {
                    candidates.add(found);
                }
            }
            Packet::Flush => return Ok(()),
            Packet::Delimiter => return Err(GitError::malformed("a delimiter among the refs")),
        }
    }
}

/// Verifies that the server has this commit. A commit that the server does not have cannot be fetched.
async fn resolve_id(
    packets: &mut Packets<Connection>,
    advertisement: Advertisement,
    id: CommitId,
) -> Result<ResolvedRef, GitError> {
    match advertisement {
        Advertisement::V2(server) => {
            let Some(features) = server.fetch else {
                return Err(GitError::CommitUnverifiable { id });
            };
            let format = server.object_format.unwrap_or(ObjectFormat::Sha1);
            if id.as_str().len() != format.digits() {
                return Err(GitError::CommitNotFound { id });
            }
            let fetch = Fetch::v2(&server, features);
            packets.source().send(&fetch.request(&id)).await?;
            check_id(&id, &fetch::read(packets, fetch.version, &id).await?)?;
        }
        Advertisement::V0(first) => verify_tip(packets, first, &id).await?,
    }
    Ok(ResolvedRef::new(id, RefKind::Commit))
}

/// Checks the object of an id. An id names exactly one object, so the id of a tag is refused instead of being followed
/// to its commit.
pub(super) fn check_id(id: &CommitId, fetched: &Fetched) -> Result<(), GitError> {
    let found = match fetched {
        Fetched::Expected | Fetched::Object(ObjectType::Commit) => return Ok(()),
        Fetched::Commit(commit) => format!("an annotated tag of {commit}"),
        Fetched::Object(ObjectType::Tree) => "a directory".to_owned(),
        Fetched::Object(ObjectType::Blob) => "a file".to_owned(),
        Fetched::Object(ObjectType::Tag) => "an annotated tag".to_owned(),
    };
    Err(GitError::NotACommit {
        id: id.clone(),
        found,
    })
}

/// Verifies an id by the refs of a server of version 0. The server has the objects that its refs point to. The tip of a
/// branch is a commit. An object that only a tag leads to may be a tree or a blob, so its type is fetched.
async fn verify_tip(
    packets: &mut Packets<Connection>,
    first: Packet,
    id: &CommitId,
) -> Result<(), GitError> {
    let (mut is_commit, mut unverified, mut tagged) = (false, None, None);
    let visit = |tip: Advertised| {
        if tip.target() == id {
            if needs_verification(&tip) {
                unverified = Some(tip);
            } else {
                is_commit = true;
            }
        } else if tip.id == *id {
            tagged = tip.peeled;
        }
    };
    let server = advertisement::read_v0_refs(packets, first, visit).await?;
    if is_commit {
        return Ok(());
    }
    if let Some(tip) = unverified {
        let Some(fetch) = Fetch::v0(&server) else {
            return Ok(());
        };
        return match verify_target(packets, &fetch, &tip).await {
            Ok(_) => Ok(()),
            Err(GitError::RefNotACommit { found, .. }) => Err(GitError::NotACommit {
                id: id.clone(),
                found: found.to_owned(),
            }),
            Err(error) => Err(error),
        };
    }
    match tagged {
        Some(commit) => check_id(id, &Fetched::Commit(commit)),
        None => Err(GitError::CommitUnverifiable { id: id.clone() }),
    }
}
