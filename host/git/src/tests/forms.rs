//! Tests of every form of a ref against a real repository.

use super::*;

/// A repository with three commits on `main`, and the objects of its names.
struct Site {
    server: GitServer,
    first: CommitId,
    second: CommitId,
    third: CommitId,
}

impl Site {
    async fn new() -> Self {
        let server = GitServer::start().await.unwrap();
        let first = server.commit("main", "One").await.unwrap();
        let second = server.commit("main", "Two").await.unwrap();
        let third = server.commit("main", "Three").await.unwrap();
        server
            .set_ref("refs/tags/light", first.as_str())
            .await
            .unwrap();
        server.annotate("annotated", second.as_str()).await.unwrap();
        server
            .annotate("nested", "refs/tags/annotated")
            .await
            .unwrap();
        server
            .set_ref("refs/tags/both", first.as_str())
            .await
            .unwrap();
        server
            .set_ref("refs/heads/both", second.as_str())
            .await
            .unwrap();
        server
            .set_ref("refs/tags/light.1", third.as_str())
            .await
            .unwrap();
        server
            .set_ref("refs/pull/7/head", second.as_str())
            .await
            .unwrap();
        server
            .set_ref("refs/heads/feature/x", second.as_str())
            .await
            .unwrap();
        Self {
            server,
            first,
            second,
            third,
        }
    }

    async fn resolve(&self, git_ref: &str) -> Result<ResolvedRef, GitError> {
        resolve(self.server.url(), git_ref).await
    }
}

#[tokio::test]
async fn each_form_leads_to_its_commit() {
    let site = Site::new().await;
    let (first, second, third) = (&site.first, &site.second, &site.third);
    for (git_ref, commit, kind, full_name) in [
        ("main", third, RefKind::Branch, "refs/heads/main"),
        ("feature/x", second, RefKind::Branch, "refs/heads/feature/x"),
        ("light", first, RefKind::Tag, "refs/tags/light"),
        ("annotated", second, RefKind::Tag, "refs/tags/annotated"),
        ("nested", second, RefKind::Tag, "refs/tags/nested"),
        ("both", first, RefKind::Tag, "refs/tags/both"),
        ("heads/both", second, RefKind::Branch, "refs/heads/both"),
        (
            "tags/annotated",
            second,
            RefKind::Tag,
            "refs/tags/annotated",
        ),
        (
            "refs/heads/both",
            second,
            RefKind::Branch,
            "refs/heads/both",
        ),
        ("refs/tags/both", first, RefKind::Tag, "refs/tags/both"),
        (
            "refs/pull/7/head",
            second,
            RefKind::Other,
            "refs/pull/7/head",
        ),
        ("HEAD", third, RefKind::Branch, "refs/heads/main"),
    ] {
        let found = site.resolve(git_ref).await.unwrap();
        assert_eq!(
            (found.commit(), found.kind(), found.full_name()),
            (commit, kind, Some(full_name)),
            "{git_ref}"
        );
    }
}

