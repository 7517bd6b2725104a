//! One conversation with a server whose advertisement was received: it looks up several refs with one list.
//!
//! This module handles the protocol. It does not depend on a transport.

use stoker_api::detection::{CommitId, GitRef};

use super::advertisement::{self, Advertised, Advertisement, Wants};
use super::cache::KnownCommits;
use super::candidates::{Query, RefCandidates, Tips, Winner, needs_verification};
use super::connection::{Connection, Transports};
use super::error::GitError;
use super::fetch::{Fetch, Fetched, ObjectType};
use super::packet::{Packet, PacketSource, Packets};
use super::remote::Remote;
use super::request::Request;
use super::{RefKind, RefResult, ResolvedRef, fetch};

/// A conversation with the server of a repository.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    transports: &'a Transports,
    remote: &'a Remote,
    known: &'a KnownCommits,
    packets: Packets<Connection>,
    /// Whether an answer was not read to its end, so that no other request can follow on a connection with a state.
    has_rest: bool,
}

impl<'a> Conversation<'a> {
    /// Returns a conversation on a connection whose advertisement was read, or can be omitted.
    pub(super) fn new(
        transports: &'a Transports,
        remote: &'a Remote,
        known: &'a KnownCommits,
        packets: Packets<Connection>,
    ) -> Self {
        Self {
            transports,
            remote,
            known,
            packets,
            has_rest: false,
        }
    }

    /// Returns the commits of refs, in their order.
    pub(super) async fn resolve(
        mut self,
        advertisement: Advertisement,
        refs: &[GitRef],
    ) -> Result<Vec<RefResult>, GitError> {
        let mut queries: Vec<_> = refs.iter().map(|found| Query::of(found.name())).collect();
        let server = self.list(advertisement, &mut queries).await?;
        let mut results = Vec::with_capacity(refs.len());
        for (query, git_ref) in queries.into_iter().zip(refs) {
            let outcome = match query {
                Query::Ref(candidates) => self.resolve_name(&server, candidates, git_ref).await,
                Query::Commit(tips) => self.resolve_id(&server, tips).await,
            };
            match outcome {
                Err(error) if !error.is_about_the_ref() => return Err(error),
                result => results.push(result),
            }
        }
        self.packets.source().close().await;
        Ok(results)
    }

    /// Lists the refs of the server once, and passes them to all queries.
    async fn list(
        &mut self,
        advertisement: Advertisement,
        queries: &mut [Query],
    ) -> Result<Server, GitError> {
        match advertisement {
            Advertisement::V2(server) => {
                let names: Vec<_> = queries.iter().flat_map(Query::names).collect();
                if !names.is_empty() {
                    if !server.ls_refs {
                        return Err(GitError::malformed("the server does not list refs"));
                    }
                    let mut arguments = vec!["peel".to_owned(), "symrefs".to_owned()];
                    arguments.extend(names.iter().map(|name| format!("ref-prefix {name}")));
                    let request = Request::command("ls-refs", server.common, &arguments);
                    self.packets.source().send(&request).await?;
                    read_refs(&mut self.packets, |found| add(queries, &found)).await?;
                }
                Ok(Server {
                    fetch: server.fetch.map(|features| Fetch::v2(&server, features)),
                    id_digits: Some(server.common.format().digits()),
                })
            }
            Advertisement::V0(first) => {
                let visit = |found| add(queries, &found);
                let server = advertisement::read_v0_refs(&mut self.packets, first, visit).await?;
                Ok(Server {
                    fetch: Fetch::v0(&server),
                    id_digits: None,
                })
            }
        }
    }

    async fn resolve_name(
        &mut self,
        server: &Server,
        candidates: RefCandidates,
        git_ref: &GitRef,
    ) -> RefResult {
        let Some(winner) = candidates.into_winner() else {
            return Err(GitError::RefNotFound {
                url: self.remote.url().to_string(),
                git_ref: git_ref.clone(),
            });
        };
        let found = &winner.found;
        let commit = match &server.fetch {
            Some(fetch) if needs_verification(found) && !self.known.contains(found.target()) => {
                let commit = self.verify_target(fetch, found).await?;
                self.known.insert(commit.clone());
                commit
            }
            _ => found.target().clone(),
        };
        Ok(describe(winner, commit))
    }

    /// Verifies that the server has a commit. A commit that the server does not have cannot be fetched.
    async fn resolve_id(&mut self, server: &Server, tips: Tips) -> RefResult {
        let id = tips.id.clone();
        match (&server.fetch, server.id_digits) {
            (None, Some(_)) => return Err(GitError::CommitUnverifiable { id }),
            (Some(_), Some(digits)) if id.as_str().len() != digits => {
                return Err(GitError::CommitNotFound { id });
            }
            (Some(fetch), Some(_)) => self.verify_id(fetch, &id).await?,
            (fetch, None) => self.verify_tip(fetch.as_ref(), tips).await?,
        }
        Ok(ResolvedRef::new(id, RefKind::Commit))
    }

    async fn verify_id(&mut self, fetch: &Fetch, id: &CommitId) -> Result<(), GitError> {
        check_id(id, &self.fetch(fetch, id, id).await?)
    }

    /// Fetches the type of an object that is expected to lead to a commit.
    async fn fetch(
        &mut self,
        fetch: &Fetch,
        id: &CommitId,
        expected: &CommitId,
    ) -> Result<Fetched, GitError> {
        if self.has_rest && !self.packets.source().is_stateless() {
            self.reconnect().await?;
        }
        self.packets.source().send(&fetch.request(id)).await?;
        self.has_rest = true;
        fetch::read(&mut self.packets, fetch.version, expected).await
    }

