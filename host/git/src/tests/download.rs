//! Tests of fetching commits from real servers, by every transport.

mod damage;
mod limited;
mod made;
mod objects;
mod packs;
mod reduced;
mod repository;
mod store;
mod unpeeled;

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::servers::{daemon, version_0, version_0_without};
use super::ssh::openssh;
use super::*;
use repository::Repository;

fn remote(url: &str) -> Remote {
    Remote::anonymous(RepoUrl::parse(url).unwrap())
}

fn wanted(commit: &CommitId, git_ref: &str) -> Wanted {
    Wanted {
        commit: commit.clone(),
        git_ref: GitRef::parse(git_ref).unwrap(),
    }
}

async fn fetch(url: &str, commit: &CommitId, store: &ObjectStore) -> Result<FetchReport, GitError> {
    client()
        .fetch(&remote(url), &wanted(commit, "main"), store)
        .await
}

/// A store in a temporary directory.
struct Stored {
    home: tempfile::TempDir,
    store: ObjectStore,
}

impl Stored {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(home.path()).unwrap();
        Self { home, store }
    }

    fn reopened(self) -> Self {
        let store = ObjectStore::open(self.home.path()).unwrap();
        Self { store, ..self }
    }

    /// Returns the files below the directory and their sizes.
    fn files(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for directory in [self.home.path().to_owned(), self.home.path().join("packs")] {
            for entry in std::fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                if entry.path() != self.home.path().join("packs") {
                    let name = entry.file_name().into_string().unwrap();
                    found.insert(name, entry.metadata().unwrap().len());
                }
            }
        }
        found
    }

    fn packs(&self) -> usize {
        self.files().keys().filter(|name| is_pack(name)).count()
    }
}

fn is_pack(name: &str) -> bool {
    name.rsplit('.').next() == Some("pack")
}

/// Returns the files of a commit in a store: their modes, as git prints them, and their contents.
fn checked_out(
    store: &ObjectStore,
    commit: &CommitId,
) -> BTreeMap<String, (&'static str, Vec<u8>)> {
    let tree = store.tree(commit).unwrap();
    let entries = tree.entries().unwrap();
    assert!(entries.is_sorted_by(|a, b| a.path < b.path));
    let file = |entry: TreeEntry| {
        let (mode, content) = match entry.kind {
            TreeEntryKind::File => ("100644", tree.read(&entry).unwrap()),
            TreeEntryKind::Executable => ("100755", tree.read(&entry).unwrap()),
            TreeEntryKind::Symlink => ("120000", tree.read(&entry).unwrap()),
            TreeEntryKind::Submodule => ("160000", entry.id.to_string().into_bytes()),
            TreeEntryKind::NotUtf8 => panic!("{} is not UTF-8", entry.path),
        };
        (entry.path, (mode, content))
    };
    entries.into_iter().map(file).collect()
}

#[tokio::test]
async fn a_commit_is_fetched_by_every_transport_and_version() {
    let repository = Repository::new().await;
    let first = repository.commit(&[("a/b", "one"), ("c", "x")]).await;
    repository.git(&["tag", "-a", "-m", "v1", "v1"]).await;
    let second = repository.commit(&[("a/b", "two"), ("d", "new")]).await;
    let third = repository.commit(&[("e", "last")]).await;
    let server = repository.serve().await;
    let (old, proxy) = version_0(&server, false).await;
    let (permissive, other_proxy) = version_0(&server, true).await;
    let without = &[
        " multi_ack_detailed",
        " ofs-delta",
        " no-progress",
        " agent=",
    ];
    let (plain, plain_proxy) = version_0_without(&server, without).await;
    let (base, daemon) = daemon(server.directory().parent().unwrap()).await;
    let git = format!("{base}/plant.git");
    for (url, commits) in [
        (server.url(), &[&first, &second, &third, &first][..]),
        (&permissive, &[&first, &second, &third, &first]),
        (&plain, &[&first, &third, &first]),
        (&git, &[&first, &second, &third, &first]),
        // Of the other commits, this server sends none by their ids.
        (&old, &[&first, &third, &first]),
    ] {
        let stored = Stored::new();
        for commit in commits {
            let is_known = stored.store.commit(commit).unwrap().is_some();
            let report = fetch(url, commit, &stored.store).await.unwrap();
            assert_eq!(report.already_there, is_known, "{url}");
            assert_eq!(report.bytes == 0, is_known, "{url}");
            let expected = repository.files(commit).await;
            assert_eq!(checked_out(&stored.store, commit), expected, "{url}");
        }
        let info = stored.store.commit(&third).unwrap().unwrap();
        assert_eq!(
            (&*info.author, &*info.summary),
            ("x <x@x.invalid>", "Change")
        );
    }
    proxy.abort();
    other_proxy.abort();
    plain_proxy.abort();
    daemon.abort();
}

