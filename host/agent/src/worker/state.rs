//! What is on the gateway, kept in a file, so that a restart knows it.
//!
//! The first line of the file says which commit is on which gateway. Each further line is the record of a file. The
//! records are read when they are needed, because those of many files take much memory.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stoker_api::detection::{CommitId, GitRef, RefName, RepoUrl};

use crate::agent::OnDisk;
use crate::sync::{Applied, AppliedFile};

/// The name of the file in the directory of the agent.
const FILE: &str = "state.jsonl";

/// The largest number of files for which memory is reserved. The file could say any number.
const MAX_FILES: usize = 1 << 20;

/// What is on the gateway.
#[derive(Debug, Default)]
pub(crate) struct State {
    path: PathBuf,
    header: Header,
    /// The records, if they could not be written.
    unwritten: Option<Applied>,
}

/// The first line of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    /// The directory of the gateway that the rest is about.
    data: PathBuf,
    commit: String,
    #[serde(rename = "ref")]
    git_ref: String,
    /// The number of files.
    #[serde(default)]
    count: usize,
    #[serde(default)]
    origin: Origin,
}

/// Where a commit was found. Git's ids say nothing about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    /// The address of the repository, without credentials.
    repo: String,
    /// The ref, as it is written.
    #[serde(rename = "ref")]
    git_ref: String,
}

impl Origin {
    pub(crate) fn new(repo: &RepoUrl, git_ref: &GitRef) -> Self {
        Self {
            repo: repo.to_string(),
            git_ref: git_ref.to_string(),
        }
    }

    /// Returns the ref, if it is this ref of this repository. It may be written in another way, with its full name or with
    /// the digits of an id in lower case.
    fn git_ref_of(&self, repo: &RepoUrl, git_ref: &GitRef) -> Option<GitRef> {
        let is_same = match git_ref.name() {
            RefName::Commit(id) => self.git_ref == id.as_str(),
            RefName::Bare(name) => {
                self.git_ref.strip_prefix("refs/").unwrap_or(&self.git_ref) == name
            }
            _ => self.git_ref == git_ref.as_str(),
        };
        let git_ref = GitRef::parse(&self.git_ref).ok();
        git_ref.filter(|_| is_same && self.repo == repo.to_string())
    }
}

impl State {
    /// Reads the state from a directory. A state that is unusable, or of another gateway, counts as empty: the next
    /// sync then compares all files.
    pub(crate) fn open(directory: &Path, data: &Path) -> Self {
        let path = directory.join(FILE);
        let header = read(&path).ok().map(|(header, _)| header);
        let header = header.filter(|header| header.data == data);
        let header = header.unwrap_or_else(|| Header {
            data: data.to_owned(),
            ..Header::default()
        });
        Self {
            path,
            header,
            unwritten: None,
        }
    }

    /// Returns the commit and the ref whose files are on the gateway.
    pub(crate) fn on_disk(&self) -> OnDisk {
        OnDisk {
            commit: self.header.commit.clone(),
            git_ref: self.header.git_ref.clone(),
        }
    }

    /// Returns the commit whose files are on the gateway, and its ref, if it was found by this ref of this repository.
    pub(crate) fn found_by(&self, repo: &RepoUrl, git_ref: &GitRef) -> Option<(CommitId, GitRef)> {
        let git_ref = self.header.origin.git_ref_of(repo, git_ref)?;
        let commit = CommitId::parse(&self.header.commit).ok()?;
        Some((commit, git_ref))
    }

    /// Reads the files that the last sync wrote, in the order of their paths. A record that is unusable is omitted,
    /// and so are those behind an error of the disk.
    pub(crate) fn files(&self) -> Box<dyn Iterator<Item = AppliedFile> + '_> {
        if let Some(applied) = &self.unwritten {
            return Box::new(applied.files().iter().cloned());
        }
        match read(&self.path) {
            // A disk that fails once may fail for each further line.
            Ok((header, lines)) if header == self.header => Box::new(
                lines
                    .take_while(|line| !line.as_ref().is_err_and(is_of_disk))
                    .filter_map(|line| serde_json::from_str(&line.ok()?).ok()),
            ),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Reads the record of the last sync.
    pub(crate) fn applied(&self) -> Applied {
        let mut files = Vec::with_capacity(self.header.count.min(MAX_FILES));
        files.extend(self.files());
        files.into()
    }

    /// Records a sync, and writes the state. A file that cannot be written costs the next start some time, and is logged.
    pub(crate) fn record(&mut self, on_disk: OnDisk, origin: Origin, applied: Applied) {
        self.header.commit = on_disk.commit;
        self.header.git_ref = on_disk.git_ref;
        self.header.count = applied.len();
        self.header.origin = origin;
        self.unwritten = None;
        if let Err(error) = self.save(&applied) {
            tracing::warn!(file = %self.path.display(), %error, "the state of the agent cannot be written");
            self.unwritten = Some(applied);
        }
    }

    fn save(&self, applied: &Applied) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        let mut output = BufWriter::new(&mut file);
        serde_json::to_writer(&mut output, &self.header)?;
        for file in applied.files() {
            output.write_all(b"\n")?;
            serde_json::to_writer(&mut output, file)?;
        }
        output.write_all(b"\n")?;
        output.flush()?;
        drop(output);
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// Opens a state, and returns its first line and an iterator over the others.
fn read(path: &Path) -> io::Result<(Header, io::Lines<BufReader<File>>)> {
    let mut lines = BufReader::new(File::open(path)?).lines();
    let first = lines.next().transpose()?;
    let header = serde_json::from_str(&first.unwrap_or_default())?;
    Ok((header, lines))
}

/// Returns whether an error is one of the disk, and not of a line that is not UTF-8.
fn is_of_disk(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::InvalidData
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_kept_for_the_same_directory_of_a_gateway_only() {
        let directory = tempfile::tempdir().unwrap();
        let open = |data: &str| State::open(directory.path(), Path::new(data));
        let on_disk = OnDisk {
            commit: "a".repeat(40),
            git_ref: "main".to_owned(),
        };
        let mut state = open("/data");
        assert_eq!(state.on_disk(), OnDisk::default());
        state.record(on_disk.clone(), Origin::default(), Applied::default());
        assert_eq!(open("/data").on_disk(), on_disk);
        assert_eq!(open("/other").on_disk(), OnDisk::default());
    }

    #[test]
    fn an_unusable_state_counts_as_empty() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "{\"commit\":7}").unwrap();
        let state = State::open(directory.path(), Path::new("/data"));
        assert_eq!(state.on_disk(), OnDisk::default());
    }

