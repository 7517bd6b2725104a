use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};
use stoker_git::{Credentials, RefKind, Sensitive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, after, commit};
use super::gateways;

const APP_KEY: &str = include_str!("../../github_app/tests/pkcs8.pem");
const TOKEN_SECRET: &str = "/api/v1/namespaces/edge/secrets/stoker-github-token-plant";
const SECRETS: &str = "/api/v1/namespaces/edge/secrets";

fn reference(name: &str) -> Value {
    json!({"secretRef": {"name": name, "key": "value"}})
}

fn put_secret(bench: &Bench, name: &str, data: &[(&str, &[u8])]) {
    let data: serde_json::Map<_, _> = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), BASE64.encode(value).into()))
        .collect();
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data});
    bench.api.put(&format!("{SECRETS}/{name}"), secret);
}

/// An object with credentials, and its Secrets with one value each.
fn bench(auth: Value, secrets: &[(&str, &str)]) -> Bench {
    let bench = Bench::new(&GatewaySync::sample().auth(auth));
    for (name, value) in secrets {
        put_secret(&bench, name, &[("value", value.as_bytes())]);
    }
    bench
}

fn ref_resolved(bench: &Bench) -> (String, String) {
    let (_, reason, message) = bench.condition("RefResolved");
    (reason, message)
}

