//! Which files of the commit belong where.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use stoker_api::MappingType;
use stoker_git::{TreeEntry, TreeEntryKind};

use super::pattern::Excludes;
use super::plan::PlanError;
use super::rule::Rule;

/// The files that a profile wants, and where it deletes others.
#[derive(Default)]
pub(super) struct Wanted {
    /// The files by their destination.
    pub(super) files: BTreeMap<Arc<str>, WantedFile>,
    /// The directories with files in them.
    pub(super) directories: BTreeSet<String>,
    /// The directories in which all other files are deleted.
    pub(super) roots: BTreeSet<String>,
    /// The destinations of mappings that copy nothing. Nothing is deleted there.
    pub(super) kept: Vec<String>,
    /// What was left out, for the log.
    pub(super) messages: Vec<String>,
}

/// A file of the commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WantedFile {
    /// The position among the entries of the commit.
    pub(super) entry: usize,
    /// The position of the mapping.
    pub(super) rule: usize,
}

/// Where the source of a mapping is in the commit.
enum Found {
    File(usize),
    Directory(std::ops::Range<usize>),
}

impl Wanted {
    /// Collects the files of all mappings, in their order. A later mapping replaces the files of an earlier one.
    pub(super) fn collect(
        entries: &[TreeEntry],
        rules: &[Rule],
        excludes: &Excludes,
    ) -> Result<Self, PlanError> {
        let mut wanted = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            let count = match find(entries, index, rule)? {
                None if rule.is_required => {
                    return Err(PlanError::Missing {
                        index,
                        path: rule.source.clone(),
                    });
                }
                None => {
                    let message = format!(
                        "mapping[{index}]: the source does not exist: {}",
                        rule.source
                    );
                    wanted.messages.push(message);
                    0
                }
                Some(Found::File(entry)) => wanted.add_file(index, rule, entry, excludes)?,
                Some(Found::Directory(range)) => {
                    let count = wanted.add_directory(index, rule, entries, range, excludes)?;
                    if count > 0 && rule.is_managed {
                        wanted.roots.insert(rule.destination.clone());
                    }
                    count
                }
            };
            if count == 0 && !rule.destination.is_empty() {
                wanted.kept.push(rule.destination.clone());
            }
        }
        wanted.check_directories(entries)?;
        Ok(wanted)
    }

    fn add_file(
        &mut self,
        index: usize,
        rule: &Rule,
        entry: usize,
        excludes: &Excludes,
    ) -> Result<usize, PlanError> {
        if rule.destination.is_empty() || rule.names_directory {
            return Err(PlanError::NoFileName { index });
        }
        if excludes.cover_file(&rule.destination) {
            self.messages.push(format!(
                "mapping[{index}]: the destination is excluded: {}",
                rule.destination
            ));
            return Ok(0);
        }
        self.files.insert(
            rule.destination.as_str().into(),
            WantedFile { entry, rule: index },
        );
        Ok(1)
    }

    fn add_directory(
        &mut self,
        index: usize,
        rule: &Rule,
        entries: &[TreeEntry],
        range: std::ops::Range<usize>,
        excludes: &Excludes,
    ) -> Result<usize, PlanError> {
        let mut known = HashMap::new();
        let (mut count, mut links, mut submodules) = (0, 0, 0);
        for position in range {
            let entry = &entries[position];
            let below = entry.path[rule.source.len()..].trim_start_matches('/');
            let path = join(&rule.destination, below);
            let mut is_copied =
                || !is_excluded(&path, rule.destination.len(), excludes, &mut known);
            match entry.kind {
                TreeEntryKind::Symlink => links += 1,
                TreeEntryKind::Submodule => submodules += 1,
                TreeEntryKind::NotUtf8 if is_copied() => {
                    let path = entry.path.clone();
                    return Err(PlanError::SourceName { index, path });
                }
                TreeEntryKind::NotUtf8 => {}
                TreeEntryKind::File | TreeEntryKind::Executable => {
                    if is_copied() {
                        self.files.insert(
                            path.into(),
                            WantedFile {
                                entry: position,
                                rule: index,
                            },
                        );
                        count += 1;
                    }
                }
            }
        }
        for (number, what) in [(links, "symbolic links"), (submodules, "submodules")] {
            if number > 0 {
                self.messages
                    .push(format!("mapping[{index}]: {what} are not copied: {number}"));
            }
        }
        if count == 0 {
            let message = format!("mapping[{index}]: no file matches in {}", rule.source);
            self.messages.push(message);
        }
        Ok(count)
    }

    /// Collects the directories. No file may be where a directory is needed.
    fn check_directories(&mut self, entries: &[TreeEntry]) -> Result<(), PlanError> {
        for (path, file) in &self.files {
            let parents = path.rmatch_indices('/').map(|(at, _)| &path[..at]);
            for parent in parents {
                if self.directories.contains(parent) {
                    break;
                }
                if let Some(other) = self.files.get(parent) {
                    return Err(PlanError::FileAndDirectory {
                        path: parent.to_owned(),
                        file: entries[other.entry].path.clone(),
                        other: entries[file.entry].path.clone(),
                    });
                }
                self.directories.insert(parent.to_owned());
            }
        }
        Ok(())
    }

    /// Returns whether files that nobody wants are deleted at a path. The deepest destination decides: if it is that of a
    /// mapping that copies nothing, they stay, also if it is the destination of another mapping.
    pub(super) fn manages(&self, path: &str) -> bool {
        let deepest = |paths: &mut dyn Iterator<Item = &String>| {
            let covering = paths.filter(|covering| is_at_or_below(path, covering));
            covering.map(String::len).max()
        };
        let root = deepest(&mut self.roots.iter());
        root.is_some() && root > deepest(&mut self.kept.iter())
    }

    /// Returns whether a path is at or below the destination of a mapping that copies nothing.
    pub(super) fn keeps(&self, path: &str) -> bool {
        self.kept.iter().any(|kept| is_at_or_below(path, kept))
    }
}

