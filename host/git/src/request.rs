//! The requests of a client, in the form that every transport sends.

use stoker_api::detection::CommitId;

use super::AGENT;
use super::advertisement::Common;
use super::packet::put_line;

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Version 0, or 1, which differs in the advertisement only.
    V0,
    /// Version 2.
    V2,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) version: Version,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Returns a command of version 2 (gitprotocol-v2) with its name, the capabilities of the client that the server
    /// knows, and its arguments.
    pub(super) fn command(name: &str, common: Common, arguments: &[String]) -> Self {
        let mut body = Vec::with_capacity(256);
        put_line(&mut body, &format!("command={name}"));
        if common.agent {
            put_line(&mut body, &format!("agent={AGENT}"));
        }
        if let Some(format) = common.object_format {
            put_line(&mut body, &format!("object-format={}", format.name()));
        }
        body.extend_from_slice(b"0001");
        for argument in arguments {
            put_line(&mut body, argument);
        }
        body.extend_from_slice(b"0000");
        Self {
            version: Version::V2,
            body,
        }
    }

    /// Returns a request for one object in version 0 (gitprotocol-pack). It contains the object with the capabilities
    /// of the client, the limits of the wanted data, the commits that the client has, and the end of the negotiation.
    pub(super) fn want(
        id: &CommitId,
        features: &str,
        depth: &[String],
        commits: &[CommitId],
    ) -> Self {
        let mut body = Vec::with_capacity(256);
        put_line(&mut body, format!("want {id} {features}").trim_end());
        for line in depth {
            put_line(&mut body, line);
        }
        body.extend_from_slice(b"0000");
        for commit in commits {
            put_line(&mut body, &format!("have {commit}"));
        }
        put_line(&mut body, "done");
        Self {
            version: Version::V0,
            body,
        }
    }
}
