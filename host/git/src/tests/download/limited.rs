//! Tests of servers that permit or support less than others.

use super::super::servers::{version_0, version_0_without};
use super::*;

#[tokio::test]
async fn a_commit_is_fetched_from_a_server_without_large_side_bands() {
    let repository = Repository::new().await;
    let noise = repository::noise(200_000);
    let first = repository.commit(&[("a/b", "one"), ("c", &noise)]).await;
    repository.git(&["tag", "-a", "-m", "v1", "v1"]).await;
    let second = repository.commit(&[("a/b", "two"), ("d", "new")]).await;
    let server = repository.serve().await;
    for hidden in [
        &[" side-band-64k"][..],
        &[" side-band side-band-64k"],
        &[" side-band side-band-64k", " shallow"],
    ] {
        let (url, proxy) = version_0_without(&server, hidden).await;
        assert_eq!(*resolve(&url, "v1").await.unwrap().commit(), first);
        let stored = Stored::new();
        for commit in [&first, &second] {
            let report = fetch(&url, commit, &stored.store).await.unwrap();
            assert!(report.bytes > 0, "{hidden:?}");
            let expected = repository.files(commit).await;
            assert_eq!(checked_out(&stored.store, commit), expected, "{hidden:?}");
        }
        let small = FetchLimits {
            pack_bytes: 100_000,
            ..FetchLimits::default()
        };
        let client = GitClient::with_config(GitClientConfig {
            fetch: small,
            ..GitClientConfig::default()
        })
        .unwrap();
        let asked = wanted(&second, "main");
        let outcome = client
            .fetch(&remote(&url), &asked, &Stored::new().store)
            .await;
        assert!(
            matches!(outcome, Err(GitError::TooLarge { .. })),
            "{outcome:?}"
        );
        proxy.abort();
    }
}

#[tokio::test]
async fn the_commit_of_a_hidden_ref_is_fetched_by_version_0_where_the_server_permits_it() {
    let repository = Repository::new().await;
    let second = repository.commit(&[("a", "two")]).await;
    repository.commit(&[("a", "three")]).await;
    let server = repository.serve().await;
    server
        .set_ref("refs/hidden/a", second.as_str())
        .await
        .unwrap();
    for (key, value) in [
        ("uploadpack.allowAnySHA1InWant", "false"),
        ("uploadpack.allowTipSHA1InWant", "true"),
        ("uploadpack.hideRefs", "refs/hidden"),
    ] {
        super::super::servers::run(server.directory(), &["config", key, value]).await;
    }
    let (url, proxy) = version_0(&server, true).await;
    let stored = Stored::new();
    fetch(&url, &second, &stored.store).await.unwrap();
    assert_eq!(
        checked_out(&stored.store, &second),
        repository.files(&second).await
    );
    let error = fetch(&url, &id('1'), &stored.store).await.unwrap_err();
    assert!(matches!(error, GitError::CommitNotFound { .. }), "{error}");
    proxy.abort();
}

#[tokio::test]
async fn a_moved_branch_is_named_where_the_server_sends_no_ids() {
    let repository = Repository::new().await;
    let first = repository.commit(&[("a", "one")]).await;
    let second = repository.commit(&[("a", "two")]).await;
    let server = repository.serve().await;
    let (old, proxy) = version_0(&server, false).await;
    let stored = Stored::new();
    for (url, git_ref, expected) in [
        (
            &*old,
            "main",
            format!(
                "the git server does not send the commit {first} by its id, and main leads to {second} now"
            ),
        ),
        (
            &*old,
            "v7",
            format!(
                "ref \"v7\" not found in remote {old}: the repository has no tag and no branch v7"
            ),
        ),
        (
            &*old,
            first.as_str(),
            format!(
                "the commit {first} cannot be verified: no ref points to it, and the git server does not support version 2 of git's protocol; use a tag or a branch"
            ),
        ),
    ] {
        let outcome = client()
            .fetch(&remote(url), &wanted(&first, git_ref), &stored.store)
            .await;
        assert_eq!(outcome.unwrap_err().to_string(), expected);
    }
    let missing = id('1');
    let error = fetch(server.url(), &missing, &stored.store)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the git server does not send the commit {missing} by its id, and main leads to {second} now"
        )
    );
    assert!(stored.files().is_empty());
    proxy.abort();
}
