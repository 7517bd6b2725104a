//! Tests of the order in which credentials for http and https are sent.

use std::time::Duration;

use super::credentials::{lookup, repository, with_token};
use super::fake::{Fake, reply};
use super::*;

/// Starts a server that answers requests with one of these headers, and 401 to others. The empty text means no header.
async fn accepting(accepted: &'static str) -> Fake {
    Fake::start(move |head| {
        let sent = head
            .lines()
            .find_map(|line| line.strip_prefix("authorization: Basic "));
        Some(if sent.unwrap_or_default() == accepted {
            repository(head)
        } else {
            reply("401 Unauthorized", "text/plain", b"")
        })
    })
    .await
}

#[tokio::test]
async fn a_public_repository_is_read_although_the_server_refuses_the_credentials() {
    let site = accepting("").await;
    let address = site.url("/o/r");
    let with_password = address.replace("http://", "http://u:p@");
    let client = client();
    for _ in 0..2 {
        for remote in [
            with_token(&address, "stale"),
            Remote::anonymous(RepoUrl::parse(&with_password).unwrap()),
        ] {
            let refs = [GitRef::parse("main").unwrap()];
            let found = client.resolve(&remote, &refs).await.unwrap().remove(0);
            assert_eq!(found.unwrap().commit(), &id('a'));
        }
    }
    // Each lookup sends the credentials once, and then none for the list and its request.
    let with_credentials = |head: &&String| head.contains("authorization: ");
    assert_eq!(site.seen().iter().filter(with_credentials).count(), 4);
    assert_eq!(site.seen().len(), 12);
}