    #[test]
    fn a_damaged_record_does_not_hide_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let record = |path: &str| {
            let file = serde_json::json!({
                "path": path, "mode": 0o644, "digest": "0".repeat(64), "id": "a".repeat(40),
                "stat": {"kind": "File", "size": 1, "mode": 0o644, "inode": 1, "modified": 1, "changed": 1},
            });
            serde_json::from_value::<AppliedFile>(file).unwrap()
        };
        let mut state = State::open(directory.path(), Path::new("/data"));
        let files = ["a", "b", "c"].map(record).to_vec();
        state.record(OnDisk::default(), Origin::default(), files.into());
        let path = directory.path().join(FILE);
        for damage in [0xff, b'x'] {
            let mut bytes = std::fs::read(&path).unwrap();
            let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            bytes[second] = damage;
            std::fs::write(&path, bytes).unwrap();
            let found: Vec<_> = state.files().collect();
            assert_eq!(found, ["b", "c"].map(record));
        }
    }

    #[test]
    fn records_that_cannot_be_written_are_kept_in_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let on_disk = |commit: &str| OnDisk {
            commit: commit.to_owned(),
            git_ref: "main".to_owned(),
        };
        let record = |path: &str| -> Applied {
            let file = serde_json::json!({
                "path": path, "mode": 0o644, "digest": "0".repeat(64), "id": "a".repeat(40),
                "stat": {"kind": "File", "size": 1, "mode": 0o644, "inode": 1, "modified": 1, "changed": 1},
            });
            vec![serde_json::from_value::<AppliedFile>(file).unwrap()].into()
        };
        let files = State::applied;
        let mut state = State::open(&path, Path::new("/data"));
        state.record(on_disk("1"), Origin::default(), record("a"));
        assert_eq!(
            (state.on_disk(), files(&state)),
            (on_disk("1"), record("a"))
        );
        assert_eq!(
            files(&State::open(&path, Path::new("/data"))),
            Applied::default()
        );
        // The next record replaces it, and leaves the memory when it can be written.
        state.record(on_disk("2"), Origin::default(), record("b"));
        assert_eq!(
            (state.on_disk(), files(&state)),
            (on_disk("2"), record("b"))
        );
        std::fs::create_dir(&path).unwrap();
        state.record(on_disk("3"), Origin::default(), record("c"));
        assert_eq!(state.unwritten, None);
        for state in [&state, &State::open(&path, Path::new("/data"))] {
            assert_eq!((state.on_disk(), files(state)), (on_disk("3"), record("c")));
        }
    }

    #[test]
    fn the_commit_is_that_of_one_ref_of_one_repository() {
        const URL: &str = "https://user:secret@git.example/o/r.git";
        const OTHER: &str = "https://git.example/o/other.git";
        let directory = tempfile::tempdir().unwrap();
        let id = "ab".repeat(20);
        let on_disk = OnDisk {
            commit: "c".repeat(40),
            git_ref: "main".to_owned(),
        };
        for (recorded, repo, git_ref, is_known) in [
            ("main", URL, "main", true),
            ("main", OTHER, "main", false),
            ("main", URL, "next", false),
            ("main", URL, "refs/heads/main", false),
            ("refs/heads/main", URL, "heads/main", true),
            ("refs/heads/main", URL, "main", false),
            (&id, URL, &id.to_uppercase(), true),
            (&id, URL, &"cd".repeat(20), false),
        ] {
            let parsed = |repo: &str| RepoUrl::parse(repo).unwrap();
            let mut state = State::open(directory.path(), Path::new("/data"));
            let recorded = GitRef::parse(recorded).unwrap();
            let origin = Origin::new(&parsed(URL), &recorded);
            state.record(on_disk.clone(), origin, Applied::default());
            let state = State::open(directory.path(), Path::new("/data"));
            let found = state.found_by(&parsed(repo), &GitRef::parse(git_ref).unwrap());
            let expected = (CommitId::parse(&on_disk.commit).unwrap(), recorded);
            assert_eq!(found, is_known.then_some(expected), "{repo} {git_ref}");
        }
        let text = std::fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert!(!text.contains("secret"), "{text}");
    }
}
