//! The directories above the wanted files.

use std::collections::HashSet;

use super::super::live::Live;
use super::super::root::Kind;
use super::super::wanted::{Wanted, is_at_or_below};
use super::PlanError;
use super::compare::Changes;
use super::orphans::Orphans;

/// Makes sure that the directories above the wanted files are there or can be created.
pub(super) struct Parents<'a> {
    wanted: &'a Wanted,
    orphans: &'a Orphans,
    checked: HashSet<&'a str>,
    /// Where the links lead that are used as directories.
    targets: Vec<String>,
}

impl<'a> Parents<'a> {
    pub(super) fn new(wanted: &'a Wanted, orphans: &'a Orphans) -> Self {
        Self {
            wanted,
            orphans,
            checked: HashSet::new(),
            targets: Vec::new(),
        }
    }

    /// Checks the directories above a file, from the top.
    pub(super) fn check(
        &mut self,
        path: &'a str,
        live: &Live,
        changes: &mut Changes,
    ) -> Result<(), PlanError> {
        for parent in path.match_indices('/').map(|(at, _)| &path[..at]) {
            if !self.checked.insert(parent) {
                continue;
            }
            let above = parent.rsplit_once('/').map_or("", |(above, _)| above);
            if changes.cleared.contains(above) {
                changes.cleared.insert(parent.to_owned());
                continue;
            }
            let Some(stat) = live.stat(parent)? else {
                continue;
            };
            let found = match stat.kind {
                Kind::Directory => continue,
                Kind::File if self.orphans.files.contains(parent) => {
                    changes.clear(parent, false);
                    continue;
                }
                Kind::Link if self.follows(parent, live) => continue,
                Kind::Link => "a symbolic link",
                Kind::File => "a file",
                Kind::Other => "a special file",
            };
            return Err(PlanError::Blocked {
                path: parent.to_owned(),
                found,
            });
        }
        Ok(())
    }

    /// Returns whether a link can be used as a directory. It must lead to a directory inside the gateway's directory
    /// that no mapping uses by another path: two paths of one file would contradict each other.
    fn follows(&mut self, path: &str, live: &Live) -> bool {
        let Some(target) = live.target(path) else {
            return false;
        };
        let is_used = self.wanted.directories.contains(&target) || self.wanted.manages(&target);
        let overlaps =
            |other: &String| is_at_or_below(&target, other) || is_at_or_below(other, &target);
        if target.is_empty() || is_used || self.targets.iter().any(overlaps) {
            return false;
        }
        self.targets.push(target);
        true
    }
}
