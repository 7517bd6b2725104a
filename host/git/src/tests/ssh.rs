//! Tests of ssh, with a server made of the library and with OpenSSH's server.

pub(super) mod openssh;
mod server;

use std::sync::Arc;

use self::server::{Answer, Server};
use super::*;

pub(super) const ED25519: &str = include_str!("keys/ed25519");
pub(super) const ED25519_PUBLIC: &str = include_str!("keys/ed25519.pub");
pub(super) const ECDSA: &str = include_str!("keys/ecdsa");
pub(super) const RSA: &str = include_str!("keys/rsa");
pub(super) const CA_PUBLIC: &str = include_str!("keys/ca.pub");
pub(super) const HOST_CERTIFICATE: &str = include_str!("keys/host-cert.pub");

pub(super) fn with_key(url: &str, key: &str, known_hosts: Option<&str>) -> Remote {
    let credentials = Credentials::SshKey {
        private_key: Sensitive::new(key),
        known_hosts: known_hosts.map(Arc::from),
    };
    Remote::new(RepoUrl::parse(url).unwrap(), credentials)
}

pub(super) async fn lookup(client: &GitClient, remote: &Remote, name: &str) -> RefResult {
    let refs = [GitRef::parse(name).unwrap()];
    client.resolve(remote, &refs).await?.remove(0)
}

async fn refusal(remote: &Remote) -> String {
    lookup(&client(), remote, "main")
        .await
        .unwrap_err()
        .to_string()
}

/// Returns the line of `known_hosts` for a server and a public key.
fn line(server: &Server, key: &str) -> String {
    format!("[127.0.0.1]:{} {key}\n", server.port())
}

#[tokio::test]
async fn the_server_runs_the_command_of_git_with_version_2() {
    let server = Server::start(&[ED25519], Answer::V2).await;
    for (path, command) in [
        ("/o/r.git", "git-upload-pack '/o/r.git'"),
        ("/~me/r", "git-upload-pack '~me/r'"),
        ("/it%27s%20a!", "git-upload-pack '/it'\\''s a'\\!''"),
    ] {
        let remote = with_key(&server.url("deploy", path), ED25519, None);
        let found = lookup(&client(), &remote, "main").await.unwrap();
        assert_eq!(found.commit(), &id('a'));
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.command, command);
        assert_eq!(seen.user, "deploy");
        assert_eq!(seen.variables, ["GIT_PROTOCOL=version=2"]);
    }
    let remote = with_key(&server.url("", "/r"), ED25519, None);
    lookup(&client(), &remote, "main").await.unwrap();
    assert_eq!(server.seen().pop().unwrap().user, "git");
    let remote = with_key(&server.url("git", "/a%0ab"), ED25519, None);
    assert!(refusal(&remote).await.contains("control characters"));
}

#[tokio::test]
async fn a_server_that_refuses_version_2_answers_in_version_0() {
    let server = Server::start(&[ED25519], Answer::V0).await;
    let remote = with_key(&server.url("git", "/r"), ED25519, None);
    let found = lookup(&client(), &remote, "main").await.unwrap();
    assert_eq!(found.commit(), &id('a'));
}

#[tokio::test]
async fn keys_of_every_type_are_accepted_and_unknown_keys_are_not() {
    let server = Server::start(&[ED25519], Answer::V2).await;
    for key in [ED25519, ECDSA, RSA] {
        let remote = with_key(&server.url("git", "/r"), key, None);
        lookup(&client(), &remote, "main").await.unwrap();
    }
    let stranger = include_str!("keys/ca");
    let error = refusal(&with_key(&server.url("git", "/r"), stranger, None)).await;
    assert!(
        error.contains("refuses the user git: it does not accept the key"),
        "{error}"
    );
    let anonymous = Remote::anonymous(RepoUrl::parse(&server.url("git", "/r")).unwrap());
    let error = refusal(&anonymous).await;
    assert!(
        error.contains("it requires an ssh key, and none is configured"),
        "{error}"
    );
    let token = with_key(&server.url("s3cret", "/r"), stranger, None);
    let error = refusal(&token).await;
    assert!(error.contains("refuses the user of the address"), "{error}");
    let public = server.url("anonymous", "/r");
    let anonymous = Remote::anonymous(RepoUrl::parse(&public).unwrap());
    lookup(&client(), &anonymous, "main").await.unwrap();
}