#[tokio::test]
async fn a_commit_is_fetched_from_openssh() {
    let Some(program) = openssh::program() else {
        return;
    };
    let repository = Repository::new().await;
    let first = repository.commit(&[("a/b", "one"), ("c", "x")]).await;
    let second = repository.commit(&[("a/b", "two")]).await;
    let third = repository.commit(&[("a/b", "three")]).await;
    let user = openssh::user().await;
    for version_2 in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let (address, task) = openssh::start(&program, home.path(), version_2).await;
        let path = repository.directory().display().to_string();
        let url = format!("ssh://{user}@{address}{path}");
        let remote = ssh::with_key(&url, ssh::ED25519, None);
        let stored = Stored::new();
        for commit in [&third, &first, &second] {
            let asked = wanted(commit, "main");
            let outcome = client().fetch(&remote, &asked, &stored.store).await;
            if version_2 || *commit == third {
                outcome.unwrap();
                let expected = repository.files(commit).await;
                assert_eq!(checked_out(&stored.store, commit), expected);
            } else {
                let error = outcome.unwrap_err().to_string();
                let expected = format!(
                    "the git server does not send the commit {commit} by its id, and main leads to {third} now"
                );
                assert_eq!(error, expected);
            }
        }
        task.abort();
    }
}

#[tokio::test]
async fn only_what_changed_is_sent_as_git_does() {
    let repository = Repository::new().await;
    let noise = repository::noise(400_000);
    let many: Vec<_> = (0..500)
        .map(|index| format!("d{}/f{index}", index % 20))
        .collect();
    let mut files: Vec<_> = many.iter().map(|path| (&**path, &noise[..2000])).collect();
    files.push(("large", &noise));
    let first = repository.commit(&files).await;
    let changed = format!("{noise}\nOne more line.");
    let second = repository
        .commit(&[("large", &changed), ("d1/f1", "other"), ("d19/new", "new")])
        .await;
    let server = repository.serve().await;
    let stored = Stored::new();
    let whole = fetch(server.url(), &first, &stored.store).await.unwrap();
    assert!(whole.bytes > 200_000, "{whole:?}");
    let part = fetch(server.url(), &second, &stored.store).await.unwrap();
    assert_eq!(
        checked_out(&stored.store, &second),
        repository.files(&second).await
    );
    let (git_whole, git_part) = repository
        .bytes_of_git(server.url(), [&first, &second])
        .await;
    assert!(whole.bytes <= git_whole + 100, "{whole:?} {git_whole}");
    assert!(part.bytes <= git_part + 100, "{part:?} {git_part}");
    assert!(part.bytes < 10_000, "{part:?}");
}

