//! Writes all changed files to the staging folder.

use super::super::digest::Digest;
use super::super::folder::Stat;
use super::super::plan::{Plan, mode};
use super::ApplyError;
use super::disk::Disk;
use crate::source::Source;

/// Up to this number, files are flushed one by one. Flushing the file system is faster for more.
const FEW_FILES: usize = 32;

/// A file in the staging folder.
pub(super) struct Staged {
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) stat: Stat,
    pub(super) digest: Digest,
    pub(super) id: String,
    pub(super) recipe: String,
}

/// Writes the files in the order of the plan. One content at a time is in memory.
pub(super) fn stage(
    plan: &Plan,
    source: &dyn Source,
    disk: &mut Disk<'_>,
) -> Result<Vec<Staged>, ApplyError> {
    let flushes = plan.writes.len() <= FEW_FILES;
    let mut staged = Vec::with_capacity(plan.writes.len());
    for (index, write) in plan.writes.iter().enumerate() {
        let rule = &plan.rules[write.rule];
        let object = source.read(&write.entry)?;
        let content = rule.content(&write.path, object, &plan.renderer);
        let content = content.map_err(|cause| ApplyError::Content {
            path: write.path.clone(),
            cause,
        })?;
        let (name, mode) = (index.to_string(), mode(&write.entry));
        staged.push(Staged {
            stat: disk.stage(&name, &content, mode, flushes)?,
            digest: Digest::of(&content),
            id: write.entry.id.clone(),
            recipe: rule.recipe(&write.path),
            name,
            mode,
        });
    }
    if !flushes {
        disk.flush_staging()?;
    }
    Ok(staged)
}
