//! Tests with servers that are absent, are not git servers, or violate the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::super::http::USER_AGENT;
use super::fake::{Fake, advertisement, answer, listen, packets, redirect, reply};
use super::*;

const BLINK: Duration = Duration::from_millis(50);

fn impatient() -> GitClient {
    limited(Limits {
        total: BLINK,
        ..Limits::default()
    })
}

async fn answered(
    status: &'static str,
    content_type: &'static str,
    body: &'static [u8],
) -> GitError {
    let fake = Fake::start(move |_| Some(reply(status, content_type, body))).await;
    resolve(&fake.url("/o/r"), "main").await.unwrap_err()
}

#[tokio::test]
async fn each_refusal_of_http_has_its_own_error() {
    assert!(matches!(
        answered("401 Unauthorized", "text/plain", b"").await,
        GitError::AccessDenied {
            status: 401,
            credentials: SentCredentials::None
        }
    ));
    assert!(matches!(
        answered("403 Forbidden", "text/plain", b"").await,
        GitError::AccessDenied {
            status: 403,
            credentials: SentCredentials::None
        }
    ));
    assert!(matches!(
        answered("404 Not Found", "text/plain", b"").await,
        GitError::RepositoryNotFound { .. }
    ));
    assert!(matches!(
        answered("429 Too Many", "text/plain", b"").await,
        GitError::Status {
            status: 429,
            retry_after: None,
            ..
        }
    ));
    assert!(matches!(
        answered("503 Unavailable", "text/plain", b"").await,
        GitError::Status {
            status: 503,
            retry_after: None,
            ..
        }
    ));
}

