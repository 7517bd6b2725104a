//! Compares the wanted files with those on the gateway.

use std::collections::BTreeSet;
use std::sync::Arc;

use stoker_git::TreeEntry;

use super::super::applied::AppliedFile;
use super::super::digest::Digest;
use super::super::live::Live;
use super::super::root::{Kind, Stat};
use super::super::rule::Rule;
use super::super::template::Renderer;
use super::super::wanted::{Wanted, WantedFile, is_at_or_below};
use super::letter_case::{LetterCase, Twins};
use super::orphans::Orphans;
use super::parents::Parents;
use super::{Counts, Operation, PlanError, Write, mode};
use crate::source::Source;

/// What a comparison reads.
pub(super) struct Comparison<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) entries: &'a [TreeEntry],
    pub(super) rules: &'a [Rule],
    pub(super) renderer: &'a Renderer,
    pub(super) live: &'a Live,
}

/// The result of a comparison.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) operations: Vec<Operation>,
    /// The operations that write the files. They follow those that make room.
    files: Vec<Operation>,
    /// The operations that set permissions. They follow the files.
    modes: Vec<Operation>,
    pub(super) writes: Vec<Write>,
    /// The positions of the files in the record that stay as they are.
    pub(super) known: Vec<usize>,
    /// The new records of other files that are not written.
    pub(super) noted: Vec<AppliedFile>,
    pub(super) counts: Counts,
    /// What is deleted before the files are written.
    pub(super) cleared: BTreeSet<String>,
    /// The files that nobody wants by this path, and that are wanted by another.
    pub(super) renamed: BTreeSet<String>,
    /// The wanted files that may be one file on the gateway.
    pub(super) twins: Twins,
}

/// What is at the path of a wanted file.
enum Place<'a> {
    Free,
    Taken,
    File(Stat),
    /// The file has this other name there, which differs only in case.
    Former(&'a str),
}

/// Whether the content of a file is already there.
enum Unchanged {
    /// It is not.
    No,
    /// The file is as the record at this position says.
    Known(usize),
    /// It is there, and this is its record.
    Noted(AppliedFile),
}

