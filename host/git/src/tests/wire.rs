//! Tests of reading the answers of servers, without a server.

use bytes::BytesMut;
use proptest::prelude::*;

use super::super::advertisement::{
    self, Advertised, Advertisement, Capabilities, Common, FetchFeatures, ObjectFormat,
};
use super::super::candidates::{Query, RefCandidates};
use super::super::download::skip_to_pack;
use super::super::fetch;
use super::super::packet::{Packet, PacketSource, Packets};
use super::super::request::Version;
use super::super::resolve::read_refs;
use super::fake::packets;
use super::*;

/// Bytes that arrive in small pieces.
pub(super) struct Pieces(Vec<u8>, usize);

impl PacketSource for Pieces {
    async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, GitError> {
        let count = self.0.len().min(self.1);
        buffer.extend(self.0.drain(..count));
        Ok(count)
    }
}

pub(super) fn arriving(bytes: Vec<u8>) -> Packets<Pieces> {
    Packets::new(Pieces(bytes, 7), 1024 * 1024)
}

async fn advertised(texts: &[&str]) -> Result<Advertisement, GitError> {
    advertisement::read(&mut arriving(packets(texts))).await
}

async fn v0_refs(bytes: Vec<u8>) -> Result<Vec<Advertised>, GitError> {
    let mut packets = arriving(bytes);
    let mut found = Vec::new();
    match advertisement::read(&mut packets).await? {
        Advertisement::V0(first) => {
            advertisement::read_v0_refs(&mut packets, first, |one| found.push(one)).await?;
        }
        Advertisement::V2(_) => {}
    }
    Ok(found)
}

fn candidates(name: &str) -> RefCandidates {
    match Query::of(GitRef::parse(name).unwrap().name()) {
        Query::Ref(candidates) => candidates,
        Query::Commit(_) => panic!("{name} is the id of a commit"),
    }
}

async fn listed(name: &str, texts: &[&str]) -> Result<Option<(RefKind, Advertised)>, GitError> {
    let mut candidates = candidates(name);
    read_refs(&mut arriving(packets(texts)), |found| {
        candidates.add(&found);
    })
    .await?;
    let winner = candidates.into_winner();
    Ok(winner.map(|winner| (winner.kind, winner.found)))
}

fn line(digit: char, rest: &str) -> String {
    format!("{} {rest}\n", id(digit))
}

#[tokio::test]
async fn capabilities_are_read_with_and_without_the_prelude_of_smart_http() {
    let words = [
        "version 2\n",
        "agent=git/2\n",
        "ls-refs=unborn\n",
        "fetch=shallow wait-for-done filter\n",
        "object-format=sha256",
        "0000",
    ];
    let prelude = [&["# service=git-upload-pack\n", "0000"], &words[..]].concat();
    let expected = Capabilities {
        ls_refs: true,
        fetch: Some(FetchFeatures {
            shallow: true,
            filter: true,
        }),
        common: Common {
            agent: true,
            object_format: Some(ObjectFormat::Sha256),
        },
    };
    for texts in [&words[..], &prelude[..]] {
        let Advertisement::V2(found) = advertised(texts).await.unwrap() else {
            panic!("not version 2")
        };
        assert_eq!(found, expected);
    }
    let Advertisement::V2(bare) = advertised(&["version 2", "ls-refs", "fetch", "0000"])
        .await
        .unwrap()
    else {
        panic!("not version 2")
    };
    assert_eq!(
        bare,
        Capabilities {
            ls_refs: true,
            fetch: Some(FetchFeatures::default()),
            common: Common::default()
        }
    );
}

