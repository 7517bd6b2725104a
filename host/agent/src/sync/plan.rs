//! What a sync changes on the gateway.

mod compare;
mod letter_case;
mod orphans;
mod parents;

use std::sync::Arc;

use stoker_git::{TreeEntry, TreeEntryKind};

use super::applied::AppliedFile;
use super::attributes;
use super::live::Live;
use super::pattern::{Excludes, PatternError};
use super::profiles::Profile;
use super::root::RootError;
use super::rule::{ContentError, Rule, RuleError};
use super::template::{Context, Renderer};
use super::wanted::{Wanted, WantedFile};
use crate::source::{Source, SourceError};

pub use letter_case::OneFile;
pub(super) use letter_case::Twins;

/// The deletions that need no confirmation in any case.
const FEW_DELETES: usize = 20;
/// The directory with the projects of the gateway.
pub(super) const PROJECTS: &str = "projects";

/// A plan cannot be made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The commit cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The gateway's directory cannot be read.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The excludes of the profile cannot be used. Without them, the sync would delete what they protect.
    #[error("excludePatterns: {0}")]
    Excludes(#[from] PatternError),
    /// A mapping cannot be rendered.
    #[error("mapping[{index}].{field}: {cause}")]
    Rule {
        /// The place of the mapping.
        index: usize,
        /// The name of the field.
        field: &'static str,
        /// What is wrong.
        cause: RuleError,
    },
    /// The content of a file cannot be made.
    #[error("{path}: {cause}")]
    Content {
        /// The path of the file on the gateway.
        path: String,
        /// What is wrong.
        cause: ContentError,
    },
    /// A source that must exist does not.
    #[error("mapping[{index}]: required source does not exist: {path}")]
    Missing {
        /// The place of the mapping.
        index: usize,
        /// The path in the repository.
        path: String,
    },
    /// A source has another type than the mapping says.
    #[error("mapping[{index}]: type mismatch: spec says {asked:?} but {path} is a {found}")]
    Type {
        /// The place of the mapping.
        index: usize,
        /// The path in the repository.
        path: String,
        /// The type in the mapping.
        asked: &'static str,
        /// The type in the repository.
        found: &'static str,
    },
    /// A source, or a directory above it, is a symbolic link.
    #[error("mapping[{index}]: refusing to copy symlink source: {path}")]
    SourceLink {
        /// The place of the mapping.
        index: usize,
        /// The path of the link in the repository.
        path: String,
    },
    /// A source, or a directory above it, is a submodule.
    #[error("mapping[{index}]: the source is in a submodule, which is not fetched: {path}")]
    SourceSubmodule {
        /// The place of the mapping.
        index: usize,
        /// The path of the submodule in the repository.
        path: String,
    },
    /// A path in the source is not UTF-8, so that no file can have it.
    #[error("mapping[{index}]: the source has the path {path:?}, which is not UTF-8")]
    SourceName {
        /// The place of the mapping.
        index: usize,
        /// The path in the repository. Bytes that are not UTF-8 are replaced.
        path: String,
    },
    /// The destination of a file is a directory.
    #[error(
        "mapping[{index}].destination: the source is a file, so the destination must be the path of a file"
    )]
    NoFileName {
        /// The place of the mapping.
        index: usize,
    },
    /// Two mappings need a file and a directory at one path.
    #[error("{path}: {file} needs a file here, and {other} a directory")]
    FileAndDirectory {
        /// The path on the gateway.
        path: String,
        /// The file of the repository that belongs at the path.
        file: String,
        /// A file of the repository that belongs below it.
        other: String,
    },
    /// Something on the gateway is in the way, and the profile does not allow to delete it.
    #[error("{path}: {found} of the gateway is in the way, and no mapping manages it")]
    Blocked {
        /// The path on the gateway.
        path: String,
        /// What is there.
        found: &'static str,
    },
    /// Two files of the commit are one on the gateway.
    #[error(transparent)]
    OneFile(#[from] OneFile),
    /// No file of the commit belongs on the gateway, although the profile has mappings.
    #[error("no mapping matches a file of the commit; nothing was changed ({reason})")]
    Nothing {
        /// What was left out.
        reason: String,
    },
}

/// One change. The paths are shared with the record of the sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A file, or an empty directory, is deleted because a directory or a file belongs at its path.
    Clear {
        /// The path on the gateway.
        path: Arc<str>,
        /// Whether it is a directory.
        is_directory: bool,
    },
    /// A file is written.
    Write {
        /// The path on the gateway.
        path: Arc<str>,
        /// Whether there is something at the path that is replaced.
        replaces: bool,
    },
    /// The permissions of a file are set.
    SetMode {
        /// The path on the gateway.
        path: Arc<str>,
        /// The permissions.
        mode: u32,
    },
    /// A file is deleted that is not part of the commit.
    Delete {
        /// The path on the gateway.
        path: Arc<str>,
    },
    /// A directory is deleted that is empty after the deletions.
    RemoveDirectory {
        /// The path on the gateway.
        path: Arc<str>,
    },
}

