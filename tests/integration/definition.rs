//! The rules of the definition, which refuse objects that can never be resolved when they are applied.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stoker_tests::TestCluster;

fn secret() -> Value {
    json!({"secretRef": {"name": "s", "key": "k"}})
}

fn app(base: Option<&str>) -> Value {
    let mut app =
        json!({"appId": 1, "installationId": 2, "privateKeySecretRef": {"name": "s", "key": "k"}});
    if let Some(base) = base {
        app["apiBaseURL"] = base.into();
    }
    app
}

#[tokio::test]
async fn what_the_go_operator_can_resolve_is_accepted() -> Result<()> {
    let cluster = TestCluster::new().await?;
    let all = json!({"sshKey": secret(), "token": secret(), "githubApp": app(Some(""))});
    let accepted = [
        ("https://github.com/o/r.git", json!({})),
        ("HTTP://host/o/r", json!({"token": secret()})),
        (
            "https://user:pass@host/o/r",
            json!({"githubApp": app(None)}),
        ),
        (
            "https://h/r",
            json!({"githubApp": app(Some("https://ghe.example/api/v3"))}),
        ),
        ("https://h/r", all.clone()),
        ("git://host/r", json!({})),
        // The Go operator reports these when it resolves the ref.
        ("git://host/r", json!({"token": secret()})),
        ("GIT://host/r", json!({"sshKey": secret()})),
        ("git@github.com:o/r.git", json!({"token": secret()})),
        ("ssh://git@host/r", json!({"githubApp": app(None)})),
        ("ssh://git@host:2222/o/r.git", json!({"sshKey": secret()})),
        ("git@github.com:o/r.git", json!({"sshKey": secret()})),
        ("host:/srv/git/r.git", json!({"sshKey": secret()})),
        ("git@github.com:o/r.git", all),
    ];
    for (number, (repo, auth)) in accepted.into_iter().enumerate() {
        let name = format!("accepted-{number}");
        let spec = json!({"git": {"repo": repo, "auth": auth}});
        let created = cluster.create_named(&name, spec).await;
        created.with_context(|| repo.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn what_can_never_be_resolved_is_refused_with_what_to_write() -> Result<()> {
    let cluster = TestCluster::new().await?;
    let (url, fit) = (
        "repo must be a URL such as",
        "auth.sshKey does not fit repo",
    );
    let refused = [
        ("github.com/o/r", json!({}), url),
        ("/srv/git/r", json!({}), url),
        ("file:///srv/git/r", json!({}), url),
        ("ftp://host/r", json!({}), url),
        ("https://h/r", json!({"sshKey": secret()}), fit),
        ("HTTP://h/r", json!({"sshKey": secret()}), fit),
        (
            "https://h/r",
            json!({"githubApp": app(Some("ghe.example/api"))}),
            "apiBaseURL must begin with https://",
        ),
    ];
    for (repo, auth, why) in refused {
        let spec = json!({"git": {"repo": repo, "auth": auth}});
        let error = cluster.create_named("refused", spec).await.unwrap_err();
        assert!(format!("{error:#}").contains(why), "{repo}: {error:#}");
    }
    Ok(())
}
