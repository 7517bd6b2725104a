//! Tests of a real repository over old versions, redirects, `git:`, and with other object formats.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::fake::{Fake, listen, redirect};
use super::servers::{daemon, run, version_0};
use super::*;

#[tokio::test]
async fn a_server_of_version_0_is_understood() {
    let server = GitServer::start().await.unwrap();
    let first = server.commit("main", "One").await.unwrap();
    server.annotated_tag("v1").await.unwrap();
    server.annotate("v2", "refs/tags/v1").await.unwrap();
    let second = server.commit("main", "Two").await.unwrap();
    server.commit("main", "Three").await.unwrap();
    server
        .set_ref("refs/heads/other", second.as_str())
        .await
        .unwrap();
    let tag = server.id_of("v1").await.unwrap();
    let (url, task) = version_0(&server, false).await;
    for (name, commit, kind) in [
        ("v1", &first, RefKind::Tag),
        ("v2", &first, RefKind::Tag),
        ("refs/heads/other", &second, RefKind::Branch),
        (first.as_str(), &first, RefKind::Commit),
        (second.as_str(), &second, RefKind::Commit),
    ] {
        let found = resolve(&url, name).await.unwrap();
        assert_eq!((found.commit(), found.kind()), (commit, kind), "{name}");
    }
    assert_eq!(
        resolve(&url, "HEAD").await.unwrap().full_name(),
        Some("refs/heads/main")
    );
    assert!(matches!(
        resolve(&url, "v").await,
        Err(GitError::RefNotFound { .. })
    ));
    assert!(matches!(
        resolve(&url, tag.as_str()).await,
        Err(GitError::NotACommit { .. })
    ));
    assert!(matches!(
        resolve(&url, id('1').as_str()).await,
        Err(GitError::CommitUnverifiable { .. })
    ));
    task.abort();
}

#[tokio::test]
async fn a_commit_that_no_ref_points_to_is_verified_by_version_0_where_the_server_permits_it() {
    let server = GitServer::start().await.unwrap();
    let first = server.commit("main", "One").await.unwrap();
    server.commit("main", "Two").await.unwrap();
    let (permissive, proxy) = version_0(&server, true).await;
    let found = resolve(&permissive, first.as_str()).await.unwrap();
    assert_eq!((found.commit(), found.kind()), (&first, RefKind::Commit));
    let error = resolve(&permissive, id('1').as_str()).await.unwrap_err();
    assert!(matches!(error, GitError::CommitNotFound { .. }), "{error}");
    proxy.abort();
    let (strict, proxy) = version_0(&server, false).await;
    let error = resolve(&strict, first.as_str()).await.unwrap_err();
    assert!(
        matches!(error, GitError::CommitUnverifiable { .. }),
        "{error}"
    );
    proxy.abort();
}

#[tokio::test]
async fn several_refs_need_one_list_by_every_transport() {
    let server = GitServer::start().await.unwrap();
    let first = server.commit("main", "One").await.unwrap();
    server.annotated_tag("v1").await.unwrap();
    server.annotate("tree", "main^{tree}").await.unwrap();
    let second = server.commit("main", "Two").await.unwrap();
    let third = server.commit("main", "Three").await.unwrap();
    server.annotated_tag("v3").await.unwrap();
    let (old, proxy) = version_0(&server, true).await;
    let (base, daemon) = daemon(server.directory().parent().unwrap()).await;
    let names = [
        "main",
        "v1",
        "none",
        second.as_str(),
        "tree",
        "v3",
        first.as_str(),
        "HEAD",
    ];
    let refs = names.map(|name| GitRef::parse(name).unwrap());
    for url in [server.url().to_owned(), old, format!("{base}/plant.git")] {
        let remote = Remote::anonymous(RepoUrl::parse(&url).unwrap());
        let results = client().resolve(&remote, &refs).await.unwrap();
        let commit = |index: usize| results[index].as_ref().unwrap().commit();
        assert_eq!(results.len(), names.len());
        for (index, expected) in [
            (0, &third),
            (1, &first),
            (3, &second),
            (5, &third),
            (6, &first),
            (7, &third),
        ] {
            assert_eq!(commit(index), expected, "{url} {}", names[index]);
        }
        assert!(matches!(results[2], Err(GitError::RefNotFound { .. })));
        assert!(matches!(results[4], Err(GitError::RefNotACommit { .. })));
    }
    proxy.abort();
    daemon.abort();
}

