//! Tests of the credentials for http and https, and of what the errors say about them.

use std::time::Duration;

use super::fake::{Fake, advertisement, answer, packets, redirect, reply};
use super::*;

/// `x-access-token:t0ken` in base64.
const HEADER: &str = "authorization: Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=\r\n";

fn with_token(url: &str, token: &str) -> Remote {
    let url = RepoUrl::parse(url).unwrap();
    Remote::new(url, Credentials::Token(Sensitive::new(token)))
}

async fn lookup(remote: &Remote) -> RefResult {
    let refs = [GitRef::parse("main").unwrap()];
    client().resolve(remote, &refs).await?.remove(0)
}

/// Starts a server that requires the token.
async fn private() -> Fake {
    Fake::start(|head| {
        Some(if !head.contains(HEADER) {
            reply("401 Unauthorized", "text/plain", b"")
        } else if head.starts_with("GET /old/") {
            redirect("/o/r/info/refs?service=git-upload-pack")
        } else if head.starts_with("GET ") {
            advertisement(&packets(&["version 2", "ls-refs", "0000"]))
        } else {
            answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"]))
        })
    })
    .await
}

#[tokio::test]
async fn a_token_is_sent_with_each_request() {
    let site = private().await;
    let address = site.url("/o/r");
    let with_user = address.replace("http://", "http://org@");
    let with_password = address.replace("http://", "http://u:p@");
    for url in [address, with_user, with_password, site.url("/old")] {
        let found = lookup(&with_token(&url, " t0ken\n")).await.unwrap();
        assert_eq!(found.commit(), &id('a'));
    }
    assert!(site.seen().iter().all(|head| head.contains(HEADER)));
}

