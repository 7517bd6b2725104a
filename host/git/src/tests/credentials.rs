//! Tests of the credentials for http and https, and of what the errors say about them.

use std::time::Duration;

use super::fake::{Fake, advertisement, answer, packets, redirect, reply};
use super::*;

/// `x-access-token:t0ken` in base64.
const HEADER: &str = "authorization: Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=\r\n";

pub(super) fn with_token(url: &str, token: &str) -> Remote {
    let url = RepoUrl::parse(url).unwrap();
    Remote::new(url, Credentials::Token(Sensitive::new(token)))
}

pub(super) async fn lookup(remote: &Remote) -> RefResult {
    let refs = [GitRef::parse("main").unwrap()];
    client().resolve(remote, &refs).await?.remove(0)
}

/// Returns the answer of a server whose repository has only `main`, at the commit `a…`.
pub(super) fn repository(head: &str) -> Vec<u8> {
    if head.starts_with("GET ") {
        advertisement(&packets(&["version 2", "ls-refs", "0000"]))
    } else {
        answer(&packets(&[&format!("{} refs/heads/main", id('a')), "0000"]))
    }
}

/// Starts a server that requires the token.
async fn private() -> Fake {
    Fake::start(|head| {
        Some(if !head.contains(HEADER) {
            reply("401 Unauthorized", "text/plain", b"")
        } else if head.starts_with("GET /old/") {
            redirect("/o/r/info/refs?service=git-upload-pack")
        } else {
            repository(head)
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
async fn the_text_of_an_answer_is_shown_without_credentials() {
    let long = "x".repeat(5000);
    for (content_type, body, expected) in [
        (
            "text/plain; charset=utf-8",
            "\r\nTF7: clients must\u{1b}[1m support it\r\nmore",
            ": TF7: clients must [1m support it",
        ),
        ("text/plain", "", ""),
        ("text/plain", "no user t0ken", ""),
        (
            "text/plain",
            "the header was eC1hY2Nlc3MtdG9rZW46dDBrZW4=",
            "",
        ),
        ("text/plain", "the key k%20y is wrong", ""),
        ("text/plain", "the key k y is wrong", ""),
        ("text/plain", &*long, ""),
        ("text/html", "<html>", ""),
        ("application/json", "{}", ""),
    ] {
        let response = reply("400 Bad Request", content_type, body.as_bytes());
        let site = Fake::start(move |_| Some(response.clone())).await;
        let error = lookup(&with_token(&site.url("/o/r?key=k%20y"), "t0ken")).await;
        let message = format!("the git server answered with HTTP status 400{expected}");
        assert_eq!(error.unwrap_err().to_string(), message);
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