#[tokio::test]
async fn a_web_page_is_not_a_repository() {
    for status in ["200 OK", "203 Non-Authoritative"] {
        let error = answered(status, "Text/HTML; charset=utf-8", b"<html>").await;
        assert!(
            matches!(&error, GitError::NotGit { content, .. } if content == "Text/HTML"),
            "{error}"
        );
        assert!(
            error.to_string().contains("/o/r answers with Text/HTML"),
            "{error}"
        );
    }
    assert!(matches!(
        answered("200 OK", "text/plain", b"0123\trefs/heads/main\n").await,
        GitError::NotGit { .. }
    ));
    assert!(matches!(
        answered("200 OK", "", b"").await,
        GitError::NotGit { .. }
    ));
    let error = answered(
        "200 OK",
        "application/x-git-upload-pack-advertisement",
        b"<html>",
    )
    .await;
    assert!(matches!(error, GitError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_runs_out_of_time() {
    let silent = Fake::start(|_| None).await;
    let (address, task) = listen(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    for url in [silent.url("/o/r"), format!("git://{address}/r")] {
        let error = resolve_by(&impatient(), &url, "main").await.unwrap_err();
        assert!(
            matches!(error, GitError::Timeout { limit } if limit == BLINK),
            "{error}"
        );
    }
    task.abort();
}

#[tokio::test]
async fn an_endless_answer_is_an_error() {
    let body = packets(&vec!["a line that says nothing"; 1000]);
    let endless = Fake::start(move |_| {
        Some(advertisement(
            &[&packets(&["version 2"])[..], &body].concat(),
        ))
    })
    .await;
    let client = limited(Limits {
        answer_bytes: 1024,
        ..Limits::default()
    });
    let error = resolve_by(&client, &endless.url("/o/r"), "main")
        .await
        .unwrap_err();
    assert!(
        matches!(error, GitError::TooLarge { limit: 1024 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_absent_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for scheme in ["http", "https", "git"] {
        let error = resolve(&format!("{scheme}://127.0.0.1:{port}/r"), "main")
            .await
            .unwrap_err();
        assert!(
            matches!(&error, GitError::Unreachable { host, .. } if *host == format!("127.0.0.1:{port}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_if_the_server_closes_the_connection() {
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);
    let (address, task) = listen(move |stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        async move { drop(stream) }
    })
    .await;
    let error = resolve(&format!("http://{address}/r"), "main")
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::Interrupted(_)), "{error}");
    let text = stoker_report::chain(&error).to_string();
    assert!(text.ends_with("use https://"), "{text}");
    assert_eq!(count.load(Ordering::Relaxed), 2);
    task.abort();
}

#[tokio::test]
async fn credentials_of_the_address_are_sent_to_its_server_only() {
    let other = Fake::start(|_| Some(reply("404 Not Found", "text/plain", b""))).await;
    let away = other.url("/info/refs");
    let fake = Fake::start(move |_| Some(redirect(&away))).await;
    let url = fake
        .url("/o/r")
        .replace("http://", "http://me%40plant:s%3Acret@");
    let error = resolve(&url, "main").await.unwrap_err();
    assert!(fake.seen()[0].contains("authorization: Basic bWVAcGxhbnQ6czpjcmV0\r\n"));
    assert!(!other.seen()[0].contains("authorization"));
    assert!(!format!("{error} {error:?}").contains("cret"), "{error:?}");
}

#[tokio::test]
async fn a_user_name_without_a_password_is_not_sent() {
    for user in ["org", "org:", "me%40plant", "TOKEN"] {
        let site = Fake::start(|head| {
            Some(if head.contains("authorization") {
                reply("401 Unauthorized", "text/plain", b"")
            } else if head.starts_with("GET /old/") {
                redirect("/new/info/refs?service=git-upload-pack")
            } else if head.starts_with("GET ") {
                advertisement(&packets(&["version 2", "ls-refs", "0000"]))
            } else {
                answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"]))
            })
        })
        .await;
        for path in ["/old", "/o/r", "/o/r"] {
            let url = site
                .url(path)
                .replace("http://", &format!("http://{user}@"));
            assert_eq!(resolve(&url, "main").await.unwrap().commit(), &id('a'));
        }
    }
}

#[tokio::test]
async fn a_server_that_requires_the_missing_password_is_reported() {
    let site = Fake::start(|_| Some(reply("401 Unauthorized", "text/plain", b""))).await;
    for (user, is_missing) in [
        ("org@", true),
        ("org:@", true),
        ("org:x@", false),
        ("", false),
    ] {
        let url = site
            .url("/o/r")
            .replace("http://", &format!("http://{user}"));
        let error = resolve(&url, "main").await.unwrap_err();
        let has_variant = matches!(
            error,
            GitError::AccessDenied {
                status: 401,
                credentials: SentCredentials::UserOnly
            }
        );
        assert_eq!(has_variant, is_missing, "{user} {error}");
    }
}

#[tokio::test]
async fn an_error_shows_no_credentials() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = resolve(&format!("http://me:s3cret@127.0.0.1:{port}/r"), "main")
        .await
        .unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn requests_use_version_2_and_name_the_program() {
    let fake = Fake::start(|head| {
        Some(if head.starts_with("GET ") {
            advertisement(&packets(&["version 2", "ls-refs", "0000"]))
        } else {
            answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"]))
        })
    })
    .await;
    assert_eq!(
        resolve(&fake.url("/o/r/"), "main").await.unwrap().commit(),
        &id('a')
    );
    let seen = fake.seen();
    assert!(
        seen[1].starts_with("POST /o/r/git-upload-pack HTTP/1.1\r\n"),
        "{}",
        seen[1]
    );
    for head in &seen {
        assert!(head.contains("git-protocol: version=2\r\n"), "{head}");
        assert!(
            head.contains(&format!("user-agent: {USER_AGENT}\r\n")),
            "{head}"
        );
    }
    // This server does not send objects.
    let error = resolve(&fake.url("/o/r"), id('a').as_str())
        .await
        .unwrap_err();
    assert!(
        matches!(error, GitError::CommitUnverifiable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_redirected_request_is_an_error() {
    let fake = Fake::start(|head| {
        Some(if head.starts_with("GET ") {
            advertisement(&packets(&["version 2", "ls-refs", "0000"]))
        } else {
            redirect("/x")
        })
    })
    .await;
    assert!(matches!(
        resolve(&fake.url("/r"), "main").await,
        Err(GitError::Redirect { .. })
    ));
}

#[tokio::test]
async fn an_old_server_of_the_git_transport_is_understood() {
    let (address, task) = listen(|mut stream| async move {
        let line = format!("{} HEAD\0multi_ack", id('a'));
        stream
            .write_all(&packets(&[
                &line,
                &format!("{} refs/heads/main", id('a')),
                "0000",
            ]))
            .await
            .unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let found = resolve(&format!("git://{address}/r"), "HEAD")
        .await
        .unwrap();
    assert_eq!(
        (found.commit(), found.full_name()),
        (&id('a'), Some("HEAD"))
    );
    task.abort();
}

/// The number of refs of a large server.
const MANY: usize = 300_000;

/// Returns the packets of many refs. The sought one is the last.
fn many_refs(first: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for index in 0..MANY {
        let capabilities = if index == 0 { first } else { "" };
        let line = format!("{} refs/changes/{index:08}/head{capabilities}", id('b'));
        body.extend(packets(&[&line]));
    }
    body.extend(packets(&[&format!("{} refs/heads/main", id('a')), "0000"]));
    body
}

#[tokio::test]
async fn a_list_of_many_refs_is_read_by_both_versions() {
    let (v0, v2) = (many_refs("\0side-band-64k"), many_refs(""));
    // The former limit of all answers was 16 MiB.
    assert!(v0.len() > 16 * 1024 * 1024);
    let old = Fake::start(move |_| Some(advertisement(&v0))).await;
    let new = Fake::start(move |head| {
        Some(if head.starts_with("GET ") {
            advertisement(&packets(&["version 2", "ls-refs", "0000"]))
        } else {
            answer(&v2)
        })
    })
    .await;
    for site in [old, new] {
        let found = resolve(&site.url("/o/r"), "main").await.unwrap();
        assert_eq!(found.commit(), &id('a'));
    }
}

#[tokio::test]
async fn the_type_of_an_answer_to_a_request_does_not_matter_unless_it_is_a_web_page() {
    for (content_type, is_accepted) in [
        ("", true),
        ("application/octet-stream", true),
        ("Text/HTML; charset=utf-8", false),
    ] {
        let fake = Fake::start(move |head| {
            Some(if head.starts_with("GET ") {
                advertisement(&packets(&["version 2", "ls-refs", "0000"]))
            } else {
                let body = packets(&[&format!("{} refs/heads/main", id('a')), "0000"]);
                reply("200 OK", content_type, &body)
            })
        })
        .await;
        match resolve(&fake.url("/o/r"), "main").await {
            Ok(_) => assert!(is_accepted, "{content_type}"),
            Err(error) => {
                assert!(!is_accepted, "{content_type}: {error}");
                assert!(matches!(error, GitError::NotGit { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_compressed_is_named_as_such() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n";
    let fake = Fake::start(move |_| Some([head.as_bytes(), &[0x1f, 0x8b]].concat())).await;
    let error = resolve(&fake.url("/o/r"), "main").await.unwrap_err();
    assert!(error.to_string().contains("the encoding gzip"), "{error}");
}
