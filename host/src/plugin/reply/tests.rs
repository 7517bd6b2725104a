use proptest::prelude::*;

use super::*;

/// Checks an answer, without its notes.
fn check(raw: RawReply, limits: &Limits) -> Result<Reply, CallError> {
    super::check(raw, limits, &mut Vec::new())
}

fn found(raw: RawDetection) -> Result<Reply, CallError> {
    check(RawReply::Found(vec![raw]), &Limits::default())
}

fn raw(git_ref: &str) -> RawDetection {
    RawDetection {
        git_ref: git_ref.to_owned(),
        ..RawDetection::default()
    }
}

#[test]
fn a_sound_detection_is_taken_over() {
    let raw = RawDetection {
        git_ref: "refs/tags/v1".into(),
        commit: Some("AB".repeat(20)),
        repositories: vec!["o/r".into()],
        occurred_at: Some("2026-01-02T03:04:05+01:00".into()),
        delivery_id: Some("id".into()),
        attributes: vec![("event".into(), " push\n".into())],
    };
    let Ok(Reply::Found(found)) = found(raw) else {
        panic!("not found")
    };
    assert_eq!(found[0].git_ref.as_str(), "refs/tags/v1");
    assert_eq!(found[0].commit.as_ref().unwrap().as_str(), "ab".repeat(20));
    assert_eq!(found[0].event.as_deref(), Some("push"));
    assert_eq!(
        found[0].occurred_at.unwrap().to_string(),
        "2026-01-02T02:04:05Z"
    );
}

#[test]
fn an_event_is_bounded_and_printable() {
    let event = |attributes: &[(&str, &str)]| {
        let attributes = attributes
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let raw = RawDetection {
            attributes: attributes.collect(),
            ..raw("v1")
        };
        let Ok(Reply::Found(found)) = found(raw) else {
            panic!("not found")
        };
        found[0].event.clone()
    };
    assert_eq!(event(&[]), None);
    assert_eq!(event(&[("other", "push"), ("event", " ")]), None);
    let several = [("event", "push"), ("event", "create")];
    assert_eq!(event(&several).as_deref(), Some("push"));
    let colored = event(&[("event", "release\u{1b}[31m")]);
    assert_eq!(colored.as_deref(), Some("release\u{fffd}[31m"));
    let longest = format!("com.example.{}", "x".repeat(243));
    assert_eq!(event(&[("event", &longest)]), Some(longest));
    let long = event(&[("event", &"é".repeat(200))]);
    assert_eq!(long, Some("é".repeat(127)));
}

#[test]
fn a_ref_is_that_of_a_tag_by_its_attribute() {
    for (attributes, is_tag) in [
        (&[][..], false),
        (&[("event", "tag")], false),
        (&[("event", "push"), ("ref-kind", " tag\n")], true),
        (&[("ref-kind", "branch"), ("ref-kind", "tag")], false),
        (&[("ref-kind", "Tag")], false),
    ] {
        let attributes = attributes
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let raw = RawDetection {
            attributes: attributes.collect(),
            ..raw("v1")
        };
        let Ok(Reply::Found(found)) = found(raw) else {
            panic!("not found")
        };
        assert_eq!(found[0].is_tag, is_tag);
    }
}

#[test]
fn a_ref_that_git_refuses_is_no_fault_of_the_plugin() {
    assert!(matches!(found(raw("a b")), Err(CallError::Ref(_))));
    assert!(matches!(found(raw("")), Err(CallError::Ref(_))));
}