#[tokio::test]
async fn a_name_that_leads_to_no_commit_is_an_error_by_every_transport() {
    let server = GitServer::start().await.unwrap();
    server.commit("main", "One").await.unwrap();
    let tree = server.id_of("main^{tree}").await.unwrap();
    let blob = server.id_of("main:README.md").await.unwrap();
    server.annotate("tree", "main^{tree}").await.unwrap();
    server.annotate("blob", "main:README.md").await.unwrap();
    server
        .set_ref("refs/tags/light-tree", tree.as_str())
        .await
        .unwrap();
    server
        .set_ref("refs/tags/light-blob", blob.as_str())
        .await
        .unwrap();
    let (old, proxy) = version_0(&server, false).await;
    let (base, daemon) = daemon(server.directory().parent().unwrap()).await;
    for (url, tagged) in [
        (old, ["a directory or a file"; 2]),
        (format!("{base}/plant.git"), ["a directory", "a file"]),
    ] {
        for (name, id, found) in [
            ("tree", &tree, tagged[0]),
            ("blob", &blob, tagged[1]),
            ("light-tree", &tree, "a directory"),
            ("light-blob", &blob, "a file"),
        ] {
            let error = resolve(&url, name).await.unwrap_err().to_string();
            let expected =
                format!("refs/tags/{name} leads to {id}, which is not a commit but {found}");
            assert_eq!(error, expected, "{url}");
        }
        for (id, found) in [(&tree, "a directory"), (&blob, "a file")] {
            let error = resolve(&url, id.as_str()).await.unwrap_err().to_string();
            assert!(error.contains(found), "{url}: {error}");
        }
    }
    proxy.abort();
    daemon.abort();
}

#[tokio::test]
async fn redirects_are_followed_and_requests_are_sent_to_where_they_lead() {
    let server = GitServer::start().await.unwrap();
    let commit = server.commit("main", "One").await.unwrap();
    let target = format!("{}/info/refs?service=git-upload-pack", server.url());
    let fake = Fake::start(move |head| {
        let step: u32 = head[5..].split('/').next().unwrap().parse().unwrap();
        Some(redirect(&if step == 0 {
            target.clone()
        } else {
            format!("/{}/info/refs?service=git-upload-pack", step - 1)
        }))
    })
    .await;
    assert_eq!(
        resolve(&fake.url("/9"), "main").await.unwrap().commit(),
        &commit
    );
    assert_eq!(
        resolve(&fake.url("/0"), commit.as_str())
            .await
            .unwrap()
            .commit(),
        &commit
    );
    let error = resolve(&fake.url("/10"), "main").await.unwrap_err();
    assert!(error.to_string().contains("more than ten"), "{error}");
    assert!(fake.seen().iter().all(|head| head.starts_with("GET ")));
}

#[tokio::test]
async fn one_connection_serves_many_lookups() {
    let server = GitServer::start().await.unwrap();
    server.commit("main", "One").await.unwrap();
    server.annotated_tag("v1").await.unwrap();
    let (opened, host) = (
        Arc::new(AtomicU64::new(0)),
        server.url()[7..].split('/').next().unwrap().to_owned(),
    );
    let (count, name) = (Arc::clone(&opened), host.clone());
    let (address, task) = listen(move |mut stream| {
        count.fetch_add(1, Ordering::Relaxed);
        let name = name.clone();
        async move {
            let mut server = TcpStream::connect(name).await.unwrap();
            copy_bidirectional(&mut stream, &mut server).await.ok();
        }
    })
    .await;
    let (client, url) = (client(), server.url().replace(&host, &address));
    let commit = server.id_of("main").await.unwrap();
    for name in ["main", "v1", "none", commit.as_str(), "HEAD"] {
        resolve_by(&client, &url, name).await.ok();
    }
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    task.abort();
}

