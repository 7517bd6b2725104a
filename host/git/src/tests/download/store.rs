//! Tests of the store that several fetches use.

use std::task::Poll;

use super::*;

#[tokio::test]
async fn a_known_commit_needs_no_server() {
    let repository = Repository::new().await;
    let first = repository.commit(&[("a", "one"), ("b", "same")]).await;
    let second = repository.commit(&[("a", "two")]).await;
    let server = repository.serve().await;
    let mut stored = Stored::new();
    fetch(server.url(), &first, &stored.store).await.unwrap();
    fetch(server.url(), &second, &stored.store).await.unwrap();
    drop(server);
    for _ in 0..2 {
        for commit in [&first, &second] {
            let report = fetch("http://127.0.0.1:1/r", commit, &stored.store).await;
            assert!(report.unwrap().already_there);
        }
        stored = stored.reopened();
    }
    let error = fetch("http://127.0.0.1:1/r", &id('1'), &stored.store).await;
    assert!(matches!(error, Err(GitError::Unreachable { .. })));
    assert_eq!(stored.store.commit(&id('1')).unwrap(), None);
    let error = stored.store.tree(&id('1')).unwrap_err();
    assert!(matches!(error, StoreError::NoCommit { .. }), "{error}");
}

#[tokio::test]
async fn a_fetch_waits_for_another_one_into_the_same_store() {
    let repository = Repository::new().await;
    let commit = repository.commit(&[("a", "one")]).await;
    let server = repository.serve().await;
    let stored = Stored::new();
    let lock = stored.store.lock_for_fetch().await;
    let mut fetching = std::pin::pin!(fetch(server.url(), &commit, &stored.store));
    // The first poll starts the fetch, which stops at the lock.
    let first = std::future::poll_fn(|context| Poll::Ready(fetching.as_mut().poll(context)));
    assert!(first.await.is_pending());
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut fetching).await;
    assert!(early.is_err());
    assert_eq!(server.requests(), 0);
    drop(lock);
    assert!(!fetching.await.unwrap().already_there);
}

#[tokio::test]
async fn the_packs_of_a_store_are_bounded() {
    let repository = Repository::new().await;
    let noise = repository::noise(60_000);
    let server = repository.serve().await;
    let stored = Stored::new();
    let mut sizes = Vec::new();
    let mut last = None;
    for index in 0..36 {
        let name = format!("f{index}");
        let commit = repository
            .commit(&[("large", &noise), (&name, &name)])
            .await;
        fetch(server.url(), &commit, &stored.store).await.unwrap();
        sizes.push(stored.packs());
        last = Some(commit);
    }
    // A pack for each commit, until everything is fetched anew.
    let expected: Vec<_> = (1..=33).chain(1..=3).collect();
    assert_eq!(sizes, expected);
    let commit = last.unwrap();
    assert_eq!(
        checked_out(&stored.store, &commit),
        repository.files(&commit).await
    );
    assert_eq!(stored.files().len(), 3 * 2 + 1);
}
