//! The questions of one lookup, in their order, to a server whose greeting is known.
//!
//! It knows the protocol, and no transport.

use super::connection::Connection;
use super::error::GitError;
use super::greeting::{self, Capabilities, Fetch, Greeting, ObjectFormat};
use super::lookup::{Lookup, Target};
use super::packet::{Incoming, Packet, Packets, question};
use super::{AGENT, RefKind, ResolvedRef, verify};
use stoker_api::detection::{CommitId, GitRef};

/// What the ref names on the server that was connected to.
pub(super) async fn ask(
    packets: Packets<Connection>,
    greeting: Greeting,
    git_ref: &GitRef,
) -> Result<ResolvedRef, GitError> {
    match Target::of(git_ref.name()) {
        Target::Commit(id) => ask_commit(packets, greeting, id).await,
        Target::Ref(lookup) => {
            let winner = ask_ref(packets, greeting, lookup).await?;
            winner.ok_or_else(|| GitError::RefNotFound {
                git_ref: git_ref.clone(),
            })
        }
    }
}

async fn ask_ref(
    mut packets: Packets<Connection>,
    greeting: Greeting,
    mut lookup: Lookup,
) -> Result<Option<ResolvedRef>, GitError> {
    match greeting {
        Greeting::V2(server) if server.ls_refs => {
            let mut arguments = vec!["peel".to_owned(), "symrefs".to_owned()];
            arguments.extend(lookup.names().map(|name| format!("ref-prefix {name}")));
            let question = question("ls-refs", &introduction(&server), &arguments);
            packets.source().ask(question).await?;
            read_list(&mut packets, &mut lookup).await?;
        }
        Greeting::V2(_) => return Err(GitError::malformed("the server does not list refs")),
        Greeting::Old(first) => {
            greeting::old_refs(&mut packets, first, |found| lookup.see(found)).await?;
        }
    }
    packets.source().close().await;
    Ok(lookup.winner())
}

/// Reads the answer to `ls-refs`.
pub(super) async fn read_list<S: Incoming>(
    packets: &mut Packets<S>,
    lookup: &mut Lookup,
) -> Result<(), GitError> {
    loop {
        match packets.next().await? {
            Packet::Line(line) => {
                if let Some(found) = greeting::listed_ref(&line)? {
                    lookup.see(found);
                }
            }
            Packet::Flush => return Ok(()),
            Packet::Delimiter => return Err(GitError::malformed("a delimiter among the refs")),
        }
    }
}

/// Verifies that the server has this commit: an id is no use to anybody who then cannot fetch it.
async fn ask_commit(
    mut packets: Packets<Connection>,
    greeting: Greeting,
    id: CommitId,
) -> Result<ResolvedRef, GitError> {
    match greeting {
        Greeting::V2(server) => {
            let Some(fetch) = server.fetch else {
                return Err(GitError::CommitUnverifiable { id });
            };
            let format = server.object_format.unwrap_or(ObjectFormat::Sha1);
            if id.as_str().len() != format.digits() {
                return Err(GitError::CommitNotFound { id });
            }
            let question = question("fetch", &introduction(&server), &wish(fetch, &id));
            packets.source().ask(question).await?;
            verify::read_fetched(&mut packets, &id).await?;
        }
        Greeting::Old(first) => {
            verify::read_tips(&mut packets, first, &id).await?;
            packets.source().close().await;
        }
    }
    Ok(ResolvedRef::new(id, RefKind::Commit))
}

/// What to say before the arguments of a question.
fn introduction(server: &Capabilities) -> Vec<String> {
    let mut lines = vec![format!("agent={AGENT}")];
    lines.extend(
        server
            .object_format
            .map(|format| format!("object-format={}", format.name())),
    );
    lines
}

/// The arguments that fetch as little of a commit as the server lets one: no parents and no files.
fn wish(server: Fetch, id: &CommitId) -> Vec<String> {
    let mut arguments = vec!["no-progress".to_owned()];
    arguments.extend(server.shallow.then(|| "deepen 1".to_owned()));
    arguments.extend(server.filter.then(|| "filter tree:0".to_owned()));
    arguments.push(format!("want {id}"));
    arguments.push("done".to_owned());
    arguments
}