#[tokio::test]
async fn a_name_that_a_branch_and_a_tag_share_is_reported_where_one_of_them_is_meant() {
    let site = Site::new().await;
    for (git_ref, is_shared) in [
        ("refs/heads/both", true),
        ("refs/tags/both", true),
        ("heads/both", true),
        ("tags/both", true),
        ("both", false),
        ("refs/heads/main", false),
        ("refs/tags/light", false),
        ("heads/feature/x", false),
        ("HEAD", false),
    ] {
        let found = site.resolve(git_ref).await.unwrap();
        assert_eq!(found.is_short_name_shared(), is_shared, "{git_ref}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let site = Site::new().await;
    for (git_ref, text) in [
        ("ligh", "the repository has no tag and no branch ligh"),
        (
            "2222d8f",
            "the repository has no tag and no branch 2222d8f; write the full id of 40 or 64 digits if 2222d8f is the beginning of a commit's id",
        ),
        ("facade", "the repository has no tag and no branch facade"),
        ("refs/tags/main", "the repository has no tag main"),
        ("refs/heads/light", "the repository has no branch light"),
        (
            "refs/pull/8/head",
            "the repository has no ref refs/pull/8/head",
        ),
        (
            "pull/7/head",
            "the repository has no tag and no branch pull/7/head; write refs/pull/7/head for the ref of this name",
        ),
    ] {
        let error = site.resolve(git_ref).await.unwrap_err();
        assert!(matches!(error, GitError::RefNotFound { .. }));
        let url = site.server.url();
        let expected = format!("ref {git_ref:?} not found in remote {url}: {text}");
        assert_eq!(error.to_string(), expected);
    }
    let url = site.server.url().replace("plant", "other");
    let error = resolve(&url, "main").await.unwrap_err();
    assert!(
        matches!(error, GitError::RepositoryNotFound { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn the_id_of_a_commit_is_verified() {
    let site = Site::new().await;
    for commit in [&site.first, &site.second, &site.third] {
        let found = site.resolve(commit.as_str()).await.unwrap();
        assert_eq!(
            (found.commit(), found.kind(), found.full_name()),
            (commit, RefKind::Commit, None)
        );
    }
    let upper = site.second.as_str().to_ascii_uppercase();
    assert_eq!(site.resolve(&upper).await.unwrap().commit(), &site.second);
    for absent in ["1".repeat(40), "1".repeat(64)] {
        let error = site.resolve(&absent).await.unwrap_err();
        assert!(matches!(error, GitError::CommitNotFound { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_id_of_anything_else_is_refused() {
    let site = Site::new().await;
    let tagged = format!("an annotated tag of {}", site.second);
    for (target, what) in [
        ("refs/tags/annotated", tagged.as_str()),
        ("refs/tags/nested", &tagged),
        ("main^{tree}", "a directory"),
        ("main:README.md", "a file"),
    ] {
        let id = site.server.id_of(target).await.unwrap();
        let error = site.resolve(id.as_str()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{id} is not a commit but {what}")
        );
    }
}

#[tokio::test]
async fn a_name_that_leads_to_no_commit_is_an_error() {
    let site = Site::new().await;
    let server = &site.server;
    let tree = server.id_of("main^{tree}").await.unwrap();
    let blob = server.id_of("main:README.md").await.unwrap();
    server.annotate("tree", "main^{tree}").await.unwrap();
    server.annotate("blob", "main:README.md").await.unwrap();
    server
        .annotate("nested-tree", "refs/tags/tree")
        .await
        .unwrap();
    for (name, id) in [
        ("refs/tags/light-tree", &tree),
        ("refs/tags/light-blob", &blob),
        ("refs/notes/tree", &tree),
    ] {
        server.set_ref(name, id.as_str()).await.unwrap();
    }
    let client = client();
    for (git_ref, full_name, id, found) in [
        ("tree", "refs/tags/tree", &tree, "a directory"),
        ("blob", "refs/tags/blob", &blob, "a file"),
        ("nested-tree", "refs/tags/nested-tree", &tree, "a directory"),
        ("light-tree", "refs/tags/light-tree", &tree, "a directory"),
        (
            "refs/tags/light-blob",
            "refs/tags/light-blob",
            &blob,
            "a file",
        ),
        ("refs/notes/tree", "refs/notes/tree", &tree, "a directory"),
    ] {
        // The second lookup finds the server's capabilities in the cache.
        for _ in 0..2 {
            let error = resolve_by(&client, server.url(), git_ref)
                .await
                .unwrap_err();
            let expected = format!("{full_name} leads to {id}, which is not a commit but {found}");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[tokio::test]
async fn each_commit_of_a_tag_is_verified_once() {
    let site = Site::new().await;
    let server = &site.server;
    let client = client();
    for (target, requests) in [(&site.first, 3), (&site.first, 1), (&site.second, 2)] {
        server
            .set_ref("refs/tags/stable", target.as_str())
            .await
            .unwrap();
        let before = server.requests();
        let found = resolve_by(&client, server.url(), "stable").await.unwrap();
        assert_eq!(found.commit(), target);
        assert_eq!(server.requests() - before, requests);
    }
    // This is an annotated tag of a known commit.
    let before = server.requests();
    let found = resolve_by(&client, server.url(), "nested").await.unwrap();
    assert_eq!(found.commit(), &site.second);
    assert_eq!(server.requests() - before, 1);
}

#[tokio::test]
async fn no_result_comes_from_an_earlier_lookup() {
    let site = Site::new().await;
    let client = client();
    let before = site.server.requests();
    assert_eq!(
        resolve_by(&client, site.server.url(), "main")
            .await
            .unwrap()
            .commit(),
        &site.third
    );
    assert_eq!(site.server.requests() - before, 2);
    let fourth = site.server.commit("main", "Four").await.unwrap();
    assert_eq!(
        resolve_by(&client, site.server.url(), "main")
            .await
            .unwrap()
            .commit(),
        &fourth
    );
    assert_eq!(
        site.server.requests() - before,
        3,
        "the capabilities of the server are known"
    );
    site.server.delete_ref("refs/tags/both").await.unwrap();
    assert_eq!(
        resolve_by(&client, site.server.url(), "both")
            .await
            .unwrap()
            .kind(),
        RefKind::Branch
    );
}

#[tokio::test]
async fn an_empty_repository_has_no_head() {
    let server = GitServer::start().await.unwrap();
    let error = resolve(server.url(), "HEAD").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with(": the repository has no HEAD that leads to a commit"),
        "{text}"
    );
    assert!(matches!(
        resolve(server.url(), "main").await,
        Err(GitError::RefNotFound { .. })
    ));
}

#[tokio::test]
async fn names_with_unusual_characters_are_found() {
    let server = GitServer::start().await.unwrap();
    let commit = server.commit("main", "One").await.unwrap();
    for name in [
        "feature/größe+β",
        "release@2026",
        "user/#42",
        "fix/100%25",
        "refs-heads",
        "tags/x",
        "heads/main",
        "v1.0.0+build.7",
        "a.b.c",
        "日本語/枝",
        "x@y",
    ] {
        let full_name = format!("refs/heads/{name}");
        server.set_ref(&full_name, commit.as_str()).await.unwrap();
        for git_ref in [name, &full_name] {
            let found = resolve(server.url(), git_ref).await.unwrap();
            assert_eq!(found.full_name(), Some(full_name.as_str()));
        }
    }
}

#[tokio::test]
async fn a_tag_that_was_moved_leads_to_its_new_commit() {
    let server = GitServer::start().await.unwrap();
    let client = client();
    for message in ["One", "Two"] {
        let commit = server.commit("main", message).await.unwrap();
        server
            .set_ref("refs/tags/stable", commit.as_str())
            .await
            .unwrap();
        let found = resolve_by(&client, server.url(), "stable").await.unwrap();
        assert_eq!(found.commit(), &commit);
    }
}