#[tokio::test]
async fn the_git_transport_gives_the_same_answers() {
    let server = GitServer::start().await.unwrap();
    let first = server.commit("main", "One").await.unwrap();
    server.annotated_tag("v1").await.unwrap();
    let second = server.commit("main", "Two").await.unwrap();
    let (base, task) = daemon(server.directory().parent().unwrap()).await;
    let url = format!("{base}/plant.git");
    for (name, commit) in [
        ("v1", &first),
        ("main", &second),
        ("HEAD", &second),
        (first.as_str(), &first),
    ] {
        assert_eq!(
            resolve(&url, name).await.unwrap().commit(),
            commit,
            "{name}"
        );
    }
    assert!(matches!(
        resolve(&url, "v2").await,
        Err(GitError::RefNotFound { .. })
    ));
    assert!(matches!(
        resolve(&url, id('1').as_str()).await,
        Err(GitError::CommitNotFound { .. })
    ));
    let error = resolve(&format!("{base}/none.git"), "main")
        .await
        .unwrap_err();
    assert!(
        matches!(error, GitError::RepositoryNotFound { .. }),
        "{error}"
    );
    task.abort();
}

#[tokio::test]
async fn a_repository_of_sha256_is_understood() {
    let home = tempfile::tempdir().unwrap();
    run(
        home.path(),
        &["init", "-q", "-b", "main", "--object-format=sha256", "r"],
    )
    .await;
    let repository = home.path().join("r");
    run(&repository, &["commit", "-q", "--allow-empty", "-m", "One"]).await;
    let head = String::from_utf8(run(&repository, &["rev-parse", "HEAD"]).await).unwrap();
    let (base, task) = daemon(home.path()).await;
    let url = format!("{base}/r");
    for name in ["main", head.trim()] {
        assert_eq!(
            resolve(&url, name).await.unwrap().commit().as_str(),
            head.trim()
        );
    }
    assert!(matches!(
        resolve(&url, id('1').as_str()).await,
        Err(GitError::CommitNotFound { .. })
    ));
    task.abort();
}

#[tokio::test]
async fn servers_are_reached_by_ipv6() {
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
        // This machine has no IPv6.
        return;
    };
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    for scheme in ["http", "git", "ssh"] {
        let error = resolve(&format!("{scheme}://{address}/r"), "main")
            .await
            .unwrap_err();
        let is_reached = matches!(error, GitError::Interrupted(_) | GitError::Truncated);
        assert!(is_reached, "{scheme}: {error}");
    }
    task.abort();
}

#[tokio::test]
async fn the_tip_of_a_hidden_ref_is_verified_by_version_0_where_the_server_permits_it() {
    let server = GitServer::start().await.unwrap();
    let second = server.commit("main", "Two").await.unwrap();
    server.commit("main", "Three").await.unwrap();
    server
        .set_ref("refs/hidden/a", second.as_str())
        .await
        .unwrap();
    for (key, value) in [
        ("uploadpack.allowAnySHA1InWant", "false"),
        ("uploadpack.allowTipSHA1InWant", "true"),
        ("uploadpack.hideRefs", "refs/hidden"),
    ] {
        run(server.directory(), &["config", key, value]).await;
    }
    let (url, proxy) = version_0(&server, true).await;
    let found = resolve(&url, second.as_str()).await.unwrap();
    assert_eq!(found.commit(), &second);
    let error = resolve(&url, id('1').as_str()).await.unwrap_err();
    assert!(
        matches!(error, GitError::CommitUnverifiable { .. }),
        "{error}"
    );
    proxy.abort();
}
