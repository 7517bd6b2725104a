//! Fetches one object to determine its type. The object itself is not downloaded. Only the part of the answer that
//! contains the type is read.

use stoker_api::detection::CommitId;

use super::advertisement::{
    self, Capabilities, Common, FetchFeatures, SideBands, V0Capabilities, Wants,
};
use super::error::{GitError, plain};
use super::offer::Offer;
use super::packet::{Packet, PacketSource, Packets};
use super::request::{Request, Version};

/// The way in which objects of one server are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) version: Version,
    /// Whether the server can leave out the history of a commit.
    pub(super) shallow: bool,
    /// Whether the server can leave out directories and files.
    filter: bool,
    /// The objects that the server sends: all in version 2 (gitprotocol-v2, `want`), and by its capabilities in version
    /// 0.
    pub(super) wants: Wants,
    /// What each command of version 2 contains.
    common: Common,
    /// The words that a request of version 0 may contain.
    offer: Offer,
}

impl Fetch {
    /// Returns the value for a server of version 2.
    pub(super) fn v2(server: &Capabilities, features: FetchFeatures) -> Self {
        Self {
            version: Version::V2,
            shallow: features.shallow,
            filter: features.filter,
            wants: Wants::Any,
            common: server.common,
            offer: Offer::default(),
        }
    }

    /// Returns the value for a server of version 0, or `None` if the server sends packs without side bands. Without
    /// side bands, the packets do not end where the pack begins.
    pub(super) fn v0(server: &V0Capabilities) -> Option<Self> {
        (server.side_bands() != SideBands::None).then(|| Self {
            version: Version::V0,
            shallow: server.shallow,
            filter: server.offer.has("filter"),
            wants: server.wants,
            common: Common::default(),
            offer: server.offer.clone(),
        })
    }

    /// Returns the request for the smallest part of an object that the server permits: no history, no directories and
    /// no files.
    pub(super) fn request(&self, id: &CommitId) -> Request {
        let mut depth = Vec::new();
        depth.extend(self.shallow.then(|| "deepen 1".to_owned()));
        depth.extend(self.filter.then(|| "filter tree:0".to_owned()));
        match self.version {
            Version::V2 => {
                let mut arguments = vec!["no-progress".to_owned()];
                arguments.extend(depth);
                arguments.push(format!("want {id}"));
                arguments.push("done".to_owned());
                Request::command("fetch", self.common, &arguments)
            }
            Version::V0 => {
                let features = self.offer.features(&["no-progress", "filter"]);
                Request::want(id, &features, &depth, &[])
            }
        }
    }
}

/// The type of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectType {
    Commit,
    Tree,
    Blob,
    Tag,
}

/// The content of a server's answer to a request for one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The expected commit.
    Expected,
    /// Another commit, to which the object leads.
    Commit(CommitId),
    /// A pack whose first object has this type. The server did not name a commit before the pack.
    Object(ObjectType),
}

/// Reads the answer to a request for one object that is expected to be, or to lead to, a commit.
///
/// A server that leaves out the history names the commits at which it stops: the commit itself, or the one that an
/// annotated tag leads to. If it names none, the first object of the pack decides: commits come before trees.
///
/// # Errors
///
/// [`GitError::CommitNotFound`] if the server does not have the object or does not permit to fetch it.
pub(super) async fn read<S: PacketSource>(
    packets: &mut Packets<S>,
    version: Version,
    expected: &CommitId,
) -> Result<Fetched, GitError> {
    let mut other = None;
    loop {
        let line = match packets
            .next()
            .await
            .map_err(|error| not_found(error, expected))?
        {
            Packet::Line(line) => line,
            // In version 0, a flush packet ends the list of the commits at which the history stops.
            Packet::Flush if version == Version::V2 => return Err(GitError::Truncated),
            Packet::Flush | Packet::Delimiter => continue,
        };
        if let Some(boundary) = line.text().strip_prefix(b"shallow ") {
            let boundary = advertisement::object_id(boundary).ok_or_else(|| {
                GitError::malformed(format!("{:?} is not the id of an object", plain(boundary)))
            })?;
            if boundary == *expected {
                return Ok(Fetched::Expected);
            }
            other = Some(boundary);
        } else if matches!(line.text(), b"packfile" | b"NAK") {
            break;
        }
    }
    if let Some(commit) = other {
        return Ok(Fetched::Commit(commit));
    }
    first_object(packets)
        .await
        .map(Fetched::Object)
        .map_err(|error| not_found(error, expected))
}

/// Reads the type of the first object of a pack. The pack arrives in packets, each of which begins with the number of a
/// side band.
async fn first_object<S: PacketSource>(packets: &mut Packets<S>) -> Result<ObjectType, GitError> {
    // gitformat-pack: `PACK`, a version and a count of four bytes each, then the first object's type in three bits.
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
            _ => return Err(GitError::malformed("a pack in an unknown side band")),
        }
    }
    if !pack.starts_with(b"PACK") {
        return Err(GitError::malformed("not a pack"));
    }
    match (pack[TYPE_AT] >> 4) & 7 {
        1 => Ok(ObjectType::Commit),
        2 => Ok(ObjectType::Tree),
        3 => Ok(ObjectType::Blob),
        4 => Ok(ObjectType::Tag),
        other => Err(GitError::malformed(format!(
            "a pack that starts with an object of type {other}"
        ))),
    }
}

/// Converts the error for a missing object. Servers use different messages for it, but all of them contain the id.
pub(super) fn not_found(error: GitError, id: &CommitId) -> GitError {
    match error {
        GitError::Remote { message }
            if message.contains("not our ref") || message.contains(id.as_str()) =>
        {
            GitError::CommitNotFound { id: id.clone() }
        }
        error => error,
    }
}