pub(super) fn is_at_or_below(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// Returns whether a path or a directory above it, below the destination, is excluded.
fn is_excluded(
    path: &str,
    destination: usize,
    excludes: &Excludes,
    known: &mut HashMap<String, bool>,
) -> bool {
    let parent = path.rfind('/').filter(|at| *at > destination);
    let is_parent_excluded = parent.is_some_and(|at| {
        let parent = &path[..at];
        if let Some(is_known) = known.get(parent) {
            return *is_known;
        }
        let is_excluded = is_excluded(parent, destination, excludes, known);
        known.insert(parent.to_owned(), is_excluded);
        is_excluded
    });
    is_parent_excluded || excludes.matches(path)
}

/// Finds the source of a mapping. Links in the commit are not followed.
fn find(entries: &[TreeEntry], index: usize, rule: &Rule) -> Result<Option<Found>, PlanError> {
    let found = locate(entries, index, &rule.source)?;
    let (found, type_) = match found {
        None => return Ok(None),
        Some(found @ Found::File(_)) => (found, MappingType::File),
        Some(found @ Found::Directory(_)) => (found, MappingType::Dir),
    };
    match rule.type_ {
        Some(asked) if asked != type_ => Err(PlanError::Type {
            index,
            path: rule.source.clone(),
            asked: type_name(asked),
            found: type_name(type_),
        }),
        _ => Ok(Some(found)),
    }
}

fn type_name(type_: MappingType) -> &'static str {
    match type_ {
        MappingType::Dir => "dir",
        MappingType::File => "file",
    }
}

fn locate(entries: &[TreeEntry], index: usize, path: &str) -> Result<Option<Found>, PlanError> {
    if path.is_empty() {
        return Ok(Some(Found::Directory(0..entries.len())));
    }
    let position = |path: &str| {
        entries
            .binary_search_by(|entry| entry.path.as_str().cmp(path))
            .ok()
    };
    let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
    for part in parents.chain([path]) {
        let Some(at) = position(part) else { continue };
        let path = part.to_owned();
        match entries[at].kind {
            TreeEntryKind::Symlink => return Err(PlanError::SourceLink { index, path }),
            TreeEntryKind::Submodule => return Err(PlanError::SourceSubmodule { index, path }),
            TreeEntryKind::NotUtf8 => return Err(PlanError::SourceName { index, path }),
            TreeEntryKind::File | TreeEntryKind::Executable => {}
        }
    }
    if let Some(at) = position(path) {
        return Ok(Some(Found::File(at)));
    }
    let prefix = format!("{path}/");
    let start = entries.partition_point(|entry| entry.path < prefix);
    let length = entries[start..].partition_point(|entry| entry.path.starts_with(&prefix));
    Ok((length > 0).then(|| Found::Directory(start..start + length)))
}
