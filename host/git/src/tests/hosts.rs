//! Tests of the hosts that may be contacted, by every transport and on redirects.

use super::fake::{Fake, redirect, reply};
use super::*;

fn allowing(patterns: &[&str]) -> GitClient {
    let patterns = patterns.iter().map(|text| text.parse().unwrap()).collect();
    GitClient::with_config(GitClientConfig {
        allowed_hosts: AllowedHosts::new(patterns),
        ..GitClientConfig::default()
    })
    .unwrap()
}

#[tokio::test]
async fn only_allowed_hosts_are_contacted_by_every_transport() {
    let site = Fake::start(|_| Some(reply("404 Not Found", "text/plain", b""))).await;
    let host = site.url("").replace("http://", "");
    let client = allowing(&["git.example.com", &host]);
    let error = resolve_by(&client, &site.url("/r"), "main")
        .await
        .unwrap_err();
    assert!(
        matches!(error, GitError::RepositoryNotFound { .. }),
        "{error}"
    );
    for scheme in ["http", "https", "git", "ssh"] {
        let url = format!("{scheme}://localhost/r");
        let error = resolve_by(&client, &url, "main").await.unwrap_err();
        assert!(
            matches!(error, GitError::HostNotAllowed { .. }),
            "{url}: {error}"
        );
    }
}

#[tokio::test]
async fn a_redirect_does_not_leave_the_allowed_hosts() {
    let other = Fake::start(|_| Some(reply("404 Not Found", "text/plain", b""))).await;
    let away = other.url("/info/refs?service=git-upload-pack");
    let site = Fake::start(move |_| Some(redirect(&away))).await;
    let host = site.url("").replace("http://", "");
    let error = resolve_by(&allowing(&[&host]), &site.url("/r"), "main").await;
    assert!(matches!(error, Err(GitError::HostNotAllowed { .. })));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn addresses_of_the_surroundings_are_refused_by_every_transport_and_on_redirects() {
    for scheme in ["http", "https", "git", "ssh"] {
        // The resolver of the system reads the last two notations as the address 169.254.169.254.
        for host in ["169.254.169.254", "[fe80::1]", "2852039166", "0xa9fea9fe"] {
            let url = format!("{scheme}://{host}/r");
            let error = resolve(&url, "main").await.unwrap_err();
            assert!(
                matches!(error, GitError::AddressForbidden { .. }),
                "{url}: {error}"
            );
        }
    }
    let site = Fake::start(|_| {
        Some(redirect(
            "http://169.254.169.254/r/info/refs?service=git-upload-pack",
        ))
    })
    .await;
    let error = resolve(&site.url("/r"), "main").await.unwrap_err();
    assert!(
        matches!(error, GitError::AddressForbidden { .. }),
        "{error}"
    );
}
