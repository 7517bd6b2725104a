//! The advertisement, which a server sends first: its capabilities (version 2), or all its refs (versions 0 and 1).
//!
//! This module handles packets. It does not depend on the refs that are looked up.

use stoker_api::detection::CommitId;

use super::error::{GitError, plain};
use super::offer::Offer;
use super::packet::{Line, Packet, PacketSource, Packets};

/// The beginning of an advertisement.
#[derive(Debug)]
pub(super) enum Advertisement {
    /// The server speaks version 2 and waits for a command.
    V2(Capabilities),
    /// The server speaks version 0 or 1. The value is the first packet of its refs. The other packets follow.
    V0(Packet),
}

/// The capabilities of a server of version 2 that the client uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// Whether the server lists refs.
    pub(super) ls_refs: bool,
    /// The features of `fetch`, or `None` if the server does not send objects.
    pub(super) fetch: Option<FetchFeatures>,
    /// What each command may contain.
    pub(super) common: Common,
}

/// The capabilities of a server of version 2 that a client repeats in each command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Common {
    /// Whether the server takes the name of the client.
    pub(super) agent: bool,
    /// The object format, if the server names one.
    pub(super) object_format: Option<ObjectFormat>,
}

impl Common {
    /// Returns the object format of the repository.
    pub(super) fn format(self) -> ObjectFormat {
        self.object_format.unwrap_or(ObjectFormat::Sha1)
    }
}

/// The data that a server can leave out when it sends objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FetchFeatures {
    /// Whether it can leave out the history before a commit.
    pub(super) shallow: bool,
    /// Whether it can leave out objects of some types.
    pub(super) filter: bool,
}

/// The capabilities of a server of version 0 or 1 that the client uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct V0Capabilities {
    /// Whether it can leave out the history before a commit.
    pub(super) shallow: bool,
    /// The objects that it sends by their ids.
    pub(super) wants: Wants,
    /// The words that a request may contain.
    pub(super) offer: Offer,
    /// The branch that `HEAD` points to, if the server names it.
    default_branch: Option<String>,
}

impl V0Capabilities {
    /// Parses the words after the name of the first ref.
    fn parse(text: &[u8]) -> Result<Self, GitError> {
        let mut found = Self::default();
        for word in text.trim_ascii().split(|&byte| byte == b' ') {
            let (key, value) = split_at_byte(word, b'=').unwrap_or((word, b""));
            match key {
                b"shallow" => found.shallow = true,
                b"allow-tip-sha1-in-want" => found.wants = found.wants.max(Wants::HiddenTips),
                b"allow-reachable-sha1-in-want" => found.wants = Wants::Any,
                b"object-format" => found.offer.object_format = Some(ObjectFormat::parse(value)?),
                b"symref" => {
                    if let (None, Some(target)) =
                        (&found.default_branch, value.strip_prefix(b"HEAD:"))
                    {
                        found.default_branch = utf8(target).map(str::to_owned);
                    }
                }
                word => found.offer.add(word),
            }
        }
        Ok(found)
    }

    /// Returns how the server sends packs.
    pub(super) fn side_bands(&self) -> SideBands {
        let has = |word| self.offer.has(word);
        if has("side-band-64k") || has("side-band") {
            SideBands::Used
        } else {
            SideBands::None
        }
    }
}

/// The objects that a server sends by their ids (gitprotocol-capabilities). Each value contains those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wants {
    /// Those that a ref points to.
    #[default]
    Tips,
    /// Those that a hidden ref points to.
    HiddenTips,
    /// All.
    Any,
}

/// How a server sends a pack (gitprotocol-capabilities).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SideBands {
    /// As it is, to the end of the answer, without messages and errors.
    None,
    /// In packets, with side bands for messages and errors.
    Used,
}

/// The object format of a repository, which is the hash function of its object ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectFormat {
    /// SHA-1, with ids of 40 hexadecimal digits.
    Sha1,
    /// SHA-256, with ids of 64 hexadecimal digits.
    Sha256,
}

impl ObjectFormat {
    fn parse(name: &[u8]) -> Result<Self, GitError> {
        match name {
            b"sha1" => Ok(Self::Sha1),
            b"sha256" => Ok(Self::Sha256),
            _ => Err(GitError::malformed(format!(
                "the object format {:?} is unknown",
                plain(name)
            ))),
        }
    }

    /// Returns the name of the format in the protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// Returns the number of digits of an id.
    pub(super) fn digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }
}

/// One ref of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advertised {
    /// Its full name.
    pub(super) name: String,
    /// The object that it points to.
    pub(super) id: CommitId,
    /// The object that an annotated tag leads to.
    pub(super) peeled: Option<CommitId>,
    /// The ref that a symbolic ref points to.
    pub(super) symref: Option<String>,
}

impl Advertised {
    /// Returns the object that the ref leads to. The advertisement does not contain the type of this object.
    pub(super) fn target(&self) -> &CommitId {
        self.peeled.as_ref().unwrap_or(&self.id)
    }
}

/// Reads the beginning of an advertisement.
pub(super) async fn read<S: PacketSource>(
    packets: &mut Packets<S>,
) -> Result<Advertisement, GitError> {
    let mut first = packets.next().await?;
    if is_text(&first, |text| text.starts_with(b"# service=")) {
        if packets.next().await? != Packet::Flush {
            return Err(GitError::malformed(
                "no flush packet follows the name of the service",
            ));
        }
        first = packets.next().await?;
    }
    if is_text(&first, |text| text == b"version 2") {
        return capabilities(packets).await.map(Advertisement::V2);
    }
    if is_text(&first, |text| text == b"version 1") {
        first = packets.next().await?;
    }
    Ok(Advertisement::V0(first))
}

