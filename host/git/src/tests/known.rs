//! Servers that were asked before: their greeting is not waited for again, and a change of theirs is noticed.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::{Fake, answer, greeting, packets, redirect, reply};
use super::*;

fn introduction() -> Vec<u8> {
    greeting(&packets(&["version 2", "ls-refs", "0000"]))
}

fn main_at(digit: char) -> Vec<u8> {
    answer(&packets(&[
        &format!("{} refs/heads/main", id(digit)),
        "0000",
    ]))
}

/// A server that greets, and answers its questions in this order.
async fn server(answers: Vec<Vec<u8>>) -> Fake {
    let asked = AtomicUsize::new(0);
    Fake::start(move |head| {
        if head.starts_with("GET ") {
            return Some(introduction());
        }
        Some(answers[asked.fetch_add(1, Ordering::Relaxed)].clone())
    })
    .await
}

/// The methods of the requests so far.
fn methods(fake: &Fake) -> Vec<String> {
    fake.seen()
        .iter()
        .filter_map(|head| head.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_known_server_is_asked_at_once() {
    let fake = server(vec![main_at('a'), main_at('b')]).await;
    let (client, url) = (client(), fake.url("/o/r"));
    for digit in ['a', 'b'] {
        let found = resolve_by(&client, &url, "main").await.unwrap();
        assert_eq!(found.commit(), &id(digit));
    }
    assert_eq!(methods(&fake), ["GET", "POST", "POST"]);
}

#[tokio::test]
async fn a_known_server_that_answers_otherwise_is_greeted_again() {
    for refusal in [
        reply("404 Not Found", "text/plain", b""),
        reply("500 Internal Server Error", "text/plain", b""),
        redirect("/elsewhere/git-upload-pack"),
        answer(&packets(&["ERR no such question"])),
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
async fn a_ref_that_is_missing_is_an_answer() {
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
async fn where_a_redirect_leads_is_asked_each_time() {
    let fake = Fake::start(|head| {
        Some(if head.starts_with("GET /old/") {
            redirect("/new/info/refs?service=git-upload-pack")
        } else if head.starts_with("GET ") {
            introduction()
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
