//! The requests for a commit, and the beginning of the answers.

use stoker_api::detection::CommitId;

use crate::advertisement::{Common, SideBands};
use crate::error::GitError;
use crate::offer::Offer;
use crate::packet::{Packet, PacketSource, Packets};
use crate::request::{Request, Version};

/// The way in which a server sends objects.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) version: Version,
    /// Whether it can leave out the history before a commit.
    pub(super) shallow: bool,
    pub(super) side_bands: SideBands,
    /// What each command of version 2 contains.
    pub(super) common: Common,
    /// The words that a request of version 0 may contain.
    pub(super) offer: Offer,
}

impl Server {
    /// Returns the request for an object, without what belongs to the known commits.
    pub(super) fn request(&self, object: &CommitId, known: &[CommitId]) -> Request {
        // A server that sends no shallow commits takes the history of a known commit for known.
        let known = if self.shallow { known } else { &[] };
        let mut depth: Vec<_> = known.iter().map(|id| format!("shallow {id}")).collect();
        depth.extend(self.shallow.then(|| "deepen 1".to_owned()));
        match self.version {
            Version::V2 => {
                let mut arguments = vec!["ofs-delta".to_owned()];
                if !known.is_empty() {
                    arguments.push("thin-pack".to_owned());
                }
                arguments.extend(depth);
                arguments.push(format!("want {object}"));
                arguments.extend(known.iter().map(|id| format!("have {id}")));
                arguments.push("done".to_owned());
                Request::command("fetch", self.common, &arguments)
            }
            Version::V0 => {
                let wanted: &[&str] = if known.is_empty() {
                    &["ofs-delta"]
                } else {
                    &["ofs-delta", "thin-pack"]
                };
                Request::want(object, &self.offer.features(wanted), &depth, known)
            }
        }
    }
}

/// Skips the part of an answer before the pack: the commits at which the history stops, and those that both sides have.
pub(crate) async fn skip_to_pack<S: PacketSource>(
    packets: &mut Packets<S>,
    version: Version,
) -> Result<(), GitError> {
    loop {
        let line = match (packets.next().await?, version) {
            (Packet::Line(line), _) => line,
            (Packet::Flush, Version::V2) => return Err(GitError::Truncated),
            // In version 0, a flush packet ends the list of the commits at which the history stops.
            (Packet::Flush | Packet::Delimiter, _) => continue,
        };
        let text = line.text();
        let is_last = match version {
            Version::V2 => text == b"packfile",
            // With `multi_ack`, lines such as `ACK ID common` precede the last one.
            Version::V0 => {
                let mut words = text.split(|&byte| byte == b' ');
                text == b"NAK" || (words.next() == Some(b"ACK") && words.count() == 1)
            }
        };
        if is_last {
            return Ok(());
        }
    }
}
