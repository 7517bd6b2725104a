use std::cell::Cell;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const PKCS1: &str = include_str!("tests/pkcs1.pem");
const PKCS8: &str = include_str!("tests/pkcs8.pem");
const NOON: &str = "2026-03-01T12:00:00Z";

thread_local! {
    static MINUTES: Cell<i64> = const { Cell::new(0) };
}

/// The time of a test: noon, and the minutes that the test has set.
fn clock() -> Timestamp {
    NOON.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(MINUTES.get())
}

/// An API that gives prepared answers, each once and the last one again, and records the requests.
struct FakeGitHub {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeGitHub {
    async fn start(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let recorded = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                recorded
                    .lock()
                    .unwrap()
                    .push(String::from_utf8(head).unwrap());
                let (status, body) = answers.next().unwrap();
                if answers.peek().is_none() {
                    answers = vec![(status, body.clone())].into_iter().peekable();
                }
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} X\r\nretry-after: 60\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        });
        Self { url, requests }
    }

    fn installation(&self, pem: &str) -> Installation {
        Installation {
            app_id: 7,
            installation_id: 42,
            api_url: self.url.clone(),
            private_key: Sensitive::new(pem),
            ca_bundle: None,
        }
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// The answer with a token that ends some minutes after noon.
fn issued(token: &str, minutes: i64) -> (u16, String) {
    let end = NOON.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes);
    (
        201,
        json!({"token": token, "expires_at": end.to_string()}).to_string(),
    )
}

fn refused(status: u16, message: &str) -> (u16, String) {
    (status, json!({ "message": message }).to_string())
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap()
}

async fn token(tokens: &InstallationTokens, installation: &Installation) -> String {
    let token = tokens.get(installation).await.unwrap().token;
    token.expose().to_owned()
}

