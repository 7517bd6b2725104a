//! Writes all changed files to the staging directory.

use super::super::applied::AppliedFile;
use super::super::digest::Digest;
use super::super::plan::{Plan, mode};
use super::ApplyError;
use super::disk::{Disk, NewFile};
use crate::source::Source;

/// Up to this number, files are flushed one by one. Flushing the file system is faster for more.
const FEW_FILES: usize = 32;

/// Writes the files in the order of the plan, and returns their records. The name of each file is its position. One
/// content at a time is in memory.
pub(super) fn stage(
    plan: &Plan,
    source: &dyn Source,
    disk: &mut Disk<'_>,
) -> Result<Vec<AppliedFile>, ApplyError> {
    let flushes = plan.writes.len() <= FEW_FILES;
    let mut staged = Vec::with_capacity(plan.writes.len());
    for (index, write) in plan.writes.iter().enumerate() {
        let rule = &plan.rules[write.file.rule];
        let entry = &plan.entries[write.file.entry];
        let object = source.read(entry)?;
        let content = rule.content(&write.path, object, &plan.renderer);
        let content = content.map_err(|cause| ApplyError::Content {
            path: write.path.to_string(),
            cause,
        })?;
        let mode = mode(entry);
        let file = NewFile {
            path: &write.path,
            content: &content,
            mode,
            flushes,
        };
        staged.push(AppliedFile {
            path: write.path.clone(),
            stat: disk.stage(&index.to_string(), &file)?,
            digest: Digest::of(&content),
            id: entry.id,
            recipe: rule.recipe(&write.path),
            mode,
        });
    }
    if !flushes {
        disk.flush_staging()?;
    }
    Ok(staged)
}
