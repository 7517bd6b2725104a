//! Tests with servers of version 0 that do not say where annotated tags lead to.

use super::super::fake::{Fake, advertisement, answer, frame, packets};
use super::made::{Object, pack};
use super::*;

/// Starts a server of version 0 with these refs, after `HEAD`, that answers each request with a pack.
async fn server(refs: &[&str], objects: &[Object]) -> Fake {
    let head = format!("{} HEAD\0side-band-64k shallow", id('f'));
    let first = packets(&[&[&*head], refs, &["0000"]].concat());
    let mut body = packets(&["NAK\n"]);
    body.extend(frame(&[&[1], &*pack(objects)].concat()));
    body.extend(packets(&["0000"]));
    Fake::start(move |request| {
        Some(if request.starts_with("GET ") {
            advertisement(&first)
        } else {
            answer(&body)
        })
    })
    .await
}

fn commit() -> (CommitId, Vec<Object>) {
    let blob = Object::blob(b"text");
    let tree = Object::tree(&[("100644", b"file", &blob)]);
    let commit = Object::commit(&tree);
    let id = CommitId::parse(&commit.id.to_string()).unwrap();
    (id, vec![commit, tree, blob])
}

async fn outcome(server: &Fake, wanted: Wanted) -> Result<usize, String> {
    let stored = Stored::new();
    let url = remote(&server.url("/r"));
    match client().fetch(&url, &wanted, &stored.store).await {
        Ok(_) => Ok(checked_out(&stored.store, &wanted.commit).len()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_tag_is_requested_that_may_lead_to_the_commit() {
    let (commit, objects) = commit();
    let tag = format!("{} refs/tags/v1", id('b'));
    let peeled = format!("{} refs/tags/v1^{{}}", id('c'));
    let branch = format!("{} refs/heads/v1", id('b'));
    let moved = |now| {
        let text = "the git server does not send the commit";
        Err(format!(
            "{text} {commit} by its id, and v1 leads to {now} now"
        ))
    };
    for (refs, expected) in [
        (&[&*tag][..], Ok(1)),
        (&[&tag, &peeled], moved(id('c'))),
        (&[&branch], moved(id('b'))),
    ] {
        let fake = server(refs, &objects).await;
        assert_eq!(outcome(&fake, wanted(&commit, "v1")).await, expected);
    }
    let fake = server(&[&tag], &objects).await;
    let error = outcome(&fake, wanted(&id('e'), "v1")).await.unwrap_err();
    assert!(error.contains("did not send all files"), "{error}");
}