#[tokio::test(start_paused = true)]
async fn the_credentials_of_the_secrets_are_sent() {
    let ssh = |known_hosts: Option<&str>| Credentials::SshKey {
        private_key: Sensitive::new("-----BEGIN-----\nkey\n"),
        known_hosts: known_hosts.map(Into::into),
    };
    let mut known = reference("key");
    known["knownHosts"] = reference("hosts");
    let cases = [
        (json!({}), Credentials::Anonymous),
        (
            json!({"token": reference("token")}),
            Credentials::Token(Sensitive::new("ghp_1")),
        ),
        (json!({"sshKey": reference("key")}), ssh(None)),
        (json!({"sshKey": known}), ssh(Some("host ssh-ed25519 A\n"))),
        (
            json!({"sshKey": reference("key"), "token": reference("token")}),
            ssh(None),
        ),
    ];
    for (auth, expected) in cases {
        let secrets = [
            ("token", " ghp_1\n"),
            ("key", "-----BEGIN-----\nkey\n"),
            ("hosts", "host ssh-ed25519 A\n"),
        ];
        let bench = bench(auth.clone(), &secrets);
        assert_eq!(bench.pass().await.unwrap(), after(300), "{auth}");
        assert_eq!(bench.git.credentials(), [expected], "{auth}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusable_secret_is_reported_and_tried_again() {
    let cases: [(&str, &[u8], &str); 4] = [
        ("other", b"x", "has no key \"value\""),
        ("value", b" \n", "has an empty value in the key \"value\""),
        (
            "value",
            b"\xff\xfe",
            "has a value that is not text in the key \"value\"",
        ),
        (
            "value",
            b"one\ntwo",
            "has several lines in the key \"value\"",
        ),
    ];
    for (name, value, why) in cases {
        let bench = bench(json!({"token": reference("cred")}), &[]);
        put_secret(&bench, "cred", &[(name, value)]);
        assert_eq!(bench.pass().await.unwrap(), after(30));
        let message =
            format!("Ref resolution failed (retry in 30s): the token secret \"cred\" {why}");
        assert_eq!(
            ref_resolved(&bench),
            ("RefResolutionFailed".to_owned(), message)
        );
        assert_eq!(bench.git.looked_up(), [""; 0]);
        put_secret(&bench, "cred", &[("value", b"ghp_1")]);
        assert_eq!(bench.pass().await.unwrap(), after(300));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_with_known_hosts_is_reported_with_the_ref() {
    let mut auth = reference("key");
    auth["knownHosts"] = reference("hosts");
    let bench = bench(json!({ "sshKey": auth }), &[("key", "k")]);
    assert_eq!(bench.pass().await.unwrap(), after(30));
    let message = "Ref resolution failed (retry in 30s): known hosts secret \"hosts\" not found: \"hosts\" not found";
    assert_eq!(ref_resolved(&bench).1, message);
    assert_eq!(
        bench.git.looked_up(),
        [""; 0],
        "the host is not trusted blindly"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_key_that_an_older_definition_drops_is_not_said_to_be_pinned() {
    let bench = bench(json!({"sshKey": reference("key")}), &[("key", "k")]);
    let message = || bench.condition("SSHHostKeyVerification").2;
    bench.api.drop_from_status(&["sshHostKey"]);
    // The API server drops the key after the condition was computed.
    assert_eq!(bench.pass().await.unwrap(), after(1));
    for _ in 0..2 {
        assert_eq!(bench.pass().await.unwrap(), after(300));
        assert!(message().contains("neither verified nor pinned"));
        tokio::time::advance(Duration::from_mins(1)).await;
    }
    // The definition is replaced.
    bench.api.drop_from_status(&[]);
    assert_eq!(bench.pass().await.unwrap(), after(1));
    assert_eq!(bench.pass().await.unwrap(), after(300));
    assert!(message().contains("is pinned in status.sshHostKey"));
}

#[tokio::test(start_paused = true)]
async fn no_value_of_a_secret_is_shown() {
    let bench = bench(json!({"token": reference("cred")}), &[("cred", "s3cret")]);
    bench.change(|sync| sync.git_ref("gone"));
    bench.pass().await.unwrap();
    let map = bench.api.get(METADATA);
    let shown = format!("{:?} {:?} {map:?}", bench.object().status, bench.events());
    assert!(!shown.contains("s3cret"), "{shown}");
}

/// An API of GitHub that issues the tokens `ghs_1`, `ghs_2` …, each for an hour from the time of the tests, or answers
/// with another status.
async fn github(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut count = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            count += 1;
            let body = json!({
                "token": format!("ghs_{count}"), "expires_at": "2026-03-01T13:00:00Z", "message": "No",
            })
            .to_string();
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    url
}

fn app(api_url: &str) -> Value {
    json!({"githubApp": {
        "appId": 7, "installationId": 42, "apiBaseURL": api_url,
        "privateKeySecretRef": {"name": "app", "key": "value"},
    }})
}

fn token_in_secret(bench: &Bench) -> Vec<u8> {
    let secret = bench.api.get(TOKEN_SECRET).unwrap();
    BASE64
        .decode(secret["data"]["token"].as_str().unwrap())
        .unwrap()
}

#[tokio::test]
async fn the_token_of_a_github_app_is_used_and_written_for_the_agents() {
    let bench = bench(app(&github(201).await), &[("app", APP_KEY)]);
    assert!(bench.pass().await.is_ok());
    let token = Credentials::Token(Sensitive::new("ghs_1"));
    assert_eq!(bench.git.credentials(), [token]);
    assert_eq!(token_in_secret(&bench), b"ghs_1");
    let secret = bench.api.get(TOKEN_SECRET).unwrap();
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(
        secret["metadata"]["labels"],
        json!({"stoker.io/cr-name": "plant", "app.kubernetes.io/managed-by": "stoker-controller"})
    );
    assert_eq!(
        secret["metadata"]["annotations"],
        json!({"stoker.io/secret-type": "github-app-token"})
    );
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    assert_eq!(
        bench.api.get(METADATA).unwrap()["data"]["authType"],
        "githubApp"
    );
    bench.api.calls();
    bench.pass().await.unwrap();
    let writes: Vec<_> = bench.api.calls();
    assert!(
        writes.iter().all(|call| call.starts_with("GET ")),
        "{writes:?}"
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_without_polling_too() {
    let bench = bench(app(&github(201).await), &[("app", APP_KEY)]);
    bench.change(|sync| sync.polling(false, "60s"));
    // The clock of the tests stands at 0.25 seconds after noon, and the token ends at one.
    let renewal = Duration::from_mins(55) - Duration::from_millis(250);
    assert_eq!(bench.pass().await.unwrap(), Action::requeue(renewal));
}

#[tokio::test]
async fn the_token_secret_of_the_go_operator_is_updated_and_that_of_others_stays() {
    let bench = bench(app(&github(201).await), &[("app", APP_KEY)]);
    let foreign =
        json!({"metadata": {"name": "stoker-github-token-plant"}, "data": {"token": "eA=="}});
    bench.api.put(TOKEN_SECRET, foreign);
    let error = bench.pass().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Metadata not published: the Secret stoker-github-token-plant exists, and it was not created by Stoker; delete it, or create the GatewaySync under another name"
    );
    assert_eq!(token_in_secret(&bench), b"x");
    let operator = json!({
        "metadata": {"name": "stoker-github-token-plant", "labels": {
            "stoker.io/cr-name": "plant", "app.kubernetes.io/managed-by": "stoker-controller"}},
        "data": {"token": "eA=="},
    });
    bench.api.put(TOKEN_SECRET, operator);
    assert!(bench.pass().await.is_ok());
    assert_eq!(token_in_secret(&bench), b"ghs_1");
}

#[tokio::test]
async fn a_github_app_without_a_token_is_reported() {
    for (status, pem, why) in [
        (
            404,
            APP_KEY,
            "the GitHub App 7 has no installation 42 (HTTP 404: No)",
        ),
        (
            201,
            "no key",
            "the GitHub App's private key is unusable: it is not in PEM format",
        ),
        (
            201,
            " ",
            "the GitHub App private key secret \"app\" has an empty value",
        ),
    ] {
        let bench = bench(app(&github(status).await), &[("app", pem)]);
        assert_eq!(bench.pass().await.unwrap(), after(30));
        let (reason, message) = ref_resolved(&bench);
        assert_eq!(reason, "GitHubAppExchangeFailed");
        assert!(message.contains(why), "{message}");
        assert_eq!(bench.git.looked_up(), [""; 0]);
        assert!(bench.api.get(TOKEN_SECRET).is_none());
        let events = bench.events();
        assert!(
            events[0].starts_with("Warning GitHubAppExchangeFailed: "),
            "{events:?}"
        );
    }
}

#[tokio::test]
async fn gateways_are_compared_with_the_published_commit_while_the_token_secret_cannot_be_written()
{
    let bench = gateways::bench(&["gw-0"]);
    let auth = app(&github(201).await);
    bench.change(|sync| sync.auth(auth));
    put_secret(&bench, "app", &[("value", APP_KEY.as_bytes())]);
    let runs = |digit| {
        gateways::report(&bench, &json!({"gw-0": gateways::entry("Synced", digit)}));
    };
    runs('a');
    bench.pass().await.unwrap();
    // The token is there, so nothing uses the network from now on.
    tokio::time::pause();
    let mut changed = bench.api.get(TOKEN_SECRET).unwrap();
    changed["data"]["token"] = "eA==".into();
    bench.api.put(TOKEN_SECRET, changed);
    bench
        .api
        .refuse(&format!("PATCH {TOKEN_SECRET}"), 403, "not now");
    bench.git.set("main", 'b', RefKind::Branch);
    for (digit, skewed) in [('b', "False"), ('b', "False"), ('a', "True")] {
        runs(digit);
        tokio::time::advance(Duration::from_mins(2)).await;
        bench.pass().await.unwrap_err();
        let published = bench.api.get(METADATA).unwrap();
        assert_eq!(published["data"]["commit"], commit('b').as_str());
        assert_eq!(bench.condition("RefSkew").0, skewed, "{digit}");
    }
}