#[tokio::test]
async fn a_token_is_also_sent_as_the_password_of_the_user_of_the_address() {
    // `deploy-7:t0ken` in base64.
    let site = accepting("ZGVwbG95LTc6dDBrZW4=").await;
    let url = site.url("/o/r").replace("http://", "http://deploy-7@");
    let found = lookup(&with_token(&url, "t0ken")).await.unwrap();
    assert_eq!(found.commit(), &id('a'));
    for (url, token, expected) in [
        (
            url,
            "other",
            "the user x-access-token and of the user of the address",
        ),
        (
            site.url("/o/r"),
            "t0ken",
            "write the name of the user and @ in front of the host",
        ),
    ] {
        let error = lookup(&with_token(&url, token)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(
            !text.contains(token) && !text.contains("deploy-7"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_accepted_user_is_sent_first_and_a_refused_one_is_not_sent_again() {
    let user = "authorization: Basic ZGVwbG95LTc6";
    // `deploy-7:t0ken` in base64.
    let site = accepting("ZGVwbG95LTc6dDBrZW4=").await;
    let url = site.url("/o/r").replace("http://", "http://deploy-7@");
    let refs = [GitRef::parse("main").unwrap()];
    let good = client();
    for _ in 0..3 {
        let remote = with_token(&url, "t0ken");
        assert!(good.resolve(&remote, &refs).await.is_ok());
    }
    // The first lookup sends the other user once. The next ones do not need the advertisement.
    let seen = site.seen();
    assert_eq!(seen.iter().filter(|head| head.contains(user)).count(), 4);
    assert_eq!(seen.len(), 5);
    let bad = client();
    for _ in 0..3 {
        let remote = with_token(&url, "other");
        assert!(bad.resolve(&remote, &refs).await.is_err());
    }
    let seen = &site.seen()[5..];
    assert_eq!(seen.iter().filter(|head| head.contains(user)).count(), 1);
    assert_eq!(seen.len(), 3 + 2 + 2);
}

#[tokio::test]
async fn a_user_without_a_password_is_sent_once_after_a_refusal() {
    // `glpat-7:` in base64.
    let site = accepting("Z2xwYXQtNzo=").await;
    let remote = |user: &str| {
        let url = site
            .url("/o/r")
            .replace("http://", &format!("http://{user}@"));
        Remote::anonymous(RepoUrl::parse(&url).unwrap())
    };
    let refs = [GitRef::parse("main").unwrap()];
    let good = client();
    for user in ["glpat-7", "glpat-7", "glpat-7"] {
        let found = good.resolve(&remote(user), &refs).await.unwrap().remove(0);
        assert_eq!(found.unwrap().commit(), &id('a'));
    }
    // The first lookup begins without credentials. The next ones do not need the advertisement.
    let has_credentials = |head: &String| head.contains("authorization: ");
    let seen: Vec<_> = site.seen().iter().map(has_credentials).collect();
    assert_eq!(seen, [false, true, true, true, true]);
    let bad = client();
    for _ in 0..3 {
        let error = bad.resolve(&remote("other"), &refs).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("does not accept it as a token"), "{text}");
        assert!(!format!("{error:?}").contains("other"), "{error:?}");
    }
    let seen: Vec<_> = site.seen()[5..].iter().map(has_credentials).collect();
    assert_eq!(seen, [false, true, false, false]);
}

#[tokio::test]
async fn a_user_without_a_password_is_not_sent_where_it_is_of_no_use() {
    for (challenge, expected) in [
        (
            "401 Unauthorized\r\nwww-authenticate: Negotiate",
            "requires the authentication Negotiate",
        ),
        ("403 Forbidden", "no credentials were sent"),
        ("404 Not Found", "there is no repository at"),
    ] {
        let response = format!("HTTP/1.1 {challenge}\r\ncontent-length: 0\r\n\r\n");
        let site = Fake::start(move |_| Some(response.clone().into_bytes())).await;
        let url = site.url("/o/r").replace("http://", "http://glpat-7@");
        let remote = Remote::anonymous(RepoUrl::parse(&url).unwrap());
        let text = lookup(&remote).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert_eq!(site.seen().len(), 1, "{challenge}");
    }
}

#[tokio::test]
async fn the_answer_to_a_known_user_is_reported() {
    const LIMITED: &[u8] =
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n";
    for (answer, expected, wait, requests) in [
        (LIMITED.to_vec(), "429", Some(9), 2),
        (
            reply("500 Internal Server Error", "text/plain", b""),
            "500",
            None,
            2,
        ),
        (
            reply("403 Forbidden", "text/plain", b""),
            "do not permit to read",
            None,
            3,
        ),
        (
            reply("404 Not Found", "text/plain", b""),
            "there is no repository at",
            None,
            3,
        ),
    ] {
        // `deploy-7:t0ken` in base64.
        let site = Fake::start(move |head| {
            Some(if head.contains("Basic ZGVwbG95LTc6dDBrZW4=") {
                answer.clone()
            } else {
                reply("401 Unauthorized", "text/plain", b"")
            })
        })
        .await;
        let url = site.url("/o/r").replace("http://", "http://deploy-7@");
        let error = lookup(&with_token(&url, "t0ken")).await.unwrap_err();
        assert_eq!(error.retry_after(), wait.map(Duration::from_secs));
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(site.seen().len(), requests);
    }
}

#[tokio::test]
async fn a_user_without_access_does_not_hide_a_public_repository() {
    for status in ["403 Forbidden", "404 Not Found"] {
        let site = Fake::start(move |head| {
            // `deploy-7:t0ken` in base64.
            Some(if head.contains("Basic ZGVwbG95LTc6dDBrZW4=") {
                reply(status, "text/plain", b"")
            } else if head.contains("authorization: ") {
                reply("401 Unauthorized", "text/plain", b"")
            } else {
                repository(head)
            })
        })
        .await;
        let url = site.url("/o/r").replace("http://", "http://deploy-7@");
        let found = lookup(&with_token(&url, "t0ken")).await.unwrap();
        assert_eq!(found.commit(), &id('a'));
    }
}

#[tokio::test]
async fn a_user_who_loses_access_does_not_hide_the_configured_credentials() {
    let is_permitted = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let permitted = std::sync::Arc::clone(&is_permitted);
    let site = Fake::start(move |head| {
        let is_permitted = permitted.load(std::sync::atomic::Ordering::Relaxed);
        // `deploy-7:t0ken` in base64.
        let is_user = head.contains("Basic ZGVwbG95LTc6dDBrZW4=");
        Some(if is_user && !is_permitted {
            reply("403 Forbidden", "text/plain", b"")
        } else if !is_user && is_permitted {
            reply("401 Unauthorized", "text/plain", b"")
        } else {
            repository(head)
        })
    })
    .await;
    let url = site.url("/o/r").replace("http://", "http://deploy-7@");
    let (client, refs) = (client(), [GitRef::parse("main").unwrap()]);
    let remote = with_token(&url, "t0ken");
    assert!(client.resolve(&remote, &refs).await.is_ok());
    is_permitted.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(client.resolve(&remote, &refs).await.is_ok());
}

#[tokio::test]
async fn without_credentials_only_a_time_to_wait_replaces_the_refusal() {
    for (status, header, expected) in [
        ("429 Too Many Requests", "retry-after: 9\r\n", "429"),
        ("404 Not Found", "", "wrong or expired"),
        ("503 Service Unavailable", "", "wrong or expired"),
    ] {
        let response = format!("HTTP/1.1 {status}\r\n{header}content-length: 0\r\n\r\n");
        let site = Fake::start(move |head| {
            Some(if head.contains("authorization: ") {
                reply("401 Unauthorized", "text/plain", b"")
            } else {
                response.clone().into_bytes()
            })
        })
        .await;
        let error = lookup(&with_token(&site.url("/o/r"), "x")).await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}