#[tokio::test]
async fn a_token_is_withheld_from_another_server_and_the_error_names_it() {
    for status in ["401 Unauthorized", "404 Not Found"] {
        let other = Fake::start(move |_| Some(reply(status, "text/plain", b""))).await;
        let away = other.url("/o/r/info/refs?service=git-upload-pack");
        let site = Fake::start(move |_| Some(redirect(&away))).await;
        let remote = with_token(&site.url("/o/r"), "t0ken");
        let error = lookup(&remote).await.unwrap_err().to_string();
        assert!(site.seen()[0].contains(HEADER));
        assert!(!other.seen()[0].contains("authorization"));
        let host = other.url("").replace("http://", "");
        assert!(
            error.contains(&format!(
                "redirected to {host}, and the credentials were not sent"
            )),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for (status, token, expected) in [
        ("401 Unauthorized", "", "no credentials are configured"),
        ("401 Unauthorized", "x", "wrong or expired"),
        ("403 Forbidden", "x", "do not permit to read"),
        (
            "404 Not Found",
            "",
            "it is private, and no credentials are configured",
        ),
        (
            "404 Not Found",
            "x",
            "the credentials do not permit to read it",
        ),
    ] {
        let site = Fake::start(move |_| Some(reply(status, "text/plain", b""))).await;
        let remote = if token.is_empty() {
            Remote::anonymous(RepoUrl::parse(&site.url("/o/r")).unwrap())
        } else {
            with_token(&site.url("/o/r"), token)
        };
        let error = lookup(&remote).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{status} {token}: {error}");
    }
}

#[tokio::test]
async fn credentials_that_do_not_fit_the_transport_are_an_error_before_any_connection() {
    let key = || Credentials::SshKey {
        private_key: Sensitive::new("x"),
        known_hosts: None,
    };
    let token = || Credentials::Token(Sensitive::new("x"));
    for (url, credentials, expected) in [
        (
            "ssh://git@192.0.2.1/o/r",
            token(),
            "a token cannot be used, because the address of the repository begins with ssh://: use an ssh key",
        ),
        (
            "git@192.0.2.1:o/r",
            token(),
            "use an ssh key, or the https:// address",
        ),
        ("git://192.0.2.1/o/r", token(), "use the https:// address"),
        ("git://192.0.2.1/o/r", key(), "use the ssh:// address"),
        (
            "https://192.0.2.1/o/r",
            key(),
            "an ssh key cannot be used, because the address of the repository begins with https://: use a token",
        ),
        ("http://192.0.2.1/o/r", key(), "use a token"),
        (
            "https://192.0.2.1/o/r",
            Credentials::Token(Sensitive::new(" \n")),
            "the token is empty",
        ),
    ] {
        let remote = Remote::new(RepoUrl::parse(url).unwrap(), credentials);
        let error = lookup(&remote).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{url}: {error}");
    }
}

#[tokio::test]
async fn the_time_to_wait_is_part_of_the_error_and_bounded() {
    for (status, header, expected) in [
        ("429 Too Many Requests", "retry-after: 17\r\n", Some(17)),
        (
            "503 Service Unavailable",
            "retry-after: 999999999\r\n",
            Some(3600),
        ),
        (
            "503 Service Unavailable",
            "retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
            Some(0),
        ),
        (
            "503 Service Unavailable",
            "retry-after: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
            Some(3600),
        ),
        ("429 Too Many Requests", "retry-after: soon\r\n", None),
        ("429 Too Many Requests", "", None),
        ("403 Forbidden", "retry-after: 60\r\n", Some(60)),
    ] {
        let response = format!("HTTP/1.1 {status}\r\n{header}content-length: 0\r\n\r\n");
        let site = Fake::start(move |_| Some(response.clone().into_bytes())).await;
        let error = resolve(&site.url("/o/r"), "main").await.unwrap_err();
        assert_eq!(
            error.retry_after(),
            expected.map(Duration::from_secs),
            "{header}"
        );
        assert!(matches!(error, GitError::Status { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_not_asked_again_at_once() {
    let limited = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n";
    let posts = std::sync::atomic::AtomicUsize::new(0);
    let site = Fake::start(move |head| {
        if head.starts_with("GET ") {
            return Some(advertisement(&packets(&["version 2", "ls-refs", "0000"])));
        }
        Some(
            match posts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"])),
                _ => limited.to_vec(),
            },
        )
    })
    .await;
    let (client, url) = (client(), site.url("/o/r"));
    resolve_by(&client, &url, "main").await.unwrap();
    let error = resolve_by(&client, &url, "main").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
    assert_eq!(site.seen().len(), 3);
}

#[tokio::test]
async fn a_server_of_the_dumb_protocol_is_named_as_such() {
    let list = format!(
        "{}\trefs/heads/main\n{}\trefs/tags/v1^{{}}\n",
        id('a'),
        id('b')
    );
    let site = Fake::start(move |_| {
        Some(reply(
            "200 OK",
            "text/plain; charset=UTF-8",
            list.as_bytes(),
        ))
    })
    .await;
    let error = resolve(&site.url("/o/r"), "main").await.unwrap_err();
    assert!(matches!(error, GitError::DumbProtocol { .. }), "{error}");
    assert!(
        error.to_string().contains("speaks only the dumb protocol"),
        "{error}"
    );
}

#[tokio::test]
async fn a_ca_bundle_that_cannot_be_used_is_an_error_with_its_cause() {
    let url = RepoUrl::parse("https://192.0.2.1/r").unwrap();
    let remote = Remote::anonymous(url).with_ca_bundle("no certificate");
    let error = lookup(&remote).await.unwrap_err();
    let text = stoker_report::chain(&error).to_string();
    assert!(text.contains("the CA bundle is invalid"), "{text}");
}

/// Starts a server that answers requests with one of these headers, and 401 to others. The empty text means no header.
async fn accepting(accepted: &'static str) -> Fake {
    Fake::start(move |head| {
        let sent = head
            .lines()
            .find_map(|line| line.strip_prefix("authorization: Basic "));
        Some(if sent.unwrap_or_default() != accepted {
            reply("401 Unauthorized", "text/plain", b"")
        } else if head.starts_with("GET ") {
            advertisement(&packets(&["version 2", "ls-refs", "0000"]))
        } else {
            answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"]))
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
            } else if head.starts_with("GET ") {
                advertisement(&packets(&["version 2", "ls-refs", "0000"]))
            } else {
                answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"]))
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
        } else if head.starts_with("GET ") {
            advertisement(&packets(&["version 2", "ls-refs", "0000"]))
        } else {
            answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"]))
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

#[tokio::test]
async fn an_authentication_that_is_not_supported_is_named() {
    for (headers, expected) in [
        (
            "www-authenticate: Digest realm=\"a, b\", nonce=\"x\"\r\n",
            "requires the authentication Digest,",
        ),
        (
            "www-authenticate: Negotiate, NTLM\r\n",
            "requires the authentication Negotiate, NTLM,",
        ),
        (
            "www-authenticate: Bearer\r\nwww-authenticate: basic realm=\"x\"\r\n",
            "wrong or expired",
        ),
    ] {
        let response = format!("HTTP/1.1 401 Unauthorized\r\n{headers}content-length: 0\r\n\r\n");
        let site = Fake::start(move |_| Some(response.clone().into_bytes())).await;
        let error = lookup(&with_token(&site.url("/o/r"), "x")).await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}