#[tokio::test]
async fn the_refs_of_versions_0_and_1_are_read() {
    let head = format!(
        "{} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/1",
        id('a')
    );
    let rest = [
        line('a', "refs/heads/main"),
        line('b', "refs/tags/v1"),
        line('c', "refs/tags/v1^{}"),
        line('d', "refs/tags/v2"),
    ];
    let shallow = format!("shallow {}", id('e'));
    let refs: Vec<&str> = [&head]
        .into_iter()
        .chain(&rest)
        .chain([&shallow])
        .map(String::as_str)
        .chain(["0000"])
        .collect();
    let one = [&["version 1"], &refs[..]].concat();
    let served = [&["# service=git-upload-pack", "0000"], &refs[..]].concat();
    for texts in [&refs, &one, &served] {
        let found = v0_refs(packets(texts)).await.unwrap();
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            ["HEAD", "refs/heads/main", "refs/tags/v1", "refs/tags/v2"]
        );
        assert_eq!(found[0].symref.as_deref(), Some("refs/heads/main"));
        assert_eq!((&found[2].id, &found[2].peeled), (&id('b'), &Some(id('c'))));
        assert_eq!(found[3].peeled, None);
    }
}

#[tokio::test]
async fn the_last_acknowledgement_precedes_the_pack() {
    let (shallow, ack) = (format!("shallow {}", id('a')), format!("ACK {}\n", id('b')));
    let before: Vec<_> = ["common", "continue", "ready"]
        .iter()
        .map(|word| format!("ACK {} {word}\n", id('b')))
        .collect();
    let all = [&*shallow, "0000", &*before[0], &before[1], &before[2]];
    for (texts, last) in [(&all[..], &*ack), (&all[..2], "NAK\n"), (&[], &ack)] {
        let mut packets = arriving(packets(&[texts, &[last, "PACK"]].concat()));
        skip_to_pack(&mut packets, Version::V0).await.unwrap();
        let Packet::Line(line) = packets.next().await.unwrap() else {
            panic!("not a line")
        };
        assert_eq!(line.text(), b"PACK");
    }
}

#[tokio::test]
async fn an_empty_repository_has_no_refs() {
    let none = format!("{} capabilities^{{}}\0multi_ack", "0".repeat(40));
    assert_eq!(v0_refs(packets(&[&none, "0000"])).await.unwrap(), []);
    assert_eq!(v0_refs(packets(&["0000"])).await.unwrap(), []);
    assert_eq!(
        listed(
            "HEAD",
            &["unborn HEAD symref-target:refs/heads/main", "0000"]
        )
        .await
        .unwrap(),
        None
    );
    assert_eq!(listed("main", &["0000"]).await.unwrap(), None);
}

#[tokio::test]
async fn only_exact_names_count_and_a_tag_comes_before_a_branch() {
    let (longer, below) = (line('1', "refs/tags/v1.1"), line('2', "refs/tags/v1/rc"));
    let (branch, tag) = (
        line('3', "refs/heads/v1"),
        line('4', &format!("refs/tags/v1 peeled:{}", id('5'))),
    );
    let (kind, found) = listed("v1", &[&branch, &longer, &below, "0000"])
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.target(), kind), (&id('3'), RefKind::Branch));
    let (kind, found) = listed("v1", &[&branch, &tag, "0000"])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.target(), kind, &*found.name),
        (&id('5'), RefKind::Tag, "refs/tags/v1")
    );
    assert_eq!(
        listed("v1", &[&longer, &below, "0000"]).await.unwrap(),
        None
    );
}