#[test]
fn what_the_sender_wrote_wrong_is_left_out_and_noted() {
    let long = "x".repeat(1025);
    for (commit, time, id, why) in [
        (
            Some("abc"),
            None,
            None,
            "the commit \"abc\" of v1 is left out: ",
        ),
        (Some(""), None, None, "the commit \"\" of v1 is left out: "),
        (
            Some("0000000000000000000000000000000000000000"),
            None,
            None,
            "a commit id of all zeros means that there is no commit",
        ),
        (
            None,
            Some("yesterday"),
            None,
            "the time of v1 is left out: ",
        ),
        (None, Some("1767323045"), None, "is not RFC 3339"),
        (
            None,
            Some("2026-01-02T03:04:05"),
            None,
            "no offset from UTC",
        ),
        (
            None,
            None,
            Some(&*long),
            "a printable text of at most 1024 bytes",
        ),
        (
            None,
            None,
            Some("a\nb"),
            "a printable text of at most 1024 bytes",
        ),
    ] {
        let raw = RawDetection {
            commit: commit.map(str::to_owned),
            occurred_at: time.map(str::to_owned),
            delivery_id: id.map(str::to_owned),
            ..raw("v1")
        };
        let mut notes = Vec::new();
        let reply = super::check(RawReply::Found(vec![raw]), &Limits::default(), &mut notes);
        let Ok(Reply::Found(found)) = reply else {
            panic!("not found")
        };
        let Detection {
            commit,
            occurred_at,
            delivery_id,
            ..
        } = &found[0];
        assert!(commit.is_none() && occurred_at.is_none() && delivery_id.is_none());
        assert!(notes.len() == 1 && notes[0].contains(why), "{notes:?}");
    }
}

#[test]
fn notes_are_bounded() {
    let long = |number| RawDetection {
        commit: Some(format!("\u{1b}{}", "é".repeat(5000))),
        ..raw(&format!("v{number}"))
    };
    let mut notes = Vec::new();
    let many = RawReply::Found((0..5000).map(long).collect());
    let reply = super::check(many, &Limits::default(), &mut notes);
    assert!(reply.is_ok() && notes.len() == 16, "{}", notes.len());
    assert_eq!(
        notes[0],
        "904 of the refs are left out: an answer has at most 4096"
    );
    let is_fit = |note: &String| note.len() <= 1100 && first_unprintable(note).is_none();
    assert!(notes.iter().all(is_fit), "{notes:?}");
}

#[test]
fn a_ref_whose_emoji_have_their_style_can_be_used() {
    let Ok(Reply::Found(found)) = found(raw("refs/heads/♻\u{fe0f}")) else {
        panic!("not found")
    };
    assert_eq!(found[0].git_ref.as_str(), "refs/heads/♻\u{fe0f}");
}

#[test]
fn a_detection_that_cannot_be_used_does_not_affect_the_others() {
    let many = || RawDetection {
        repositories: vec![String::new(); 4097],
        ..raw("v2")
    };
    let refs = |found: Vec<RawDetection>| {
        let reply = check(RawReply::Found(found), &Limits::default());
        reply.map(|reply| match reply {
            Reply::Found(found) => found
                .iter()
                .map(|one| one.git_ref.to_string())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        })
    };
    let found = refs(vec![raw("a b"), raw("v1"), many(), raw(""), raw("v3")]);
    assert_eq!(found.unwrap(), ["v1", "v3"]);
    let first = refs(vec![raw("a b"), many()]);
    assert!(matches!(first, Err(CallError::Ref(_))));
    let first = refs(vec![many(), raw("a b")]);
    assert!(matches!(first, Err(CallError::Answer { .. })));
}

#[test]
fn what_is_beyond_the_bounds_is_left_out() {
    for limit in [1, 2, 255, 256] {
        let limits = Limits {
            detections: limit,
            ..Limits::default()
        };
        let many = (0..300).map(|number| raw(&format!("v{number}"))).collect();
        let Ok(Reply::Found(found)) = check(RawReply::Found(many), &limits) else {
            panic!("not found")
        };
        assert_eq!(found.len(), limit);
        assert_eq!(found[0].git_ref.as_str(), "v0");
        if limit > 1 {
            assert_eq!(found[limit - 1].git_ref.as_str(), "v299");
        }
    }
    let names = ["x".repeat(3000), "a\nb\u{202e}".to_owned()];
    let names = names
        .into_iter()
        .chain((0..40).map(|number| format!("o/r{number}")));
    let many_names = RawDetection {
        repositories: names.collect(),
        delivery_id: Some("x".repeat(1025)),
        ..raw("v1")
    };
    let Ok(Reply::Found(found)) = found(many_names) else {
        panic!("not found")
    };
    assert_eq!(found[0].repositories.len(), 42);
    assert_eq!(found[0].repositories[0], format!("{}…", "x".repeat(2048)));
    assert_eq!(found[0].repositories[1], "a\u{fffd}b\u{fffd}");
    assert_eq!(found[0].repositories[41], "o/r39");
    assert_eq!(found[0].delivery_id, None);
}

