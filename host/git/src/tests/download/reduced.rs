//! Tests with servers of version 2 that do not do everything that git does, and with servers that do not behave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::fake::{Fake, advertisement, answer, frame, packets};
use super::made::{Object, pack};
use super::*;

/// Starts a server of version 2 that gives these answers to the requests, in their order. The last one is repeated.
async fn server(features: &str, answers: Vec<Vec<u8>>) -> Fake {
    let fetch = format!("fetch={features}");
    let first = packets(&["version 2", "ls-refs", &fetch, "object-format=sha1", "0000"]);
    let count = Arc::new(AtomicUsize::new(0));
    Fake::start(move |head| {
        if head.starts_with("GET ") {
            return Some(advertisement(&first));
        }
        let index = count.fetch_add(1, Ordering::Relaxed);
        answers
            .get(index.min(answers.len() - 1))
            .map(|body| answer(body))
    })
    .await
}

/// Returns an answer with a pack.
fn sent(pack: &[u8]) -> Vec<u8> {
    let mut body = packets(&["packfile\n"]);
    body.extend(packets(&["\u{2}Counting\u{1b}[1m objects\r\n"]));
    for part in pack.chunks(1000) {
        body.extend(frame(&[&[1], part].concat()));
        body.extend(packets(&["\u{1}"]));
    }
    body.extend(packets(&["0000"]));
    body
}

fn refs(line: &str) -> Vec<u8> {
    packets(&[line, "0000"])
}

fn small_commit() -> (CommitId, Vec<u8>) {
    let blob = Object::blob(b"text");
    let tree = Object::tree(&[("100644", b"file", &blob)]);
    let commit = Object::commit(&tree);
    let id = CommitId::parse(&commit.id.to_string()).unwrap();
    (id, pack(&[commit, tree, blob]))
}

/// Returns a client with other limits of fetches.
fn limited(fetch: FetchLimits) -> GitClient {
    let config = GitClientConfig {
        fetch,
        ..GitClientConfig::default()
    };
    GitClient::with_config(config).unwrap()
}

#[tokio::test]
async fn an_answer_of_another_commit_is_refused() {
    let (commit, pack) = small_commit();
    let fake = server("shallow", vec![sent(&pack)]).await;
    let stored = Stored::new();
    let error = fetch(&fake.url("/r"), &id('a'), &stored.store)
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::Incomplete { .. }), "{error}");
    assert!(stored.files().is_empty());
    fetch(&fake.url("/r"), &commit, &stored.store)
        .await
        .unwrap();
    assert_eq!(checked_out(&stored.store, &commit).len(), 1);
}

