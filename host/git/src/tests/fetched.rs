//! Tests of reading the answers to requests for one object, without a server.

use super::super::fetch;
use super::super::request::Version;
use super::super::resolve::check_id;
use super::fake::packets;
use super::wire::arriving;
use super::*;

async fn fetched(texts: &[&str]) -> Result<(), GitError> {
    let fetched = fetch::read(&mut arriving(packets(texts)), Version::V2, &id('a')).await?;
    check_id(&id('a'), &fetched)
}

#[tokio::test]
async fn a_fetched_commit_is_distinguished_from_other_objects() {
    let boundary = |digit| format!("shallow {}\n", id(digit));
    let pack = |kind: u8| {
        format!(
            "\u{1}PACK\0\0\0\u{2}\0\0\0\u{1}{}x",
            char::from(kind << 4 | 5)
        )
    };
    fetched(&["shallow-info", &boundary('a')]).await.unwrap();
    fetched(&["shallow-info", &boundary('b'), &boundary('a')])
        .await
        .unwrap();
    fetched(&[
        "packfile\n",
        "\u{2}counting",
        "\u{1}PA",
        "\u{1}CK\0\0\0\u{2}\0\0\0\u{1}\u{15}",
    ])
    .await
    .unwrap();
    for (texts, what) in [
        (
            vec![
                "shallow-info".to_owned(),
                boundary('b'),
                "0001".to_owned(),
                "packfile".to_owned(),
            ],
            "an annotated tag of bbb",
        ),
        (vec!["packfile".to_owned(), pack(2)], "a directory"),
        (vec!["packfile".to_owned(), pack(3)], "a file"),
        (vec!["packfile".to_owned(), pack(4)], "an annotated tag"),
    ] {
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let Err(GitError::NotACommit { found, .. }) = fetched(&texts).await else {
            panic!("{what}")
        };
        assert!(found.starts_with(what), "{found}");
    }
}

#[tokio::test]
async fn a_missing_commit_is_distinguished_from_other_errors() {
    let named = format!("ERR want {} not valid", id('a'));
    let band = format!("\u{3}upload-pack: not our ref {}", id('a'));
    for texts in [
        &["ERR upload-pack: not our ref"][..],
        &[&named],
        &["packfile", &band],
    ] {
        assert!(
            matches!(fetched(texts).await, Err(GitError::CommitNotFound { .. })),
            "{texts:?}"
        );
    }
    assert!(matches!(
        fetched(&["ERR too busy"]).await,
        Err(GitError::Remote { .. })
    ));
    assert!(matches!(
        fetched(&["shallow-info", "0000"]).await,
        Err(GitError::Truncated)
    ));
    assert!(matches!(
        fetched(&["packfile", "0000"]).await,
        Err(GitError::Truncated)
    ));
    assert!(matches!(
        fetched(&["packfile", "\u{9}x"]).await,
        Err(GitError::Malformed { .. })
    ));
    assert!(matches!(
        fetched(&["packfile", "\u{1}not a pack at all"]).await,
        Err(GitError::Malformed { .. })
    ));
    assert!(matches!(
        fetched(&["shallow x"]).await,
        Err(GitError::Malformed { .. })
    ));
}