#[tokio::test]
async fn the_exchange_is_signed_by_the_key_of_the_app() {
    let github = FakeGitHub::start(vec![issued("ghs_1", 60)]).await;
    for pem in [PKCS1, PKCS8] {
        let tokens = InstallationTokens::with_clock(clock);
        let token = tokens.get(&github.installation(pem)).await.unwrap();
        assert_eq!(token.token.expose(), "ghs_1");
        assert_eq!(token.renewal().to_string(), "2026-03-01T12:55:00Z");
        let request = github.requests().remove(0);
        assert!(
            request.starts_with("POST /api/v3/app/installations/42/access_tokens HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("accept: application/vnd.github+json\r\n"));
        let bearer = request.split("authorization: Bearer ").nth(1).unwrap();
        let jwt = bearer.lines().next().unwrap();
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        assert_eq!(decoded(header), json!({"alg": "RS256", "typ": "JWT"}));
        let noon = NOON.parse::<Timestamp>().unwrap().as_second();
        let expected = json!({"iss": "7", "iat": noon - 60, "exp": noon + 540});
        assert_eq!(decoded(claims), expected);
        let der = PrivatePkcs8KeyDer::from_pem_slice(PKCS8.as_bytes()).unwrap();
        let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref())
            .verify(message.as_bytes(), &BASE64.decode(signature).unwrap())
            .unwrap();
    }
}

#[tokio::test]
async fn a_token_is_shared_and_replaced_five_minutes_before_its_end() {
    let github = FakeGitHub::start(vec![issued("ghs_1", 60), issued("ghs_2", 120)]).await;
    let (tokens, installation) = (
        InstallationTokens::with_clock(clock),
        github.installation(PKCS1),
    );
    let get = || token(&tokens, &installation);
    assert_eq!(
        tokio::join!(get(), get()),
        ("ghs_1".to_owned(), "ghs_1".to_owned())
    );
    MINUTES.set(54);
    assert_eq!(get().await, "ghs_1");
    assert_eq!(github.requests().len(), 1);
    MINUTES.set(55);
    assert_eq!(get().await, "ghs_2");
    assert_eq!(get().await, "ghs_2");
    assert_eq!(github.requests().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_does_not_keep_a_token_beyond_its_end() {
    let answers = ["ghs_1", "ghs_2", "ghs_3"].map(|token| issued(token, 60));
    let github = FakeGitHub::start(answers.into()).await;
    let (tokens, installation) = (
        InstallationTokens::with_clock(clock),
        github.installation(PKCS1),
    );
    let get = async |clock, passed| {
        MINUTES.set(clock);
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(passed)).await;
        tokio::time::resume();
        token(&tokens, &installation).await
    };
    assert_eq!(get(0, 0).await, "ghs_1");
    // The clock is set back by an hour.
    assert_eq!(get(-60, 0).await, "ghs_1");
    assert_eq!(get(-6, 54).await, "ghs_1");
    assert_eq!(get(0, 1).await, "ghs_2");
    // It is set forward by an hour, and back.
    assert_eq!(get(55, 0).await, "ghs_3");
    assert_eq!(get(0, 0).await, "ghs_3");
}

#[tokio::test]
async fn everything_that_decides_about_a_token_separates_tokens() {
    let github = FakeGitHub::start(vec![issued("ghs_1", 60)]).await;
    let tokens = InstallationTokens::with_clock(clock);
    let first = github.installation(PKCS1);
    let others = [
        Installation {
            app_id: 8,
            ..first.clone()
        },
        Installation {
            installation_id: 43,
            ..first.clone()
        },
        Installation {
            api_url: first.api_url.replace("/api/v3", "/api/v4"),
            ..first.clone()
        },
        Installation {
            private_key: Sensitive::new(PKCS8),
            ..first.clone()
        },
    ];
    tokens.get(&first).await.unwrap();
    github.requests();
    for other in others {
        tokens.get(&other).await.unwrap();
        assert_eq!(github.requests().len(), 1, "{other:?}");
    }
}

#[tokio::test]
async fn the_last_token_is_used_until_its_end_if_github_issues_none() {
    let github = FakeGitHub::start(vec![issued("ghs_1", 60), refused(500, "down")]).await;
    let (tokens, installation) = (
        InstallationTokens::with_clock(clock),
        github.installation(PKCS1),
    );
    for (minutes, expected) in [(0, true), (56, true), (59, true), (60, false)] {
        MINUTES.set(minutes);
        let outcome = tokens.get(&installation).await;
        assert_eq!(outcome.is_ok(), expected, "{minutes}");
    }
}

#[tokio::test]
async fn a_failed_exchange_is_repeated_when_github_permits_it() {
    let github = FakeGitHub::start(vec![refused(403, "rate limit"), issued("ghs_1", 60)]).await;
    let (tokens, installation) = (
        InstallationTokens::with_clock(clock),
        github.installation(PKCS1),
    );
    let after = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
        tokens.get(&installation).await.is_ok()
    };
    assert!(!after(0).await);
    assert!(!after(58).await);
    assert_eq!(github.requests().len(), 1);
    assert!(after(3).await);
}

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let cases = [
        (
            refused(401, "A JSON web token could not be decoded"),
            "GitHub does not accept the key of the GitHub App 7 (HTTP 401: A JSON web token could not be decoded); the key belongs to another app or was revoked, or the clock of this machine is wrong",
        ),
        (
            refused(404, "Not Found"),
            "the GitHub App 7 has no installation 42 (HTTP 404: Not Found); check installationId, apiBaseURL, and that the app is still installed",
        ),
        (
            refused(403, "This installation has been\u{202e}\nsuspended"),
            "GitHub issues no token for the GitHub App 7 (HTTP 403: This installation has been  suspended)",
        ),
        (
            (502, "<html>".to_owned()),
            "GitHub issues no token for the GitHub App 7 (HTTP 502: without a message of GitHub)",
        ),
        (
            (200, "{}".to_owned()),
            "the answer to the request for a GitHub App token is not one of GitHub's API: its status is 200, not 201",
        ),
        (
            (201, "{}".to_owned()),
            "the answer to the request for a GitHub App token is not one of GitHub's API: token or expires_at is missing or invalid",
        ),
        (
            (201, " ".repeat(300_000)),
            "the answer to the request for a GitHub App token is not one of GitHub's API: it is too large",
        ),
    ];
    for (answer, expected) in cases {
        let github = FakeGitHub::start(vec![answer]).await;
        let tokens = InstallationTokens::with_clock(clock);
        let error = tokens.get(&github.installation(PKCS1)).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn an_unusable_key_or_address_is_not_sent() {
    let github = FakeGitHub::start(vec![issued("ghs_1", 60)]).await;
    let body = PKCS8.lines().nth(1).unwrap();
    let keys = [
        ("", "it is not in PEM format"),
        (body, "it is not in PEM format"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "it is not a private key",
        ),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "it is encrypted",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
            "it is not an RSA key",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
            "it is not an RSA key of 2048 to 4096 bits",
        ),
    ];
    for (pem, why) in keys {
        let error = InstallationTokens::with_clock(clock)
            .get(&github.installation(pem))
            .await
            .unwrap_err()
            .to_string();
        let start = format!("the GitHub App's private key is unusable: {why}");
        assert!(error.starts_with(&start), "{error}");
        assert!(pem.is_empty() || !error.contains(body), "{error}");
    }
    let installation = Installation {
        ca_bundle: Some("no certificate".into()),
        ..github.installation(PKCS1)
    };
    let refused = InstallationTokens::with_clock(clock)
        .get(&installation)
        .await;
    let error = refused.unwrap_err();
    assert!(matches!(*error, GitHubAppError::Client(_)), "{error}");
    for api_url in ["github", "ftp://h", "https://u:p@h", "https://h/x?y"] {
        let installation = Installation {
            api_url: api_url.to_owned(),
            ..github.installation(PKCS1)
        };
        let error = InstallationTokens::with_clock(clock)
            .get(&installation)
            .await
            .unwrap_err();
        assert!(matches!(*error, GitHubAppError::ApiUrl { .. }), "{api_url}");
    }
    assert!(github.requests().is_empty());
}