#[test]
fn an_answer_without_refs_or_with_too_many_repositories_is_refused() {
    assert!(check(RawReply::Found(vec![]), &Limits::default()).is_err());
    let with = |count| RawDetection {
        repositories: vec!["o/r".to_owned(); count],
        ..raw("v1")
    };
    assert!(found(with(4096)).is_ok());
    assert_eq!(
        found(with(4097)).unwrap_err().to_string(),
        "it answered with 4097 repositories of one ref, more than 4096"
    );
}

#[test]
fn reasons_are_bounded_and_printable() {
    let reason = format!("\u{1b}]0;x\u{7}{}", "é".repeat(2000));
    let Ok(Reply::Ignored(reason)) = check(RawReply::Ignored(reason), &Limits::default()) else {
        panic!("not ignored")
    };
    assert!(
        reason.len() <= 1024 + '…'.len_utf8()
            && reason.ends_with('…')
            && !reason.contains('\u{1b}')
    );
}

fn text() -> impl Strategy<Value = String> {
    let parts = vec![
        "refs/heads/",
        "refs/tags/",
        "v1",
        "/",
        ".lock",
        "..",
        "@{",
        "\u{1b}[31m",
        "\u{202e}",
        "é",
        " ",
        "0000000000",
        "2026-01-02T03:04:05Z",
        "6c1f0a3f0e3b9d57c8f2a4e1d0b6c7a8f9e0d1c2",
    ];
    prop_oneof![
        prop::collection::vec(prop::sample::select(parts), 0..6).prop_map(|parts| parts.concat()),
        any::<String>(),
        "x{0,3000}",
    ]
}

fn raw_detection() -> impl Strategy<Value = RawDetection> {
    let optional = || prop::option::of(text());
    let names = prop::collection::vec(text(), 0..40);
    let event = prop::collection::vec((Just(EVENT.to_owned()), text()), 0..3);
    let parts = (text(), optional(), names, optional(), optional(), event);
    parts.prop_map(
        |(git_ref, commit, repositories, occurred_at, delivery_id, attributes)| RawDetection {
            git_ref,
            commit,
            repositories,
            occurred_at,
            delivery_id,
            attributes,
        },
    )
}

proptest! {
    #[test]
    fn no_answer_of_a_guest_exceeds_the_bounds(
        found in prop::collection::vec(raw_detection(), 0..6),
        reason in text(),
    ) {
        let limits = Limits { detections: 4, ..Limits::default() };
        let is_fit = |text: &str| !text.is_empty() && first_unprintable(text).is_none();
        if let Ok(Reply::Found(found)) = check(RawReply::Found(found), &limits) {
            prop_assert!((1..=4).contains(&found.len()));
            for one in found {
                prop_assert_eq!(GitRef::parse(one.git_ref.as_str()), Ok(one.git_ref.clone()));
                prop_assert!(one.event.is_none_or(|event| event.len() <= MAX_EVENT_BYTES && is_fit(&event)));
                prop_assert!(one.delivery_id.is_none_or(|id| id.len() <= MAX_ID_BYTES && first_unprintable(&id).is_none()));
                prop_assert!(one.repositories.len() <= MAX_REPOSITORIES);
                let longest = MAX_REPOSITORY_BYTES + '…'.len_utf8();
                let is_name = |name: &String| name.len() <= longest && first_unprintable(name).is_none();
                prop_assert!(one.repositories.iter().all(is_name));
            }
        }
        for raw in [RawReply::Ignored(reason.clone()), RawReply::Malformed(reason)] {
            let reply = check(raw, &limits);
            let Ok(Reply::Ignored(text) | Reply::Malformed(text)) = reply else {
                panic!("{reply:?}")
            };
            prop_assert!(text.len() <= TEXT_BYTES + '…'.len_utf8() && first_unprintable(&text).is_none());
        }
    }
}
