//! Objects and packs that tests make.

use std::io::Cursor;
use std::sync::atomic::AtomicBool;

use gix_hash::{Kind, ObjectId};

use super::super::super::store::{Basis, IndexError, PackLimits, index};
use super::*;

/// An object, and its entry in a pack.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) id: ObjectId,
    kind: u8,
    content: Vec<u8>,
}

impl Object {
    fn new(kind: gix_object::Kind, content: Vec<u8>) -> Self {
        Self {
            id: gix_object::compute_hash(Kind::Sha1, kind, &content).unwrap(),
            kind: match kind {
                gix_object::Kind::Commit => 1,
                gix_object::Kind::Tree => 2,
                gix_object::Kind::Blob => 3,
                gix_object::Kind::Tag => 4,
            },
            content,
        }
    }

    pub(super) fn blob(content: &[u8]) -> Self {
        Self::new(gix_object::Kind::Blob, content.to_vec())
    }

    pub(super) fn tree(entries: &[(&str, &[u8], &Self)]) -> Self {
        let mut content = Vec::new();
        for (mode, name, object) in entries {
            content.extend_from_slice(mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(name);
            content.push(0);
            content.extend_from_slice(object.id.as_slice());
        }
        Self::new(gix_object::Kind::Tree, content)
    }

    pub(super) fn commit(tree: &Self) -> Self {
        Self::commit_with(
            tree,
            "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nText\n",
        )
    }

    /// Returns a commit whose text follows the line with its tree.
    pub(super) fn commit_with(tree: &Self, rest: &str) -> Self {
        let text = format!("tree {}\n{rest}", tree.id);
        Self::new(gix_object::Kind::Commit, text.into_bytes())
    }

    pub(super) fn entry(&self) -> Vec<u8> {
        let mut entry = header(self.kind, self.content.len());
        entry.extend(zlib(&self.content));
        entry
    }
}

/// Returns the header of an entry (gitformat-pack).
pub(super) fn header(kind: u8, size: usize) -> Vec<u8> {
    let mut rest = size >> 4;
    let mut byte = kind << 4 | u8::try_from(size & 15).unwrap();
    let mut out = Vec::new();
    while rest > 0 {
        out.push(byte | 0x80);
        byte = u8::try_from(rest & 0x7f).unwrap();
        rest >>= 7;
    }
    out.push(byte);
    out
}

/// Returns a number in the form of a delta's header.
pub(super) fn delta_size(size: usize) -> Vec<u8> {
    let mut rest = size;
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(rest & 0x7f).unwrap();
        rest >>= 7;
        if rest == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// Returns data in zlib's format, without compression (RFC 1950, RFC 1951).
pub(super) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let length = u16::try_from(data.len()).unwrap();
    out.push(1);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(data);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend_from_slice(&(b << 16 | a).to_be_bytes());
    out
}

pub(super) fn pack_of(count: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&count.to_be_bytes());
    pack.extend(entries.concat());
    let mut hasher = gix_hash::hasher(Kind::Sha1);
    hasher.update(&pack);
    pack.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    pack
}

/// Returns a pack of whole objects.
pub(super) fn pack(objects: &[Object]) -> Vec<u8> {
    let entries: Vec<_> = objects.iter().map(Object::entry).collect();
    pack_of(u32::try_from(entries.len()).unwrap(), &entries)
}

pub(super) fn commit_id(object: &Object) -> CommitId {
    CommitId::parse(&object.id.to_string()).unwrap()
}

/// Stores a pack of a commit, and returns whether it was whole.
pub(super) fn store_pack(
    store: &ObjectStore,
    commit: &CommitId,
    pack: Vec<u8>,
) -> Result<bool, IndexError> {
    let limits = PackLimits {
        objects: 1000,
        object_bytes: 1024 * 1024,
    };
    let stop = AtomicBool::new(false);
    let directory = store.incoming()?;
    let indexed = index(
        Cursor::new(pack),
        directory,
        Kind::Sha1,
        None,
        limits,
        &stop,
    )?;
    Ok(store.install(commit, indexed, &Basis::default())?)
}
