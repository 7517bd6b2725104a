//! Paths that differ only in upper and lower case. Some volumes, such as those of SMB, have one file for them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::Arc;

use super::super::live::Live;
use super::super::root::RootError;
use super::super::wanted::Wanted;
use super::orphans::Orphans;

/// The volume has one file for two files of the commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} and {other} are one file on the gateway's volume, which does not distinguish upper and lower case: \
     rename one of them, or exclude it"
)]
pub struct OneFile {
    /// The path of one file.
    pub path: String,
    /// The path of the other.
    pub other: String,
}

/// Other paths of the wanted files.
pub(super) struct LetterCase<'a> {
    /// The files that nobody wants, in the order of their hashes.
    orphans: Vec<(u64, &'a str)>,
    twins: Twins,
    hasher: RandomState,
}

/// The wanted files that differ from another one only in case, with this other one.
pub(in super::super) type Twins = HashMap<Arc<str>, Arc<str>>;

impl<'a> LetterCase<'a> {
    pub(super) fn new(wanted: &Wanted, orphans: &'a Orphans) -> Self {
        let hasher = RandomState::new();
        let files = orphans.files.iter();
        let mut orphans: Vec<_> = files
            .map(|path| (folded(&hasher, path), path.as_str()))
            .collect();
        orphans.sort_unstable();
        // A commit can have many files. A list of hashes takes less memory than a map of folded paths.
        let mut by_hash: Vec<(u64, &Arc<str>)> = wanted
            .files
            .keys()
            .map(|path| (folded(&hasher, path), path))
            .collect();
        by_hash.sort_unstable();
        let mut twins = Twins::new();
        for pair in by_hash.windows(2) {
            if let [(one_hash, one), (other_hash, other)] = pair
                && one_hash == other_hash
            {
                twins.insert(Arc::clone(one), Arc::clone(other));
                twins.insert(Arc::clone(other), Arc::clone(one));
            }
        }
        Self {
            orphans,
            twins,
            hasher,
        }
    }

    /// Returns the paths that nobody wants and that lead to the file at a wanted path. There are several if two
    /// destinations are one directory.
    pub(super) fn formers(&self, path: &str, live: &Live) -> Result<Vec<&'a str>, RootError> {
        let mut formers = Vec::new();
        if self.orphans.is_empty() {
            return Ok(formers);
        }
        let hash = folded(&self.hasher, path);
        let start = self.orphans.partition_point(|(known, _)| *known < hash);
        let same = self.orphans[start..].iter();
        for (_, orphan) in same.take_while(|(known, _)| *known == hash) {
            if is_one_file(live, orphan, path)? {
                formers.push(*orphan);
            }
        }
        Ok(formers)
    }

    /// Returns the other wanted path of the file that is on the gateway.
    pub(super) fn conflict(&self, path: &str, live: &Live) -> Result<Option<OneFile>, RootError> {
        match self.twins.get(path) {
            Some(other) if is_one_file(live, other, path)? => Ok(Some(OneFile {
                path: path.to_owned(),
                other: other.to_string(),
            })),
            _ => Ok(None),
        }
    }

    pub(super) fn into_twins(self) -> Twins {
        self.twins
    }
}

fn folded(hasher: &RandomState, path: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    for letter in path.chars().flat_map(char::to_lowercase) {
        letter.hash(&mut hasher);
    }
    hasher.finish()
}

/// Returns whether two paths lead to one file: where they differ, the directory lists only one of the names, and yet has
/// the other. The numbers of files are no help, as some volumes have none.
fn is_one_file(live: &Live, one: &str, other: &str) -> Result<bool, RootError> {
    let mut start = 0;
    for (part, other_part) in one.split('/').zip(other.split('/')) {
        let directory = one[..start].trim_end_matches('/');
        start += part.len() + 1;
        if part == other_part {
            continue;
        }
        let entries = live.list(directory)?;
        let unlisted = match (entries.get(part), entries.get(other_part)) {
            (Some(_), None) => other_part,
            (None, Some(_)) => part,
            _ => return Ok(false),
        };
        if !live.has_unlisted(directory, unlisted)? {
            return Ok(false);
        }
    }
    Ok(true)
}