#[test]
fn only_refs_that_a_name_may_mean_are_requested() {
    for (name, expected) in [
        ("v1", &["refs/tags/v1", "refs/heads/v1"][..]),
        (
            "heads/x",
            &[
                "refs/tags/heads/x",
                "refs/heads/heads/x",
                "refs/heads/x",
                "refs/tags/x",
            ],
        ),
        (
            "tags/x",
            &[
                "refs/tags/tags/x",
                "refs/heads/tags/x",
                "refs/tags/x",
                "refs/heads/x",
            ],
        ),
        ("refs/tags/v1", &["refs/tags/v1", "refs/heads/v1"]),
        ("refs/heads/main", &["refs/heads/main", "refs/tags/main"]),
        ("refs/pull/7/head", &["refs/pull/7/head"]),
        ("HEAD", &["HEAD"]),
    ] {
        assert_eq!(candidates(name).names().collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn what_is_no_packet_or_no_ref_is_malformed() {
    for bytes in [
        &b"<!DOCTYPE html>"[..],
        b"0003",
        b"0004",
        b"zzzz",
        b"ffff",
        b"fff1xxxx",
        b"0009nonsense",
        b"0001",
    ] {
        let mut bytes = bytes.to_vec();
        bytes.extend_from_slice(b"0000");
        assert!(
            matches!(
                v0_refs(bytes.clone()).await,
                Err(GitError::Malformed { .. })
            ),
            "{bytes:?}"
        );
    }
    for text in [
        "x",
        "abc refs/tags/v1",
        &line('a', &format!("refs/tags/v1 peeled:{}", "x".repeat(40))),
    ] {
        assert!(
            matches!(
                listed("v1", &[text, "0000"]).await,
                Err(GitError::Malformed { .. })
            ),
            "{text}"
        );
    }
    assert!(matches!(
        advertised(&["version 2", "object-format=md5", "0000"]).await,
        Err(GitError::Malformed { .. })
    ));
}

#[tokio::test]
async fn an_answer_may_not_end_early() {
    let whole = packets(&["version 2", "ls-refs", "0000"]);
    for length in 0..whole.len() {
        let outcome = advertisement::read(&mut arriving(whole[..length].to_vec())).await;
        assert!(matches!(outcome, Err(GitError::Truncated)), "{length}");
    }
    assert!(matches!(
        v0_refs(packets(&[&line('a', "refs/heads/main")])).await,
        Err(GitError::Truncated)
    ));
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let many = line('a', "refs/heads/main");
    let bytes = packets(&vec![many.as_str(); 1000]);
    let mut packets = Packets::new(Pieces(bytes, 100), 4096);
    let Advertisement::V0(first) = advertisement::read(&mut packets).await.unwrap() else {
        panic!("not an old server")
    };
    let outcome = advertisement::read_v0_refs(&mut packets, first, drop).await;
    assert!(matches!(outcome, Err(GitError::TooLarge { limit: 4096 })));
}

#[tokio::test]
async fn what_a_server_says_is_cut_and_cleaned() {
    let long = format!("ERR no\u{1b}[31m\n{}", "x".repeat(1000));
    let Err(GitError::Remote { message }) = advertised(&[&long]).await else {
        panic!("no refusal")
    };
    assert!(
        message.starts_with("no [31m x") && message.len() == 200,
        "{message}"
    );
}

/// Parses the bytes with every parser. No parser may panic.
fn read_in_every_way(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        drop(v0_refs(bytes.to_vec()).await);
        drop(advertisement::read(&mut arriving(bytes.to_vec())).await);
        drop(read_refs(&mut arriving(bytes.to_vec()), drop).await);
        for version in [Version::V0, Version::V2] {
            drop(fetch::read(&mut arriving(bytes.to_vec()), version, &id('a')).await);
            drop(skip_to_pack(&mut arriving(bytes.to_vec()), version).await);
        }
    });
}

proptest! {
    #[test]
    fn no_bytes_lead_to_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_in_every_way(&bytes);
    }

    #[test]
    fn no_damaged_answer_leads_to_a_panic(at in 0usize..200, byte in any::<u8>(), kind in 0usize..3) {
        let texts = [
            vec!["version 2".to_owned(), "ls-refs=unborn".to_owned(), "fetch=shallow".to_owned()],
            vec![line('a', "HEAD\0symref=HEAD:refs/heads/x"), line('b', "refs/tags/v1"), line('c', "refs/tags/v1^{}")],
            vec!["shallow-info".to_owned(), format!("shallow {}", id('b')), "packfile".to_owned(), "\u{1}PACK".to_owned()],
        ];
        let texts: Vec<_> = texts[kind].iter().map(String::as_str).chain(["0000"]).collect();
        let mut bytes = packets(&texts);
        let at = at % bytes.len();
        bytes[at] = byte;
        read_in_every_way(&bytes);
    }
}