#[tokio::test]
async fn a_forced_push_and_an_earlier_commit_are_fetched() {
    let repository = Repository::new().await;
    let first = repository.commit(&[("a", "one"), ("b", "same")]).await;
    let second = repository.commit(&[("a", "two")]).await;
    let third = repository.commit(&[("a", "one"), ("c", "x")]).await;
    let server = repository.serve().await;
    let stored = Stored::new();
    // An object of the first commit comes back: the server may not take it for known.
    for commit in [&second, &third, &first] {
        fetch(server.url(), commit, &stored.store).await.unwrap();
    }
    repository.git(&["checkout", "-q", "--orphan", "new"]).await;
    let forced = repository.commit(&[("z", "forced")]).await;
    repository.git(&["branch", "-q", "-M", "new", "main"]).await;
    fetch(server.url(), &forced, &stored.store).await.unwrap();
    for commit in [&first, &second, &third, &forced] {
        if stored.store.commit(commit).unwrap().is_some() {
            let expected = repository.files(commit).await;
            assert_eq!(checked_out(&stored.store, commit), expected);
        }
    }
    assert!(stored.store.commit(&forced).unwrap().is_some());
}

#[tokio::test]
async fn the_history_is_not_fetched_and_links_and_modes_are_kept() {
    let repository = Repository::new().await;
    let dropped = repository.commit(&[("old", "removed later")]).await;
    let old_blob = repository.id_of("HEAD:old").await;
    repository.git(&["rm", "-q", "old"]).await;
    repository.write("run.sh", "#!/bin/sh\n");
    repository.link("../run.sh", "links/run");
    repository.write("ü/ß", "text");
    repository.git(&["add", "-A"]).await;
    repository
        .git(&["update-index", "--chmod=+x", "run.sh"])
        .await;
    let module = format!("160000,{},module", "1".repeat(40));
    repository
        .git(&["update-index", "--add", "--cacheinfo", &module])
        .await;
    let commit = repository.commit_index().await;
    let server = repository.serve().await;
    let stored = Stored::new();
    fetch(server.url(), &commit, &stored.store).await.unwrap();
    let found = checked_out(&stored.store, &commit);
    assert_eq!(found, repository.files(&commit).await);
    let modes: Vec<_> = found.values().map(|(mode, _)| *mode).collect();
    assert_eq!(modes, ["120000", "160000", "100755", "100644"]);
    assert_eq!(stored.store.commit(&dropped).unwrap(), None);
    let tree = stored.store.tree(&commit).unwrap();
    let absent = TreeEntry {
        path: String::new(),
        kind: TreeEntryKind::File,
        id: ObjectId::from_hex(old_blob.as_bytes()).unwrap(),
    };
    let error = tree.read(&absent).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn a_repository_of_sha256_is_fetched() {
    let repository = Repository::with_format("sha256").await;
    let first = repository.commit(&[("a/b", "one")]).await;
    let second = repository.commit(&[("a/b", "two"), ("c", "x")]).await;
    let (base, daemon) = daemon(repository.directory().parent().unwrap()).await;
    let url = format!("{base}/r");
    let stored = Stored::new();
    for commit in [&first, &second] {
        fetch(&url, commit, &stored.store).await.unwrap();
        assert_eq!(
            checked_out(&stored.store, commit),
            repository.files(commit).await
        );
    }
    let error = fetch(&url, &id('1'), &stored.store).await.unwrap_err();
    assert!(matches!(error, GitError::CommitNotFound { .. }), "{error}");
    daemon.abort();
}

#[tokio::test]
async fn the_progress_is_shown() {
    let repository = Repository::new().await;
    let commit = repository.commit(&[("a", "one")]).await;
    let server = repository.serve().await;
    let stored = Stored::new();
    let (messages, received) = (Mutex::new(Vec::new()), Mutex::new(0));
    let report = client()
        .fetch_with_progress(
            &remote(server.url()),
            &wanted(&commit, "main"),
            &stored.store,
            &|progress| match progress {
                FetchProgress::Message(text) => messages.lock().unwrap().push(text.to_owned()),
                FetchProgress::Received(bytes) => *received.lock().unwrap() = bytes,
            },
        )
        .await
        .unwrap();
    assert_eq!(*received.lock().unwrap(), report.bytes);
    let messages = messages.into_inner().unwrap();
    assert!(
        messages.iter().any(|text| text.starts_with("Total 3")),
        "{messages:?}"
    );
}
