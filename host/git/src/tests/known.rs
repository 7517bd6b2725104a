//! Tests with servers whose capabilities are known. No advertisement is requested, and a change of the server is
//! detected.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::{Fake, advertisement, answer, packets, redirect, reply};
use super::*;

fn capabilities() -> Vec<u8> {
    advertisement(&packets(&["version 2", "ls-refs", "0000"]))
}

fn main_at(digit: char) -> Vec<u8> {
    answer(&packets(&[
        &format!("{} refs/heads/main", id(digit)),
        "0000",
    ]))
}

/// Starts a server that gives these answers in this order.
async fn server(answers: Vec<Vec<u8>>) -> Fake {
    let count = AtomicUsize::new(0);
    Fake::start(move |head| {
        if head.starts_with("GET ") {
            return Some(capabilities());
        }
        Some(answers[count.fetch_add(1, Ordering::Relaxed)].clone())
    })
    .await
}

/// Returns the methods of the requests received so far.
fn methods(fake: &Fake) -> Vec<String> {
    fake.seen()
        .iter()
        .filter_map(|head| head.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn the_advertisement_of_a_known_server_is_not_requested() {
    let fake = server(vec![main_at('a'), main_at('b')]).await;
    let (client, url) = (client(), fake.url("/o/r"));
    for digit in ['a', 'b'] {
        let found = resolve_by(&client, &url, "main").await.unwrap();
        assert_eq!(found.commit(), &id(digit));
    }
    assert_eq!(methods(&fake), ["GET", "POST", "POST"]);
}

#[tokio::test]
async fn the_advertisement_is_requested_again_after_an_unexpected_answer() {
    for refusal in [
        reply("404 Not Found", "text/plain", b""),
        reply("500 Internal Server Error", "text/plain", b""),
        redirect("/elsewhere/git-upload-pack"),
        answer(&packets(&["ERR no such command"])),
        answer(b"<html>"),
    ] {
        let fake = server(vec![main_at('a'), refusal, main_at('b'), main_at('c')]).await;
        let (client, url) = (client(), fake.url("/o/r"));
        for digit in ['a', 'b', 'c'] {
            let found = resolve_by(&client, &url, "main").await.unwrap();
            assert_eq!(found.commit(), &id(digit));
        }
        assert_eq!(
            methods(&fake),
            ["GET", "POST", "POST", "GET", "POST", "POST"]
        );
    }
}

#[tokio::test]
async fn a_missing_ref_is_an_answer() {
    let nothing = answer(&packets(&["0000"]));
    let fake = server(vec![nothing.clone(), nothing]).await;
    let (client, url) = (client(), fake.url("/o/r"));
    for _ in 0..2 {
        assert!(matches!(
            resolve_by(&client, &url, "main").await,
            Err(GitError::RefNotFound { .. })
        ));
    }
    assert_eq!(methods(&fake), ["GET", "POST", "POST"]);
}

#[tokio::test]
async fn a_redirected_server_is_not_remembered() {
    let fake = Fake::start(|head| {
        Some(if head.starts_with("GET /old/") {
            redirect("/new/info/refs?service=git-upload-pack")
        } else if head.starts_with("GET ") {
            capabilities()
        } else {
            main_at('a')
        })
    })
    .await;
    let (client, url) = (client(), fake.url("/old"));
    for _ in 0..2 {
        resolve_by(&client, &url, "main").await.unwrap();
    }
    assert_eq!(methods(&fake), ["GET", "GET", "POST", "GET", "GET", "POST"]);
}

#[tokio::test]
async fn several_refs_are_one_request() {
    let list = answer(&packets(&[
        &format!("{} refs/heads/main", id('a')),
        &format!("{} refs/heads/dev", id('b')),
        &format!("{} refs/heads/develop", id('c')),
        "0000",
    ]));
    let fake = server(vec![list]).await;
    let remote = Remote::anonymous(RepoUrl::parse(&fake.url("/o/r")).unwrap());
    let refs = ["dev", "refs/heads/main", "gone", "dev"].map(|name| GitRef::parse(name).unwrap());
    let results = client().resolve(&remote, &refs).await.unwrap();
    let commits: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().ok().map(ResolvedRef::commit))
        .collect();
    let (a, b) = (id('a'), id('b'));
    assert_eq!(commits, [Some(&b), Some(&a), None, Some(&b)]);
    assert_eq!(methods(&fake), ["GET", "POST"]);
    assert!(client().resolve(&remote, &[]).await.unwrap().is_empty());
}