#[tokio::test]
async fn an_unusable_key_or_file_is_an_error_before_any_connection() {
    let url = "ssh://git@192.0.2.1/r";
    let encrypted = include_str!("keys/encrypted");
    let error = refusal(&with_key(url, encrypted, None)).await;
    assert!(error.contains("encrypted with a passphrase"), "{error}");
    let error = refusal(&with_key(url, ED25519, Some("h ssh-ed25519 x"))).await;
    assert!(
        error.contains("known_hosts cannot be used: line 1"),
        "{error}"
    );
    let other = format!("other.example.com {ED25519_PUBLIC}");
    let error = refusal(&with_key(url, ED25519, Some(&other))).await;
    assert!(
        error.contains("known_hosts has no key of 192.0.2.1"),
        "{error}"
    );
}

#[tokio::test]
async fn the_host_key_that_known_hosts_has_is_shown_although_others_are_preferred() {
    let server = Server::start(&[ED25519, ECDSA, RSA], Answer::V2).await;
    for key in [ED25519, ECDSA, RSA] {
        let file = line(&server, &server::public(key));
        let remote = with_key(&server.url("git", "/r"), ED25519, Some(&file));
        let client = client();
        lookup(&client, &remote, "main").await.unwrap();
        let seen = client.host_key(&remote).unwrap();
        assert!(server::public(key).starts_with(seen.algorithm()));
        assert!(seen.fingerprint().starts_with("SHA256:"));
    }
}

