//! What is on the gateway, kept in a file, so that a restart knows it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agent::OnDisk;
use crate::sync::Applied;

/// The name of the file in the folder of the agent.
const FILE: &str = "state.json";

/// What is on the gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    path: PathBuf,
    kept: Kept,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    /// The folder of the gateway that the rest is about.
    data: PathBuf,
    commit: String,
    #[serde(rename = "ref")]
    git_ref: String,
    /// The files that the last sync wrote.
    applied: Applied,
}

impl State {
    /// Reads the state from a folder. A state that is unusable, or of another gateway, counts as empty: the next sync
    /// then compares all files.
    pub(crate) fn open(folder: &Path, data: &Path) -> Self {
        let path = folder.join(FILE);
        let kept = std::fs::read(&path).ok();
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let kept = kept.filter(|kept| kept.data == data);
        let kept = kept.unwrap_or_else(|| Kept {
            data: data.to_owned(),
            ..Kept::default()
        });
        Self { path, kept }
    }

    /// Returns the commit and the ref whose files are on the gateway.
    pub(crate) fn on_disk(&self) -> OnDisk {
        OnDisk {
            commit: self.kept.commit.clone(),
            git_ref: self.kept.git_ref.clone(),
        }
    }

    /// Returns the files that the last sync wrote.
    pub(crate) fn applied(&self) -> &Applied {
        &self.kept.applied
    }

    /// Returns the files that the last sync wrote, for the next one to update.
    pub(crate) fn applied_mut(&mut self) -> &mut Applied {
        &mut self.kept.applied
    }

    /// Records a sync, and writes the state. A file that cannot be written costs the next start some time, and is logged.
    pub(crate) fn record(&mut self, on_disk: OnDisk) {
        self.kept.commit = on_disk.commit;
        self.kept.git_ref = on_disk.git_ref;
        if let Err(error) = self.save() {
            tracing::warn!(file = %self.path.display(), %error, "the state of the agent cannot be written");
        }
    }

    fn save(&self) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(std::io::BufWriter::new(&mut file), &self.kept)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_kept_for_the_same_folder_of_a_gateway_only() {
        let folder = tempfile::tempdir().unwrap();
        let open = |data: &str| State::open(folder.path(), Path::new(data));
        let on_disk = OnDisk {
            commit: "a".repeat(40),
            git_ref: "main".to_owned(),
        };
        let mut state = open("/data");
        assert_eq!(state.on_disk(), OnDisk::default());
        state.record(on_disk.clone());
        assert_eq!(open("/data").on_disk(), on_disk);
        assert_eq!(open("/other").on_disk(), OnDisk::default());
    }

    #[test]
    fn an_unusable_state_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\"commit\":7}").unwrap();
        let state = State::open(folder.path(), Path::new("/data"));
        assert_eq!(state.on_disk(), OnDisk::default());
    }
}