#[tokio::test]
async fn a_server_that_sends_no_ids_is_asked_for_the_tag() {
    let (commit, pack) = small_commit();
    let refusal = packets(&["ERR upload-pack: not our ref"]);
    let listed = refs(&format!("{} refs/tags/v1 peeled:{commit}", id('b')));
    let fake = server("shallow", vec![refusal.clone(), listed, sent(&pack)]).await;
    let stored = Stored::new();
    let asked = wanted(&commit, "v1");
    client()
        .fetch(&remote(&fake.url("/r")), &asked, &stored.store)
        .await
        .unwrap();
    assert_eq!(checked_out(&stored.store, &commit).len(), 1);
    for (listed, expected) in [
        (
            format!("{} refs/tags/v1", id('c')),
            format!(
                "the git server does not send the commit {commit} by its id, and v1 leads to {} now",
                id('c')
            ),
        ),
        (
            format!("{commit} refs/tags/v1"),
            format!("the repository has no commit {commit}"),
        ),
        (
            format!("{commit} refs/tags/v1.1"),
            "the repository has no tag and no branch v1".to_owned(),
        ),
    ] {
        let stored = Stored::new();
        let fake = server("shallow", vec![refusal.clone(), refs(&listed)]).await;
        let outcome = client()
            .fetch(&remote(&fake.url("/r")), &asked, &stored.store)
            .await;
        let message = outcome.unwrap_err().to_string();
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[tokio::test]
async fn what_a_server_reports_reaches_the_user() {
    let (commit, pack) = small_commit();
    let mut failing = packets(&["packfile\n"]);
    failing.extend(frame(&[&[1], &pack[..40]].concat()));
    failing.extend(packets(&["\u{3}out of\u{7} memory"]));
    for (body, expected) in [
        (failing, "the git server reports: out of  memory"),
        (
            packets(&["ERR too busy"]),
            "the git server reports: too busy",
        ),
        (
            packets(&["packfile\n", "\u{9}x"]),
            "the git server's answer is malformed: a pack in an unknown side band",
        ),
        (
            packets(&["shallow-info", "0000"]),
            "the git server's answer ends too early",
        ),
        (
            packets(&["packfile\n", "\u{1}PACK"]),
            "the git server's answer ends too early",
        ),
    ] {
        let fake = server("shallow", vec![body]).await;
        let stored = Stored::new();
        let error = fetch(&fake.url("/r"), &commit, &stored.store)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(stored.files().is_empty());
    }
}

#[tokio::test]
async fn a_pack_that_is_cut_or_changed_anywhere_is_refused() {
    let (commit, pack) = small_commit();
    for at in 0..pack.len() {
        let mut changed = pack.clone();
        changed[at] ^= 0x41;
        for bytes in [&pack[..at], &changed] {
            let fake = server("shallow", vec![sent(bytes)]).await;
            let stored = Stored::new();
            let error = fetch(&fake.url("/r"), &commit, &stored.store)
                .await
                .unwrap_err();
            let is_refused = matches!(
                error,
                GitError::Pack(_)
                    | GitError::TooManyObjects { .. }
                    | GitError::ObjectTooLarge { .. }
            );
            assert!(is_refused, "{at}: {error}");
            assert!(stored.files().is_empty(), "{at}");
        }
    }
    let longer = [&pack[..], b"more"].concat();
    let fake = server("shallow", vec![sent(&longer)]).await;
    let stored = Stored::new();
    let error = fetch(&fake.url("/r"), &commit, &stored.store)
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::Pack(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_takes_too_much_for_known_is_asked_for_everything() {
    let (first, whole) = small_commit();
    let blob = Object::blob(b"text");
    let tree = Object::tree(&[("100644", b"other", &blob)]);
    let second = Object::commit(&tree);
    let second_id = CommitId::parse(&second.id.to_string()).unwrap();
    let third_blob = Object::blob(b"third");
    let third_tree = Object::tree(&[("100644", b"other", &third_blob)]);
    let third = Object::commit(&third_tree);
    let third_id = CommitId::parse(&third.id.to_string()).unwrap();
    let answers = vec![
        sent(&whole),
        sent(&pack(&[second.clone(), tree.clone()])),
        // The tree is missing here.
        sent(&pack(std::slice::from_ref(&third))),
        sent(&pack(&[third, third_tree, third_blob])),
    ];
    let fake = server("shallow", answers).await;
    let stored = Stored::new();
    for commit in [&first, &second_id, &third_id] {
        fetch(&fake.url("/r"), commit, &stored.store).await.unwrap();
        assert_eq!(checked_out(&stored.store, commit).len(), 1);
    }
    // The last pack alone has everything, so that it replaces the others.
    assert_eq!(stored.packs(), 1);
    assert_eq!(stored.store.commit(&first).unwrap(), None);
}

#[tokio::test]
async fn the_limits_of_a_fetch_are_kept() {
    let (commit, pack) = small_commit();
    let limited = |fetch| {
        GitClient::with_config(GitClientConfig {
            fetch,
            ..GitClientConfig::default()
        })
        .unwrap()
    };
    let fake = server("shallow", vec![sent(&pack)]).await;
    for (limits, expected) in [
        (
            FetchLimits {
                objects: 2,
                ..FetchLimits::default()
            },
            "the git server's pack has 3 objects, which are more than the limit of 2",
        ),
        (
            FetchLimits {
                pack_bytes: 200,
                ..FetchLimits::default()
            },
            "the git server's answer is larger than the limit of 200 bytes",
        ),
        (
            FetchLimits {
                object_bytes: 100,
                ..FetchLimits::default()
            },
            "the commit has a file that is larger than the limit of 100 bytes",
        ),
    ] {
        let stored = Stored::new();
        let outcome = limited(limits)
            .fetch(
                &remote(&fake.url("/r")),
                &wanted(&commit, "main"),
                &stored.store,
            )
            .await;
        assert_eq!(outcome.unwrap_err().to_string(), expected);
        assert!(stored.files().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let idle = Duration::from_millis(50);
    let client = limited(FetchLimits {
        idle,
        ..FetchLimits::default()
    });
    let (commit, pack) = small_commit();
    let stored = Stored::new();
    let silent = Fake::start(|_| None).await;
    // This answer announces more than it has.
    let mut half = answer(&sent(&pack));
    half.truncate(half.len() - 300);
    let first = advertisement(&packets(&["version 2", "fetch=shallow", "0000"]));
    let hanging = Fake::start(move |head| {
        Some(if head.starts_with("GET ") {
            first.clone()
        } else {
            half.clone()
        })
    })
    .await;
    for fake in [silent, hanging] {
        let outcome = client
            .fetch(
                &remote(&fake.url("/r")),
                &wanted(&commit, "main"),
                &stored.store,
            )
            .await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, GitError::Timeout { limit } if limit == idle),
            "{error}"
        );
        assert!(stored.files().is_empty());
    }
}

/// Starts a server of the protocol `git:` that begins an answer with a pack, and then sends this packet for ever.
async fn endless(packet: &'static [u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let first = packets(&["version 2", "fetch=shallow", "0000"]);
        stream.write_all(&first).await.unwrap();
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(&packets(&["packfile\n"])).await.unwrap();
        let many = packet.repeat(1000);
        while stream.write_all(&many).await.is_ok() {}
    });
    format!("git://{address}/r")
}

#[tokio::test]
async fn a_server_that_makes_no_progress_is_given_up() {
    let idle = Duration::from_millis(50);
    let client = limited(FetchLimits {
        idle,
        ..FetchLimits::default()
    });
    for packet in [&b"0005\x01"[..], b"000a\x02Wait\r"] {
        let stored = Stored::new();
        let url = endless(packet).await;
        let outcome = client
            .fetch(&remote(&url), &wanted(&id('a'), "main"), &stored.store)
            .await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, GitError::NoProgress { limit } if limit == idle),
            "{error}"
        );
        assert!(stored.files().is_empty());
    }
}

#[tokio::test]
async fn the_whole_fetch_has_a_time_limit() {
    let total = Duration::from_millis(50);
    let client = limited(FetchLimits {
        total,
        ..FetchLimits::default()
    });
    let stored = Stored::new();
    let url = endless(b"0005\x01").await;
    let outcome = client
        .fetch(&remote(&url), &wanted(&id('a'), "main"), &stored.store)
        .await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, GitError::FetchTimeout { limit } if limit == total),
        "{error}"
    );
}

#[tokio::test]
async fn a_dumb_server_is_recognised() {
    let list = format!("{}\trefs/heads/main\n", id('a'));
    let fake = Fake::start(move |_| {
        Some(super::super::fake::reply(
            "200 OK",
            "text/plain",
            list.as_bytes(),
        ))
    })
    .await;
    let stored = Stored::new();
    let error = fetch(&fake.url("/r"), &id('a'), &stored.store)
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::DumbProtocol { .. }), "{error}");
}
