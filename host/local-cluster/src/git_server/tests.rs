//! Tests of the server with the `git` program as its client.

use std::process::Stdio;

use tokio::process::Command;

use super::*;

async fn git(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("git")
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test]
async fn a_clone_contains_the_committed_files() {
    let server = GitServer::start().await.unwrap();
    server.commit("main", "Set the plant up").await.unwrap();
    let last = server.commit("main", "Raise the setpoint").await.unwrap();
    server.annotated_tag("v1.0.0").await.unwrap();
    for version in ["protocol.version=2", "protocol.version=0"] {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().to_str().unwrap();
        let (ok, text) = git(&[
            "-c",
            version,
            "clone",
            "-q",
            "--branch",
            "v1.0.0",
            server.url(),
            target,
        ])
        .await;
        assert!(ok, "{text}");
        assert_eq!(
            git(&["-C", target, "rev-parse", "HEAD"]).await.1.trim(),
            last.as_str()
        );
        assert_eq!(
            git(&["-C", target, "rev-list", "--count", "HEAD"])
                .await
                .1
                .trim(),
            "2"
        );
        assert!(
            home.path()
                .join("plants/plant-1/projects/boiler/project.json")
                .is_file()
        );
    }
}

#[tokio::test]
async fn a_compressed_request_of_a_clone_with_many_refs_is_answered() {
    let server = GitServer::start().await.unwrap();
    for number in 0..40 {
        server
            .commit(&format!("plant-{number}"), "Add a plant")
            .await
            .unwrap();
    }
    let home = tempfile::tempdir().unwrap();
    let target = home.path().to_str().unwrap();
    let (ok, text) = git(&["clone", "-q", "--mirror", server.url(), target]).await;
    assert!(ok, "{text}");
    assert_eq!(
        git(&["-C", target, "for-each-ref"]).await.1.lines().count(),
        40
    );
}

#[tokio::test]
async fn the_same_steps_give_the_same_ids() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let server = GitServer::start().await.unwrap();
        server.commit("main", "One").await.unwrap();
        server.commit("main", "Two").await.unwrap();
        server.annotated_tag("v1").await.unwrap();
        ids.push((
            server.id_of("main").await.unwrap(),
            server.id_of("v1").await.unwrap(),
        ));
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0].0, ids[0].1);
}

#[tokio::test]
async fn refs_can_be_set_and_deleted() {
    let server = GitServer::start().await.unwrap();
    let commit = server.commit("main", "One").await.unwrap();
    server
        .set_ref("refs/pull/7/head", commit.as_str())
        .await
        .unwrap();
    assert_eq!(server.id_of("refs/pull/7/head").await.unwrap(), commit);
    server.delete_ref("refs/pull/7/head").await.unwrap();
    assert!(matches!(
        server.id_of("refs/pull/7/head").await,
        Err(GitServerError::Git { .. })
    ));
    assert!(matches!(
        server.commit("a b\nreset refs/heads/main", "x").await,
        Err(GitServerError::Name(_))
    ));
    assert_eq!(server.tag("light").await.unwrap(), commit);
    assert_eq!(server.annotated_tag("annotated").await.unwrap(), commit);
    assert_eq!(server.id_of("refs/tags/light").await.unwrap(), commit);
    assert!(server.set_ref("refs/tags/x", "nothing").await.is_err());
}

#[tokio::test]
async fn pushes_are_refused() {
    let server = GitServer::start().await.unwrap();
    server.commit("main", "One").await.unwrap();
    let directory = server.directory().to_str().unwrap();
    let (ok, text) = git(&["-C", directory, "push", server.url(), "main:other"]).await;
    assert!(!ok && text.contains("403"), "{text}");
    assert!(server.id_of("other").await.is_err());
}

#[tokio::test]
async fn other_paths_are_not_served() {
    let server = GitServer::start().await.unwrap();
    let other = server.url().replace("plant", "other");
    let (ok, text) = git(&["ls-remote", &other]).await;
    assert!(!ok && text.contains("not found"), "{text}");
    assert!(server.requests() > 0);
}
