//! The file `contents` of a store: its packs, and the commits whose objects are all there.

use std::fmt;

use stoker_api::detection::CommitId;

use super::{ADDED_SHARE, MAX_ADDED_PACKS, MIN_ADDED_BYTES};

/// The first line. A store with another one is emptied.
const VERSION: &str = "stoker object store 1";

/// The packs and the commits of a store, in the order in which they were fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(super) packs: Vec<PackName>,
    pub(super) commits: Vec<CommitId>,
}

impl Contents {
    /// Parses the text of the file. Returns `None` if it has another form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.lines();
        if lines.next() != Some(VERSION) {
            return None;
        }
        let mut found = Self::default();
        for line in lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["pack", hash, bytes] => found.packs.push(PackName::parse(hash, bytes)?),
                ["commit", id] => found.commits.push(CommitId::parse(id).ok()?),
                _ => return None,
            }
        }
        Some(found)
    }

    /// Returns whether so much was added to the first pack that the next fetch has to get everything anew.
    pub(super) fn is_full(&self) -> bool {
        let Some((first, added)) = self.packs.split_first() else {
            return false;
        };
        let bytes: u64 = added.iter().map(PackName::bytes).sum();
        added.len() >= MAX_ADDED_PACKS || bytes > (first.bytes() / ADDED_SHARE).max(MIN_ADDED_BYTES)
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{VERSION}")?;
        for pack in &self.packs {
            writeln!(out, "pack {} {}", pack.hash, pack.bytes)?;
        }
        for commit in &self.commits {
            writeln!(out, "commit {commit}")?;
        }
        Ok(())
    }
}

/// The name of a pack, which is the checksum of its content, and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackName {
    hash: String,
    bytes: u64,
}

impl PackName {
    pub(super) fn new(hash: &gix_hash::oid, bytes: u64) -> Self {
        Self {
            hash: hash.to_string(),
            bytes,
        }
    }

    fn parse(hash: &str, bytes: &str) -> Option<Self> {
        let is_hash = matches!(hash.len(), 40 | 64) && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let bytes = bytes.parse().ok()?;
        is_hash.then(|| Self {
            hash: hash.to_owned(),
            bytes,
        })
    }

    /// Returns the size of the pack without its index, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the names of the files of the pack. The index is last.
    pub(super) fn files(&self) -> [String; 2] {
        ["pack", "idx"].map(|extension| format!("pack-{}.{extension}", self.hash))
    }

    /// Returns whether a file has the name of a file of a pack.
    pub(super) fn is_file(name: &str) -> bool {
        name.strip_prefix("pack-")
            .is_some_and(|rest| rest.ends_with(".pack") || rest.ends_with(".idx"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(digit: &str, bytes: u64) -> PackName {
        PackName::parse(&digit.repeat(40), &bytes.to_string()).unwrap()
    }

    fn contents(sizes: &[u64]) -> Contents {
        Contents {
            packs: sizes.iter().map(|size| pack("a", *size)).collect(),
            commits: Vec::new(),
        }
    }

    #[test]
    fn contents_are_read_as_they_were_written() {
        let written = Contents {
            packs: vec![pack("a", 1), pack("b", u64::MAX)],
            commits: vec![
                CommitId::parse(&"c".repeat(40)).unwrap(),
                CommitId::parse(&"d".repeat(64)).unwrap(),
            ],
        };
        let text = written.to_string();
        assert_eq!(Contents::parse(&text), Some(written));
        for length in 0..text.len() {
            // A file that ends early never names a commit without its packs.
            if let Some(cut) = Contents::parse(&text[..length]) {
                assert!(
                    cut.packs.len() == 2 || cut.commits.is_empty(),
                    "{}",
                    &text[..length]
                );
            }
        }
    }

    #[test]
    fn what_has_another_form_is_not_read() {
        for text in [
            "",
            "stoker object store 2\n",
            "stoker object store 1\npack ../../x 1\n",
            "stoker object store 1\ncommit abc\n",
            "stoker object store 1\nother line\n",
        ] {
            assert_eq!(Contents::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_store_is_full_when_the_added_packs_are_a_quarter_of_the_first() {
        const MIB: u64 = 1024 * 1024;
        assert!(!contents(&[]).is_full());
        assert!(!contents(&[1000 * MIB]).is_full());
        assert!(!contents(&[1000 * MIB, 200 * MIB, 50 * MIB]).is_full());
        assert!(contents(&[1000 * MIB, 200 * MIB, 51 * MIB]).is_full());
        assert!(!contents(&[1, 16 * MIB]).is_full());
        assert!(contents(&[1, 16 * MIB, 1]).is_full());
        assert!(!contents(&[1; MAX_ADDED_PACKS]).is_full());
        assert!(contents(&[1; MAX_ADDED_PACKS + 1]).is_full());
    }
}