impl Operation {
    /// Returns the path on the gateway.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Clear { path, .. }
            | Self::Write { path, .. }
            | Self::SetMode { path, .. }
            | Self::Delete { path }
            | Self::RemoveDirectory { path } => path,
        }
    }
}

/// How many files change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The files at new paths.
    pub added: usize,
    /// The files with a new content or new permissions.
    pub modified: usize,
    /// The files that are deleted.
    pub deleted: usize,
}

/// More files would be deleted than a sync may delete without a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the sync would delete {deletes} of {managed} files, and may delete {limit} without a confirmation"
)]
pub struct TooManyDeletes {
    /// The files that would be deleted.
    pub deletes: usize,
    /// The files below the destinations of the profile.
    pub managed: usize,
    /// The largest number without a confirmation.
    pub limit: usize,
}

/// The changes that bring a commit to a gateway.
pub struct Plan {
    pub(super) operations: Vec<Operation>,
    pub(super) writes: Vec<Write>,
    /// The files that are already as they should be, or only need other permissions, in the order of their paths.
    pub(super) kept: Vec<AppliedFile>,
    pub(super) entries: Vec<TreeEntry>,
    pub(super) rules: Vec<Rule>,
    pub(super) renderer: Renderer,
    /// The wanted files that may be one file on the gateway.
    pub(super) twins: Twins,
    messages: Vec<String>,
    counts: Counts,
    too_many_deletes: Option<TooManyDeletes>,
}

/// A file to write.
pub(super) struct Write {
    pub(super) path: Arc<str>,
    pub(super) file: WantedFile,
}

impl Plan {
    /// Returns the changes in the order in which they are made.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Returns how many files change.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns what the sync leaves out, as sentences for the log.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// Returns why the plan needs a confirmation, or `None` if it needs none.
    #[must_use]
    pub fn too_many_deletes(&self) -> Option<TooManyDeletes> {
        self.too_many_deletes
    }

    /// Returns whether something changes in the projects of the gateway.
    #[must_use]
    pub fn changes_projects(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| is_in_projects(operation.path()))
    }

    /// Returns whether something changes outside the projects of the gateway.
    #[must_use]
    pub fn changes_configuration(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| !is_in_projects(operation.path()))
    }
}

/// Returns the permissions of a file of the commit.
pub(super) fn mode(entry: &TreeEntry) -> u32 {
    if entry.kind == TreeEntryKind::Executable {
        0o755
    } else {
        0o644
    }
}

fn is_in_projects(path: &str) -> bool {
    super::wanted::is_at_or_below(path, PROJECTS)
}

/// Compares a commit with a gateway, and returns the changes that the profile asks for. Writes nothing.
///
/// # Errors
///
/// Fails if the profile does not fit the commit, if the gateway has something in the way that the profile does not manage,
/// or if something cannot be read.
pub fn plan(
    source: &dyn Source,
    profile: &Profile,
    context: &Context,
    live: Live,
) -> Result<Plan, PlanError> {
    let renderer = Renderer::new(context);
    let rules = rules(profile, context, &renderer)?;
    let (excludes, invalid) = Excludes::new(profile.exclude_patterns())?;
    let mut entries = source.entries()?;
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    let mut wanted = Wanted::collect(&entries, &rules, &excludes)?;
    if wanted.files.is_empty() && !rules.is_empty() {
        let reason = wanted.messages.join("; ");
        return Err(PlanError::Nothing { reason });
    }
    let mut messages: Vec<String> = invalid
        .iter()
        .map(|error| format!("excludePatterns: {error}"))
        .collect();
    messages.append(&mut wanted.messages);
    let sources = wanted.files.values().map(|file| file.entry);
    let sources = sources.map(|entry| entries[entry].path.as_str());
    messages.append(&mut attributes::unapplied(source, &entries, sources)?);
    let found = orphans::find(&wanted, &excludes, &live)?;
    let changes = compare::Comparison {
        source,
        entries: &entries,
        rules: &rules,
        renderer: &renderer,
        live: &live,
    };
    let mut changes = changes.compare(&wanted, &found)?;
    found.add_deletions(&mut changes);
    let kept = live.into_applied().keep(&changes.known, changes.noted);
    let limit = profile
        .max_deletes()
        .unwrap_or_else(|| FEW_DELETES.max(found.managed / 2));
    let deletes = changes.counts.deleted;
    let too_many_deletes = (deletes > limit).then_some(TooManyDeletes {
        deletes,
        managed: found.managed,
        limit,
    });
    Ok(Plan {
        operations: changes.operations,
        writes: changes.writes,
        kept,
        entries,
        rules,
        renderer,
        twins: changes.twins,
        messages,
        counts: changes.counts,
        too_many_deletes,
    })
}

fn rules(
    profile: &Profile,
    context: &Context,
    renderer: &Renderer,
) -> Result<Vec<Rule>, PlanError> {
    let mut rules = Vec::new();
    for (index, mapping) in profile.mappings().iter().enumerate() {
        let rule = Rule::new(mapping, renderer, profile, context);
        rules.push(rule.map_err(|(field, cause)| PlanError::Rule {
            index,
            field,
            cause,
        })?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests;