impl Comparison<'_> {
    pub(super) fn compare(&self, wanted: &Wanted, orphans: &Orphans) -> Result<Changes, PlanError> {
        let mut changes = Changes::default();
        let mut parents = Parents::new(wanted, orphans);
        let letter_case = LetterCase::new(wanted, orphans);
        for (path, file) in &wanted.files {
            parents.check(path, self.live, &mut changes)?;
            let formers = letter_case.formers(path, self.live)?;
            let place = self.place(path, &formers, orphans, &mut changes)?;
            if let Some(conflict) = letter_case.conflict(path, self.live)? {
                return Err(conflict.into());
            }
            match self.unchanged(path, *file, &place)? {
                Unchanged::Known(position) => changes.known.push(position),
                Unchanged::No => changes.write(path, *file, &place),
                Unchanged::Noted(record) => self.note(*file, record, &mut changes),
            }
            let renamed = formers.into_iter().map(str::to_owned);
            changes.renamed.extend(renamed);
        }
        let files = std::mem::take(&mut changes.files);
        let modes = std::mem::take(&mut changes.modes);
        changes.operations.extend(files.into_iter().chain(modes));
        changes.twins = letter_case.into_twins();
        Ok(changes)
    }

    /// Notes a file that is not written. Its permissions are set if they are wrong.
    fn note(&self, file: WantedFile, record: AppliedFile, changes: &mut Changes) {
        let mode = mode(&self.entries[file.entry]);
        let known = self.live.applied(&record.path);
        // A file system may not have the permissions that were asked for, or the file has another owner.
        let was_set = known.is_some_and(|known| known.stat == record.stat && known.mode == mode);
        if !record.stat.has_mode(mode) && !was_set {
            changes.counts.modified += 1;
            changes.modes.push(Operation::SetMode {
                path: record.path.clone(),
                mode,
            });
        }
        changes.noted.push(record);
    }

    fn place<'a>(
        &self,
        path: &str,
        formers: &[&'a str],
        orphans: &Orphans,
        changes: &mut Changes,
    ) -> Result<Place<'a>, PlanError> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if changes.cleared.contains(parent) {
            return Ok(Place::Free);
        }
        let Some(stat) = self.live.stat(path)? else {
            return Ok(Place::Free);
        };
        if let Some(former) = formers.first()
            && !self.live.is_listed(path)?
        {
            return Ok(Place::Former(former));
        }
        match stat.kind {
            Kind::File => Ok(Place::File(stat)),
            Kind::Link => Ok(Place::Taken),
            Kind::Directory if orphans.clearable.contains(path) => {
                clear_directory(path, orphans, changes);
                Ok(Place::Free)
            }
            Kind::Directory => Err(PlanError::Blocked {
                path: path.to_owned(),
                found: "a directory",
            }),
            Kind::Other => Err(PlanError::Blocked {
                path: path.to_owned(),
                found: "a special file",
            }),
        }
    }

    /// Returns whether the content of a file is already there. Fails if the content cannot be made.
    fn unchanged(
        &self,
        path: &Arc<str>,
        file: WantedFile,
        place: &Place<'_>,
    ) -> Result<Unchanged, PlanError> {
        let entry = &self.entries[file.entry];
        let rule = &self.rules[file.rule];
        let recipe = rule.recipe(path);
        let Place::File(stat) = place else {
            if !recipe.is_empty() {
                // An error must fail the plan, not the sync.
                self.content(path, entry, rule)?;
            }
            return Ok(Unchanged::No);
        };
        let mode = mode(entry);
        let known = self.live.applied(path);
        let known = known.filter(|known| known.id == entry.id && known.recipe == recipe);
        // The content is that of the record then.
        let is_same = known.is_some_and(|known| known.stat == *stat && known.mode == mode);
        if is_same && let Some(position) = self.live.position(path) {
            return Ok(Unchanged::Known(position));
        }
        let wanted = if let Some(known) = known {
            known.digest
        } else {
            let content = self.content(path, entry, rule)?;
            if content.len() as u64 != stat.size {
                return Ok(Unchanged::No);
            }
            Digest::of(&content)
        };
        // A file that cannot be read is replaced.
        if self.live.digest(path, stat).ok() != Some(wanted) {
            return Ok(Unchanged::No);
        }
        Ok(Unchanged::Noted(AppliedFile {
            path: path.clone(),
            stat: stat.clone(),
            mode,
            digest: wanted,
            id: entry.id,
            recipe,
        }))
    }

    fn content(&self, path: &str, entry: &TreeEntry, rule: &Rule) -> Result<Vec<u8>, PlanError> {
        let object = self.source.read(entry)?;
        let content = rule.content(path, object, self.renderer);
        content.map_err(|cause| PlanError::Content {
            path: path.to_owned(),
            cause,
        })
    }
}

/// Deletes everything in a directory, and the directory. The deepest directories come first.
fn clear_directory(path: &str, orphans: &Orphans, changes: &mut Changes) {
    let below = |all: &BTreeSet<String>| {
        let from = all
            .range(path.to_owned()..)
            .take_while(|child| child.starts_with(path));
        let below = from.filter(|child| is_at_or_below(child, path));
        below.cloned().collect::<Vec<_>>()
    };
    for file in below(&orphans.files) {
        changes.clear(&file, false);
    }
    for directory in below(&orphans.clearable).iter().rev() {
        changes.clear(directory, true);
    }
}

impl Changes {
    fn write(&mut self, path: &Arc<str>, file: WantedFile, place: &Place<'_>) {
        let replaces = matches!(place, Place::File(_) | Place::Taken);
        if replaces {
            self.counts.modified += 1;
        } else {
            self.counts.added += 1;
        }
        // Otherwise the file would keep its name. Only this file is missing after an interruption.
        if let Place::Former(former) = place
            && self.cleared.insert((*former).to_owned())
        {
            self.counts.deleted += 1;
            self.files.push(Operation::Clear {
                path: (*former).into(),
                is_directory: false,
            });
        }
        self.files.push(Operation::Write {
            path: path.clone(),
            replaces,
        });
        self.writes.push(Write {
            path: path.clone(),
            file,
        });
    }

    pub(super) fn clear(&mut self, path: &str, is_directory: bool) {
        if self.cleared.insert(path.to_owned()) {
            self.counts.deleted += usize::from(!is_directory);
            self.operations.push(Operation::Clear {
                path: path.into(),
                is_directory,
            });
        }
    }
}
