//! Finds the members of an object with many members. Each plugin reads several members of a body, so that reading all
//! names for each of them would take long.

use std::hash::{BuildHasher as _, RandomState};

/// The minimum number of members of an object whose names are indexed. The memory of the index is part of what
/// [`Size`](super::size::Size) counts for the values of such an object.
pub(super) const LEAST: usize = 256;

/// The names of an object, by their hashes.
#[derive(Debug)]
pub(super) struct Names(Vec<Name>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    hash: u32,
    /// The position of its node.
    place: u32,
}

impl Names {
    pub(super) fn with_capacity(len: usize) -> Self {
        Self(Vec::with_capacity(len))
    }

    pub(super) fn add(&mut self, name: &str, place: u32, hasher: &RandomState) {
        let hash = hash(name, hasher);
        self.0.push(Name { hash, place });
    }

    /// Orders the names, once all are added.
    pub(super) fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// The positions at which the name may be, the last one first.
    pub(super) fn places(&self, name: &str, hasher: &RandomState) -> impl Iterator<Item = usize> {
        let hash = hash(name, hasher);
        let start = self.0.partition_point(|other| other.hash < hash);
        let end = self.0.partition_point(|other| other.hash <= hash);
        let found = self.0[start..end].iter().rev();
        found.map(|name| name.place as usize)
    }

    /// The allocated memory in bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<Name>()
    }
}

/// The upper half of the hash, which takes half of the memory.
fn hash(name: &str, hasher: &RandomState) -> u32 {
    u32::try_from(hasher.hash_one(name) >> 32).unwrap_or_default()
}