#[tokio::test]
async fn a_host_key_that_is_not_trusted_is_refused() {
    let server = Server::start(&[ED25519], Answer::V2).await;
    let url = server.url("git", "/r");
    let shown = server::public(ED25519);
    // Another key of the same type, and a key of another type.
    for key in [CA_PUBLIC.to_owned(), server::public(ECDSA)] {
        let client = client();
        let remote = with_key(&url, ED25519, Some(&line(&server, &key)));
        let error = lookup(&client, &remote, "main").await.unwrap_err();
        assert!(matches!(error, GitError::HostKeyUnknown { .. }), "{error}");
        assert_eq!(client.host_key(&remote), None);
    }
    let file = format!("{}@revoked * {shown}\n", line(&server, &shown));
    let remote = with_key(&url, ED25519, Some(&file));
    let error = lookup(&client(), &remote, "main").await.unwrap_err();
    assert!(matches!(error, GitError::HostKeyRevoked { .. }), "{error}");
    assert!(server.seen().is_empty());
    // Both keys of a rotation are trusted.
    let file = line(&server, CA_PUBLIC.trim()) + &line(&server, &shown);
    lookup(&client(), &with_key(&url, ED25519, Some(&file)), "main")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_with_unsupported_host_keys_is_reported_as_such() {
    let server = Server::with_sha1().await;
    let error = refusal(&with_key(&server.url("git", "/r"), ED25519, None)).await;
    assert!(
        error.contains("has keys of the types ssh-rsa only"),
        "{error}"
    );
}

#[tokio::test]
async fn certificates_of_a_trusted_authority_are_accepted() {
    let server = Server::with_certificate(HOST_CERTIFICATE).await;
    let url = server.url("git", "/r");
    let authority = format!("@cert-authority 127.0.0.? {CA_PUBLIC}");
    lookup(
        &client(),
        &with_key(&url, ED25519, Some(&authority)),
        "main",
    )
    .await
    .unwrap();
    for file in [
        // Another authority, a revoked authority, and a revoked key of the server.
        format!("@cert-authority * {ED25519_PUBLIC}"),
        format!("{authority}@revoked * {CA_PUBLIC}"),
        format!("{authority}@revoked * {ED25519_PUBLIC}"),
    ] {
        let error = lookup(&client(), &with_key(&url, ED25519, Some(&file)), "main").await;
        assert!(
            matches!(
                error,
                Err(GitError::HostKeyUnknown { .. } | GitError::HostKeyRevoked { .. })
            ),
            "{file}"
        );
    }
    // The certificate does not name this host.
    let other = url.replace("127.0.0.1", "localhost");
    let any = format!("@cert-authority * {CA_PUBLIC}");
    let error = lookup(&client(), &with_key(&other, ED25519, Some(&any)), "main").await;
    assert!(matches!(error, Err(GitError::HostKeyUnknown { .. })));
}

#[tokio::test]
async fn a_host_key_is_reported_and_can_be_pinned() {
    let server = Server::start(&[ECDSA, ED25519], Answer::V2).await;
    let remote = with_key(&server.url("git", "/r"), ED25519, None);
    let client = client();
    assert_eq!(client.host_key(&remote), None);
    lookup(&client, &remote, "main").await.unwrap();
    let seen = client.host_key(&remote).unwrap();
    assert_eq!(seen.algorithm(), "ssh-ed25519");
    for pin in [seen.to_string(), seen.fingerprint().to_owned()] {
        let pinned = remote.clone().with_pinned_host_key(&pin);
        lookup(&client, &pinned, "main").await.unwrap();
    }
    // The server has a new key of the type, or no key of the type any more.
    for keys in [[include_str!("keys/ca")], [ECDSA]] {
        let other = Server::start(&keys, Answer::V2).await;
        let moved = with_key(&other.url("git", "/r"), ED25519, None);
        let pinned = moved.with_pinned_host_key(&seen.to_string());
        let error = lookup(&client, &pinned, "main").await.unwrap_err();
        assert!(matches!(error, GitError::HostKeyChanged { .. }), "{error}");
        let words = error.to_string();
        assert!(
            words.contains(seen.fingerprint()) && words.contains("accept it by"),
            "{words}"
        );
        assert!(other.seen().is_empty());
    }
}

#[tokio::test]
async fn a_key_that_was_accepted_for_another_remote_is_not_reported() {
    let server = Server::start(&[ECDSA, ED25519], Answer::V2).await;
    let remote = with_key(&server.url("git", "/r"), ED25519, None);
    let client = client();
    lookup(&client, &remote, "main").await.unwrap();
    let seen = client.host_key(&remote).unwrap();
    let pinned = remote.clone().with_pinned_host_key(&seen.to_string());
    lookup(&client, &pinned, "main").await.unwrap();
    // Another remote on the server accepts another of its keys.
    let known = line(&server, &server::public(ECDSA));
    let other = with_key(&server.url("git", "/r"), ED25519, Some(&known));
    lookup(&client, &other, "main").await.unwrap();
    assert_eq!(
        client.host_key(&other).unwrap().algorithm(),
        "ecdsa-sha2-nistp256"
    );
    for remote in [remote, pinned] {
        assert_eq!(client.host_key(&remote).as_ref(), Some(&seen));
    }
}

#[tokio::test]
async fn what_the_server_reports_is_part_of_the_error() {
    let server = Server::start(
        &[ED25519],
        Answer::Message("ERROR: Repository not found.\n"),
    )
    .await;
    let remote = with_key(&server.url("git", "/r"), ED25519, None);
    let error = lookup(&client(), &remote, "main").await.unwrap_err();
    assert!(
        matches!(error, GitError::RepositoryNotFound { .. }),
        "{error}"
    );
    let server = Server::start(
        &[ED25519],
        Answer::Message("Your account is\x1b[1m suspended."),
    )
    .await;
    let remote = with_key(&server.url("git", "/r"), ED25519, None);
    let error = refusal(&remote).await;
    assert_eq!(
        error,
        "the git server reports: Your account is [1m suspended."
    );
    let server = Server::start(&[ED25519], Answer::Refuse).await;
    let remote = with_key(&server.url("git", "/r"), ED25519, None);
    assert!(
        refusal(&remote)
            .await
            .contains("does not run git-upload-pack")
    );
}

#[tokio::test]
async fn a_server_that_is_silent_or_not_ssh_is_an_error() {
    let (address, task) = fake::listen(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let client = limited(Limits {
        connect: std::time::Duration::from_millis(50),
        ..Limits::default()
    });
    let remote = with_key(&format!("ssh://git@{address}/r"), ED25519, None);
    let error = lookup(&client, &remote, "main").await.unwrap_err();
    assert!(matches!(error, GitError::ConnectTimeout { .. }), "{error}");
    task.abort();
    let web = fake::Fake::start(|_| Some(fake::reply("200 OK", "text/html", b""))).await;
    let remote = with_key(&web.url("/r").replace("http:", "ssh:"), ED25519, None);
    let error = lookup(&client, &remote, "main").await.unwrap_err();
    assert!(!error.is_about_the_ref(), "{error}");
}
