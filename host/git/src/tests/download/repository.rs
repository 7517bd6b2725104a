//! A repository with a work tree, managed by the `git` program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stoker_api::detection::CommitId;
use stoker_local_cluster::GitServer;

use super::super::servers::run;

/// A repository with a work tree. `main` is its branch.
pub(crate) struct Repository {
    home: tempfile::TempDir,
}

impl Repository {
    pub(crate) async fn new() -> Self {
        Self::with_format("sha1").await
    }

    pub(crate) async fn with_format(format: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let format = format!("--object-format={format}");
        run(home.path(), &["init", "-q", "-b", "main", &format, "r"]).await;
        Self { home }
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.home.path().join("r")
    }

    /// Serves the objects and refs of the repository over http, as they are now and later.
    pub(crate) async fn serve(&self) -> GitServer {
        let server = GitServer::start().await.unwrap();
        for name in ["objects", "refs"] {
            let to = server.directory().join(name);
            std::fs::remove_dir_all(&to).unwrap();
            std::os::unix::fs::symlink(self.directory().join(".git").join(name), to).unwrap();
        }
        server
    }

    pub(crate) async fn git(&self, arguments: &[&str]) -> Vec<u8> {
        run(&self.directory(), arguments).await
    }

    pub(crate) async fn id_of(&self, name: &str) -> String {
        let id = self.git(&["rev-parse", name]).await;
        String::from_utf8(id).unwrap().trim().to_owned()
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.directory().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        let path = self.directory().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Commits files, besides those that are there.
    pub(crate) async fn commit(&self, files: &[(&str, &str)]) -> CommitId {
        for (path, content) in files {
            self.write(path, content);
        }
        self.git(&["add", "-A"]).await;
        self.commit_index().await
    }

    pub(crate) async fn commit_index(&self) -> CommitId {
        self.git(&["commit", "-q", "--allow-empty", "-m", "Change"])
            .await;
        CommitId::parse(&self.id_of("HEAD").await).unwrap()
    }

    /// Returns the files of a commit with their modes and contents, as git prints them.
    pub(crate) async fn files(
        &self,
        commit: &CommitId,
    ) -> BTreeMap<String, (&'static str, Vec<u8>)> {
        let listed = self.git(&["ls-tree", "-r", "-z", commit.as_str()]).await;
        let mut found = BTreeMap::new();
        for line in String::from_utf8(listed).unwrap().split_terminator('\0') {
            let (head, path) = line.split_once('\t').unwrap();
            let mut words = head.split(' ');
            let mode = ["100644", "100755", "120000", "160000"]
                .into_iter()
                .find(|mode| head.starts_with(mode))
                .unwrap();
            let id = words.nth(2).unwrap();
            let content = if mode == "160000" {
                id.as_bytes().to_vec()
            } else {
                self.git(&["cat-file", "blob", id]).await
            };
            found.insert(path.to_owned(), (mode, content));
        }
        found
    }

    /// Returns the sizes of the packs that git gets when it fetches these commits one after the other.
    pub(crate) async fn bytes_of_git(&self, url: &str, commits: [&CommitId; 2]) -> (u64, u64) {
        let home = tempfile::tempdir().unwrap();
        run(home.path(), &["init", "-q", "--bare", "r"]).await;
        let directory = home.path().join("r");
        let mut sizes = Vec::new();
        for commit in commits {
            let trace = home.path().join(format!("trace-{commit}"));
            let arguments = ["-c", "fetch.unpackLimit=1", "fetch", "-q", "--depth=1", url];
            let fetched = super::super::servers::git(&directory)
                .args(arguments)
                .arg(format!("{commit}:refs/heads/{commit}"))
                .env("GIT_TRACE_PACKFILE", &trace)
                .status()
                .await
                .unwrap();
            assert!(fetched.success());
            sizes.push(size(Path::new(&trace)));
        }
        (sizes[0], sizes[1])
    }
}

/// Returns text that cannot be compressed well, and is always the same.
pub(crate) fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap_or_default())
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn size(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}
