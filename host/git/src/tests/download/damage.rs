//! Tests of stores that are damaged, interrupted or old.

use super::*;

/// A repository with two commits, the second of which is in a store.
async fn with_second() -> (Repository, GitServer, Stored, [CommitId; 2]) {
    let repository = Repository::new().await;
    let noise = repository::noise(20_000);
    let first = repository.commit(&[("a", "one"), ("noise", &noise)]).await;
    let second = repository.commit(&[("a", "two")]).await;
    let server = repository.serve().await;
    let stored = Stored::new();
    fetch(server.url(), &second, &stored.store).await.unwrap();
    (repository, server, stored, [first, second])
}

#[tokio::test]
async fn what_an_interrupted_fetch_left_is_removed() {
    let (_repository, _server, stored, [_, second]) = with_second().await;
    let before = stored.files();
    let home = stored.home.path();
    std::fs::create_dir(home.join("incoming-abc")).unwrap();
    std::fs::write(home.join("incoming-abc/pack"), "PACK").unwrap();
    std::fs::write(home.join("incoming-def"), "stoker object store 1\n").unwrap();
    let unnamed = format!("pack-{}", "0".repeat(40));
    for extension in ["pack", "idx"] {
        std::fs::write(home.join(format!("packs/{unnamed}.{extension}")), "x").unwrap();
    }
    std::fs::write(home.join("notes"), "not of the store").unwrap();
    let stored = stored.reopened();
    let mut expected = before;
    expected.insert("notes".to_owned(), 16);
    assert_eq!(stored.files(), expected);
    assert!(stored.store.commit(&second).unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_emptied_and_filled_again() {
    for damage in 0..5 {
        let (repository, server, stored, [_, second]) = with_second().await;
        let home = stored.home.path().to_owned();
        let files = stored.files();
        let named = |end: &str| {
            let name = files.keys().find(|name| name.ends_with(end)).unwrap();
            home.join("packs").join(name)
        };
        match damage {
            0 => std::fs::write(home.join("contents"), "stoker object store 0\n").unwrap(),
            1 => std::fs::write(home.join("contents"), [0xff, 0xfe]).unwrap(),
            2 => std::fs::remove_file(named(".pack")).unwrap(),
            3 => std::fs::remove_file(named(".idx")).unwrap(),
            _ => {
                let pack = std::fs::File::options().append(true).open(named(".pack"));
                pack.unwrap().set_len(100).unwrap();
            }
        }
        let stored = stored.reopened();
        assert_eq!(stored.packs(), 0, "{damage}");
        assert_eq!(stored.store.commit(&second).unwrap(), None, "{damage}");
        let report = fetch(server.url(), &second, &stored.store).await.unwrap();
        assert!(!report.already_there, "{damage}");
        assert_eq!(
            checked_out(&stored.store, &second),
            repository.files(&second).await
        );
    }
}

#[tokio::test]
async fn a_damaged_object_is_noticed_and_fetched_again() {
    let (repository, server, stored, [first, second]) = with_second().await;
    for wanted in [&second, &first] {
        let files = stored.files();
        let name = files.keys().rfind(|name| is_pack(name)).unwrap();
        let path = stored.home.path().join("packs").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        let reopened = ObjectStore::open(stored.home.path()).unwrap();
        let tree = reopened.tree(&second).unwrap();
        let entries = tree.entries().unwrap();
        let noise = entries.iter().find(|entry| entry.path == "noise").unwrap();
        let error = tree.read(noise).unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
        let report = fetch(server.url(), wanted, &reopened).await.unwrap();
        assert!(!report.already_there);
        assert_eq!(
            checked_out(&reopened, wanted),
            repository.files(wanted).await
        );
        fetch(server.url(), &second, &reopened).await.unwrap();
        assert_eq!(
            checked_out(&reopened, &second),
            repository.files(&second).await
        );
    }
}

#[tokio::test]
async fn a_pack_that_is_gone_is_fetched_again() {
    let (repository, server, stored, [_, second]) = with_second().await;
    let packs = stored.home.path().join("packs");
    std::fs::remove_dir_all(&packs).unwrap();
    std::fs::create_dir(&packs).unwrap();
    assert!(stored.store.commit(&second).is_err());
    let report = fetch(server.url(), &second, &stored.store).await.unwrap();
    assert!(!report.already_there);
    let found = checked_out(&stored.store, &second);
    assert_eq!(found, repository.files(&second).await);
}

#[tokio::test]
async fn a_pack_that_cannot_be_opened_now_is_kept() {
    let (repository, server, stored, [_, second]) = with_second().await;
    let files = stored.files();
    let packs = stored.home.path().join("packs");
    let aside = stored.home.path().join("aside");
    for name in files.keys().filter(|name| name.starts_with("pack-")) {
        std::fs::rename(packs.join(name), &aside).unwrap();
        // A link to itself cannot be opened, even by root.
        std::os::unix::fs::symlink(name, packs.join(name)).unwrap();
        for outcome in [
            stored.store.tree(&second).map(drop),
            ObjectStore::open(stored.home.path()).map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, StoreError::Io { .. }), "{name}: {error}");
        }
        let other = id('f');
        let error = fetch(server.url(), &other, &stored.store).await;
        let error = error.unwrap_err();
        assert!(matches!(error, GitError::Store(_)), "{name}: {error}");
        std::fs::remove_file(packs.join(name)).unwrap();
        std::fs::rename(&aside, packs.join(name)).unwrap();
    }
    assert_eq!(stored.files(), files);
    let report = fetch(server.url(), &second, &stored.store).await.unwrap();
    assert!(report.already_there);
    assert_eq!(
        checked_out(&stored.store, &second),
        repository.files(&second).await
    );
}

#[tokio::test]
async fn the_files_of_a_commit_stay_readable_while_another_fetch_replaces_its_pack() {
    let (repository, server, stored, [_, second]) = with_second().await;
    let tree = stored.store.tree(&second).unwrap();
    repository.git(&["checkout", "-q", "--orphan", "new"]).await;
    repository.git(&["rm", "-q", "-r", "-f", "."]).await;
    let other = repository.commit(&[("z", "other")]).await;
    fetch(server.url(), &other, &stored.store).await.unwrap();
    assert_eq!(stored.store.commit(&second).unwrap(), None);
    assert_eq!(stored.packs(), 1);
    for entry in tree.entries().unwrap() {
        tree.read(&entry).unwrap();
    }
}