fn is_text(packet: &Packet, test: impl Fn(&[u8]) -> bool) -> bool {
    matches!(packet, Packet::Line(line) if test(line.text()))
}

async fn capabilities<S: PacketSource>(packets: &mut Packets<S>) -> Result<Capabilities, GitError> {
    let mut found = Capabilities::default();
    loop {
        let line = match packets.next().await? {
            Packet::Line(line) => line,
            Packet::Flush => return Ok(found),
            Packet::Delimiter => {
                return Err(GitError::malformed("a delimiter among the capabilities"));
            }
        };
        let (key, value) = split_at_byte(line.text(), b'=').unwrap_or((line.text(), b""));
        match key {
            b"ls-refs" => found.ls_refs = true,
            b"fetch" => {
                let has = |wanted: &[u8]| {
                    value
                        .split(|&byte| byte == b' ')
                        .any(|feature| feature == wanted)
                };
                found.fetch = Some(FetchFeatures {
                    shallow: has(b"shallow"),
                    filter: has(b"filter"),
                });
            }
            b"agent" => found.common.agent = true,
            b"object-format" => found.common.object_format = Some(ObjectFormat::parse(value)?),
            _ => {}
        }
    }
}

/// Reads the refs of a server of version 0 or 1, calls `visit` for each ref, and returns the server's capabilities.
pub(super) async fn read_v0_refs<S: PacketSource>(
    packets: &mut Packets<S>,
    first: Packet,
    mut visit: impl FnMut(Advertised) + Send,
) -> Result<V0Capabilities, GitError> {
    let mut packet = first;
    let mut server = V0Capabilities::default();
    let mut is_first = true;
    let mut held: Option<Advertised> = None;
    while let Packet::Line(line) = packet {
        let mut text = line.text();
        if let Some((ref_part, capabilities)) = split_at_byte(text, b'\0') {
            text = ref_part;
            if is_first {
                server = V0Capabilities::parse(capabilities)?;
            }
        }
        is_first = false;
        if !text.starts_with(b"shallow ") && !text.starts_with(b"unshallow ") {
            let found = v0_ref(text)?;
            held = hold(held, found, server.default_branch.as_deref(), &mut visit);
        }
        packet = packets.next().await?;
    }
    if packet == Packet::Delimiter {
        return Err(GitError::malformed("a delimiter among the refs"));
    }
    if let Some(last) = held {
        visit(last);
    }
    Ok(server)
}

/// Adds a peeled line (`NAME^{}`) to the held ref. Any other line completes the held ref and replaces it.
fn hold(
    held: Option<Advertised>,
    found: Option<Advertised>,
    default: Option<&str>,
    visit: &mut impl FnMut(Advertised),
) -> Option<Advertised> {
    let Some(mut found) = found else { return held };
    if let Some(name) = found.name.strip_suffix("^{}") {
        let mut tag = held?;
        if tag.name == name {
            tag.peeled = Some(found.id);
        }
        return Some(tag);
    }
    if let Some(earlier) = held {
        visit(earlier);
    }
    if found.name == "HEAD" {
        found.symref = default.map(str::to_owned);
    }
    Some(found)
}

/// Returns the ref in a line `ID NAME`, or `None` if the line means that there are no refs or if the name is not UTF-8.
fn v0_ref(text: &[u8]) -> Result<Option<Advertised>, GitError> {
    let (id, name) = split_at_byte(text, b' ').ok_or_else(|| bad_ref(text))?;
    if name == b"capabilities^{}" {
        return Ok(None);
    }
    let id = object_id(id).ok_or_else(|| bad_ref(text))?;
    Ok(utf8(name).map(|name| Advertised {
        name: name.to_owned(),
        id,
        peeled: None,
        symref: None,
    }))
}

/// Returns the ref in a line of the answer to `ls-refs`, or `None` if the ref has no target yet or if its name is not
/// UTF-8.
pub(super) fn listed_ref(line: &Line) -> Result<Option<Advertised>, GitError> {
    let text = line.text();
    let mut words = text.split(|&byte| byte == b' ');
    let (Some(id), Some(name)) = (words.next(), words.next()) else {
        return Err(bad_ref(text));
    };
    if id == b"unborn" {
        return Ok(None);
    }
    let id = object_id(id).ok_or_else(|| bad_ref(text))?;
    let Some(name) = utf8(name) else {
        return Ok(None);
    };
    let mut found = Advertised {
        name: name.to_owned(),
        id,
        peeled: None,
        symref: None,
    };
    for word in words {
        if let Some(id) = word.strip_prefix(b"peeled:") {
            found.peeled = Some(object_id(id).ok_or_else(|| bad_ref(text))?);
        } else if let Some(target) = word.strip_prefix(b"symref-target:") {
            found.symref = utf8(target).map(str::to_owned);
        }
    }
    Ok(Some(found))
}

/// Parses the id of an object of any type. The protocol does not contain the types of objects.
pub(super) fn object_id(text: &[u8]) -> Option<CommitId> {
    CommitId::parse(utf8(text)?).ok()
}

fn bad_ref(text: &[u8]) -> GitError {
    GitError::malformed(format!("{:?} is not a line about a ref", plain(text)))
}

fn utf8(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok()
}

fn split_at_byte(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|&byte| byte == at)?;
    Some((&text[..position], &text[position + 1..]))
}