    /// Opens another connection, and reads its advertisement.
    async fn reconnect(&mut self) -> Result<(), GitError> {
        self.packets.source().close().await;
        let connection = self.transports.open(self.remote).await?;
        self.packets.replace_source(connection);
        if let Advertisement::V0(first) = advertisement::read(&mut self.packets).await? {
            advertisement::read_v0_refs(&mut self.packets, first, drop).await?;
        }
        self.has_rest = false;
        Ok(())
    }

    /// Returns the commit that a ref leads to, after the server has confirmed that the object is a commit.
    ///
    /// A server sends the types of objects only in a pack. At most the type of the first object of the pack is read.
    async fn verify_target(
        &mut self,
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
        // Every server permits fetches of the object of a ref. Some servers refuse fetches of the object that a tag
        // leads to.
        match self.fetch(fetch, &found.id, found.target()).await? {
            Fetched::Expected | Fetched::Object(ObjectType::Commit) => Ok(found.target().clone()),
            Fetched::Commit(commit) => Ok(commit),
            Fetched::Object(ObjectType::Tree) => refuse("a directory"),
            Fetched::Object(ObjectType::Blob) => refuse("a file"),
            // The pack begins with the tag, so the type of the tag's target is not known yet.
            Fetched::Object(ObjectType::Tag) => {
                match self.peeled_type(fetch, found.target()).await? {
                    Some(ObjectType::Tree) => refuse("a directory"),
                    Some(ObjectType::Blob) => refuse("a file"),
                    Some(ObjectType::Tag) | None if fetch.shallow => {
                        refuse("a directory or a file")
                    }
                    // The object is a commit, or the server does not support shallow clones and cannot provide the
                    // type.
                    Some(ObjectType::Commit | ObjectType::Tag) | None => Ok(found.target().clone()),
                }
            }
        }
    }

    /// Returns the type of the object that an annotated tag leads to, if the server permits fetching it.
    async fn peeled_type(
        &mut self,
        fetch: &Fetch,
        id: &CommitId,
    ) -> Result<Option<ObjectType>, GitError> {
        if fetch.wants != Wants::Any {
            return Ok(None);
        }
        match self.fetch(fetch, id, id).await {
            Ok(Fetched::Expected) => Ok(Some(ObjectType::Commit)),
            Ok(Fetched::Object(found)) => Ok(Some(found)),
            Ok(Fetched::Commit(_)) => Ok(Some(ObjectType::Tag)),
            Err(GitError::CommitNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Verifies an id by the refs of a server of version 0. The server has the objects that its refs point to. The tip
    /// of a branch is a commit. An object that only a tag leads to may be a tree or a blob, so its type is fetched. Any
    /// other object is fetched, if the server permits it.
    async fn verify_tip(&mut self, fetch: Option<&Fetch>, tips: Tips) -> Result<(), GitError> {
        let id = tips.id;
        if tips.is_commit {
            return Ok(());
        }
        if let Some(tip) = tips.unverified {
            let Some(fetch) = fetch else {
                return Ok(());
            };
            return match self.verify_target(fetch, &tip).await {
                Ok(_) => Ok(()),
                Err(GitError::RefNotACommit { found, .. }) => Err(GitError::NotACommit {
                    id,
                    found: found.to_owned(),
                }),
                Err(error) => Err(error),
            };
        }
        match (tips.tagged, fetch) {
            (Some(commit), _) => check_id(&id, &Fetched::Commit(commit)),
            (None, Some(fetch)) if fetch.wants == Wants::Any => self.verify_id(fetch, &id).await,
            // The object may be that of a hidden ref.
            (None, Some(fetch)) if fetch.wants == Wants::HiddenTips => {
                match self.verify_id(fetch, &id).await {
                    Err(GitError::CommitNotFound { .. }) => {
                        Err(GitError::CommitUnverifiable { id })
                    }
                    outcome => outcome,
                }
            }
            (None, _) => Err(GitError::CommitUnverifiable { id }),
        }
    }
}

/// What is known about a server after its refs were listed.
#[derive(Debug)]
struct Server {
    /// The way to fetch objects, if the server sends them.
    fetch: Option<Fetch>,
    /// The number of digits of its ids, in version 2.
    id_digits: Option<usize>,
}

/// Passes a ref of the server to all queries.
fn add(queries: &mut [Query], found: &Advertised) {
    for query in queries {
        query.add(found);
    }
}

fn describe(winner: Winner, commit: CommitId) -> ResolvedRef {
    let Winner {
        kind,
        found,
        has_rival,
    } = winner;
    if found.name != "HEAD" {
        return ResolvedRef::new(commit, kind)
            .with_full_name(found.name)
            .with_shared_short_name(has_rival);
    }
    let full_name = found.symref.unwrap_or(found.name);
    let kind = if full_name.starts_with("refs/heads/") {
        RefKind::Branch
    } else {
        kind
    };
    ResolvedRef::new(commit, kind).with_full_name(full_name)
}

/// Reads the answer to `ls-refs`, and calls `visit` for each ref.
pub(super) async fn read_refs<S: PacketSource>(
    packets: &mut Packets<S>,
    mut visit: impl FnMut(Advertised) + Send,
) -> Result<(), GitError> {
    loop {
        match packets.next().await? {
            Packet::Line(line) => {
                if let Some(found) = advertisement::listed_ref(&line)? {
                    visit(found);
                }
            }
            Packet::Flush => return Ok(()),
            Packet::Delimiter => return Err(GitError::malformed("a delimiter among the refs")),
        }
    }
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
