//! What a server says first: its capabilities (version 2), or all its refs (versions 0 and 1).
//!
//! It knows packets, and not what anybody looks for among the refs.

use super::error::{GitError, plain};
use super::packet::{Incoming, Line, Packet, Packets};
use stoker_api::detection::CommitId;

/// The first words of a server.
#[derive(Debug)]
pub(super) enum Greeting {
    /// It speaks version 2 and waits for a question.
    V2(Capabilities),
    /// It speaks version 0 or 1; its refs follow, this being the first packet of them.
    Old(Packet),
}

/// What a server of version 2 can do, as far as it is used here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// It lists refs.
    pub(super) ls_refs: bool,
    /// It gives objects, and how.
    pub(super) fetch: Option<Fetch>,
    /// The object format, if it names one.
    pub(super) object_format: Option<ObjectFormat>,
}

/// How a server gives objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fetch {
    /// Without the history before them, on demand.
    pub(super) shallow: bool,
    /// Without some kinds of them, on demand.
    pub(super) filter: bool,
}

/// How a repository names its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectFormat {
    /// By 40 digits.
    Sha1,
    /// By 64 digits.
    Sha256,
}

impl ObjectFormat {
    fn parse(name: &[u8]) -> Result<Self, GitError> {
        match name {
            b"sha1" => Ok(Self::Sha1),
            b"sha256" => Ok(Self::Sha256),
            _ => Err(GitError::malformed(format!(
                "its object format {:?} is not known",
                plain(name)
            ))),
        }
    }

    /// As the protocol names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The digits of an id.
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
    /// What that leads to, if it is an annotated tag.
    pub(super) peeled: Option<CommitId>,
    /// The ref that it stands for.
    pub(super) symref: Option<String>,
}

/// Reads the first words.
pub(super) async fn read<S: Incoming>(packets: &mut Packets<S>) -> Result<Greeting, GitError> {
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
        return capabilities(packets).await.map(Greeting::V2);
    }
    if is_text(&first, |text| text == b"version 1") {
        first = packets.next().await?;
    }
    Ok(Greeting::Old(first))
}

fn is_text(packet: &Packet, test: impl Fn(&[u8]) -> bool) -> bool {
    matches!(packet, Packet::Line(line) if test(line.text()))
}

async fn capabilities<S: Incoming>(packets: &mut Packets<S>) -> Result<Capabilities, GitError> {
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
                found.fetch = Some(Fetch {
                    shallow: has(b"shallow"),
                    filter: has(b"filter"),
                });
            }
            b"object-format" => found.object_format = Some(ObjectFormat::parse(value)?),
            _ => {}
        }
    }
}

/// Reads the refs of a server of version 0 or 1 and shows each to `visit`.
pub(super) async fn old_refs<S: Incoming>(
    packets: &mut Packets<S>,
    first: Packet,
    mut visit: impl FnMut(Advertised) + Send,
) -> Result<(), GitError> {
    let mut packet = first;
    let mut default = None;
    let mut is_first = true;
    let mut held: Option<Advertised> = None;
    while let Packet::Line(line) = packet {
        let mut text = line.text();
        if let Some((ref_part, capabilities)) = split_at_byte(text, b'\0') {
            text = ref_part;
            if is_first {
                default = default_branch(capabilities);
            }
        }
        is_first = false;
        if !text.starts_with(b"shallow ") && !text.starts_with(b"unshallow ") {
            let found = old_ref(text)?;
            held = hold(held, found, default.as_deref(), &mut visit);
        }
        packet = packets.next().await?;
    }
    if packet == Packet::Delimiter {
        return Err(GitError::malformed("a delimiter among the refs"));
    }
    if let Some(last) = held {
        visit(last);
    }
    Ok(())
}

/// Joins a peeled line to the ref before it; any other shows that ref and is held in its place.
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

/// The ref in a line `ID NAME`; none where it stands for "no refs", or its name is not UTF-8.
fn old_ref(text: &[u8]) -> Result<Option<Advertised>, GitError> {
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

/// The branch that `symref=HEAD:BRANCH` names among the capabilities.
fn default_branch(capabilities: &[u8]) -> Option<String> {
    let target = capabilities
        .split(|&byte| byte == b' ')
        .find_map(|word| word.strip_prefix(b"symref=HEAD:"))?;
    utf8(target).map(str::to_owned)
}

/// The ref in a line of an answer to `ls-refs`; none for one that points nowhere yet, or whose name is not UTF-8.
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

/// The id of an object, in the form that commits have: the protocol does not tell which of them are commits.
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
