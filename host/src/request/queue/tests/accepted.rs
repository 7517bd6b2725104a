//! What the queue remembers of accepted deliveries.

use super::*;

fn duplicate(git_ref: &str) -> Submitted {
    Submitted::Duplicate(GitRef::parse(git_ref).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_repetition_is_answered_from_memory_and_not_written() {
    let api = FakeApi::new(1);
    let requester = requester(&api);
    let behind = api.target();
    let submit = |target, git_ref, digest| {
        requester.submit(target, delivery(git_ref, digest), in_seconds(8))
    };
    let first = submit(behind.clone(), "v1", 1).await;
    assert_eq!(first.unwrap(), written("v1"));
    let hex = "01".repeat(16);
    assert_eq!(api.annotation("stoker.io/accepted-deliveries"), hex);
    // The API server does not answer any more, and the watch has not reported the write.
    assert_eq!(
        submit(behind.clone(), "v1", 1).await.unwrap(),
        duplicate("v1")
    );
    // A new process has only the watch.
    let other = fake_api::requester(&api);
    let repeated = other.submit(api.target(), delivery("v1", 1), in_seconds(8));
    assert_eq!(repeated.await.unwrap(), duplicate("v1"));
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (1, 0));
}

fn already(git_ref: &str) -> Submitted {
    Submitted::AlreadySet(GitRef::parse(git_ref).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_needs_no_request_is_remembered_on_the_object() {
    let api = FakeApi::new(100);
    let replicas = [requester(&api), requester(&api)];
    api.settle("v1");
    let requested_at = api.annotation("stoker.io/requested-at");
    let submit = |replica: usize, git_ref, digest| {
        replicas[replica].submit(api.target(), delivery(git_ref, digest), in_seconds(8))
    };
    assert_eq!(submit(0, "v1", 1).await.unwrap(), already("v1"));
    assert_eq!(submit(0, "v1", 1).await.unwrap(), duplicate("v1"));
    // No pass is asked for, and the write shows that the object is as it was known.
    assert_eq!(api.annotation("stoker.io/requested-at"), requested_at);
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (1, 0));
    assert_eq!(submit(1, "v2", 2).await.unwrap(), written("v2"));
    for replica in [0, 1] {
        let repeated = submit(replica, "v1", 1).await.unwrap();
        assert_eq!(repeated, duplicate("v1"), "{replica}");
    }
    assert_eq!(api.requested_ref(), "v2");
}

#[tokio::test(start_paused = true)]
async fn deliveries_without_a_request_that_arrive_together_are_remembered_by_one_write() {
    let api = FakeApi::new(0);
    api.settle("v1");
    let requester = requester(&api);
    let submit = |digest| requester.submit(api.target(), delivery("v1", digest), in_seconds(8));
    let first = submit(1);
    tokio::task::yield_now().await;
    let others: Vec<_> = (2..=9).map(submit).collect();
    api.answers.add_permits(100);
    assert_eq!(first.await.unwrap(), already("v1"));
    for answer in join_all(others).await {
        assert_eq!(answer.unwrap(), already("v1"));
    }
    assert_eq!(api.count(&Method::PATCH), 2);
    let expected: Vec<_> = (1..=9)
        .map(|byte| format!("{byte:02x}").repeat(16))
        .collect();
    assert_eq!(
        api.annotation("stoker.io/accepted-deliveries"),
        expected.join(",")
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_decided_again_where_its_write_shows_that_the_watch_is_behind() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1");
    let behind = api.target();
    api.settle("v2");
    let answer = requester.submit(behind, delivery("v1", 1), in_seconds(8));
    assert_eq!(answer.await.unwrap(), written("v1"));
    assert_eq!(api.requested_ref(), "v1");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_accepted_only_once_it_is_remembered() {
    for fault in [Fault::Status(StatusCode::BAD_GATEWAY, 0), Fault::LostAnswer] {
        let api = FakeApi::with_faults([fault]);
        let requester = requester(&api);
        api.settle("v1");
        let answer = requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
        let accepted = [already("v1"), duplicate("v1")];
        assert!(accepted.contains(&answer.await.unwrap()));
        let hex = "01".repeat(16);
        assert_eq!(api.annotation("stoker.io/accepted-deliveries"), hex);
    }
    let api = FakeApi::with_faults([Fault::Status(StatusCode::FORBIDDEN, 0)]);
    api.settle("v1");
    let requester = requester(&api);
    let refused = requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
    assert!(matches!(refused.await, Err(RequestError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_forgotten_with_the_object() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1");
    let submit = || requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
    submit().await.unwrap();
    {
        let mut object = api.object.lock().unwrap();
        object["metadata"]["uid"] = json!("created-again");
        let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove("stoker.io/accepted-deliveries").unwrap();
    }
    assert_eq!(submit().await.unwrap(), already("v1"));
}

#[tokio::test(start_paused = true)]
async fn repetitions_that_arrive_together_are_written_once() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    let submissions =
        (0..3).map(|_| requester.submit(api.target(), delivery("v1", 1), in_seconds(8)));
    let answers = join_all(submissions).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [written("v1"), duplicate("v1"), duplicate("v1")]);
    assert_eq!(api.count(&Method::PATCH), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_after_the_request_of_a_batch_is_stored_with_it() {
    let api = FakeApi::new(100);
    api.object.lock().unwrap()["spec"]["paused"] = json!(true);
    let requester = requester(&api);
    let submissions =
        [1, 2].map(|digest| requester.submit(api.target(), delivery("v1", digest), in_seconds(8)));
    let answers = join_all(submissions).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [written("v1"), already("v1")]);
    let expected = [1, 2].map(|byte| format!("{byte:02x}").repeat(16));
    assert_eq!(
        api.annotation("stoker.io/accepted-deliveries"),
        expected.join(",")
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_write_failed_is_not_remembered() {
    let api = FakeApi::with_faults([Fault::Status(StatusCode::FORBIDDEN, 0)]);
    let requester = requester(&api);
    let submit = || requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
    assert!(matches!(submit().await, Err(RequestError::Refused(_))));
    assert_eq!(submit().await.unwrap(), written("v1"));
}

#[tokio::test(start_paused = true)]
async fn every_accepted_delivery_of_one_write_is_remembered() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let first = requester.submit(api.target(), delivery("v0", 9), in_seconds(8));
    tokio::task::yield_now().await;
    let others = (1..=3).map(|number| {
        let announcement = delivery(&format!("v{number}"), number);
        requester.submit(api.target(), announcement, in_seconds(8))
    });
    let others: Vec<_> = others.collect();
    api.answers.add_permits(100);
    first.await.unwrap();
    for answer in join_all(others).await {
        assert!(matches!(answer, Ok(Submitted::Written(_))));
    }
    let expected = [9, 1, 2, 3].map(|byte| format!("{byte:02x}").repeat(16));
    assert_eq!(
        api.annotation("stoker.io/accepted-deliveries"),
        expected.join(",")
    );
}

#[tokio::test(start_paused = true)]
async fn replicas_keep_what_the_other_has_accepted() {
    let api = FakeApi::new(100);
    let replicas = [requester(&api), requester(&api)];
    // The watch of both is held back.
    let behind = api.target();
    for (replica, git_ref, digest) in [(0, "v1", 1), (1, "v2", 2), (0, "v3", 3), (1, "v4", 4)] {
        let announcement = delivery(git_ref, digest);
        let submitted = replicas[replica].submit(behind.clone(), announcement, in_seconds(8));
        assert_eq!(submitted.await.unwrap(), written(git_ref));
    }
    assert_eq!(api.requested_ref(), "v4");
    let expected = [1, 2, 3, 4].map(|byte| format!("{byte:02x}").repeat(16));
    assert_eq!(
        api.annotation("stoker.io/accepted-deliveries"),
        expected.join(",")
    );
    // A sender repeats a delivery, and it arrives at the other replica.
    for (replica, git_ref, digest) in [(1, "v1", 1), (0, "v2", 2)] {
        let announcement = delivery(git_ref, digest);
        let submitted = replicas[replica].submit(behind.clone(), announcement, in_seconds(8));
        assert_eq!(submitted.await.unwrap(), duplicate(git_ref));
    }
    assert_eq!(api.requested_ref(), "v4");
}

#[tokio::test(start_paused = true)]
async fn replicas_keep_the_order_of_events() {
    let api = FakeApi::new(100);
    let replicas = [requester(&api), requester(&api)];
    let behind = api.target();
    let happened = |git_ref: &str, time: &str| {
        let mut announcement = announcement(git_ref);
        announcement.detections[0].occurred_at = Some(time.parse().unwrap());
        announcement
    };
    let later = happened("v2", "2026-01-01T11:00:00Z");
    let later = replicas[0].submit(behind.clone(), later, in_seconds(8));
    assert_eq!(later.await.unwrap(), written("v2"));
    let earlier = happened("v1", "2026-01-01T10:00:00Z");
    let earlier = replicas[1].submit(behind, earlier, in_seconds(8)).await;
    assert_eq!(earlier.unwrap().reason().code(), "superseded");
    assert_eq!(api.requested_ref(), "v2");
}

#[tokio::test(start_paused = true)]
async fn a_repetition_is_recognised_by_what_was_signed_alone() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    let (first, other) = (delivery("v1", 1), delivery("v2", 2));
    assert!(
        requester
            .recall(&api.target(), &first.fingerprint, &|_| true)
            .is_none()
    );
    let written = requester.submit(api.target(), first.clone(), in_seconds(8));
    assert!(matches!(written.await, Ok(Submitted::Written(_))));
    let recalled = requester.recall(&api.target(), &first.fingerprint, &|_| true);
    let duplicate = Submitted::Duplicate(GitRef::parse("v1").unwrap());
    assert_eq!(recalled, Some((0, duplicate)));
    // The plugin has another version now.
    let replaced = |number: u64| number != 0;
    let recalled = requester.recall(&api.target(), &first.fingerprint, &replaced);
    assert!(recalled.is_none());
    assert!(
        requester
            .recall(&api.target(), &other.fingerprint, &|_| true)
            .is_none()
    );
    // The object was created again, and remembers nothing.
    let mut again = api.target();
    again.snapshot = Snapshot {
        uid: Some("another".to_owned()),
        ..Snapshot::default()
    };
    assert!(
        requester
            .recall(&again, &first.fingerprint, &|_| true)
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn a_ref_that_is_named_again_with_another_id_is_another_delivery() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    // The body reports no event.
    let named = |git_ref, body, id: u8| Announcement {
        fingerprint: Fingerprint {
            signed: Some(Signed::Body([body; 32])),
            // The id and the body are digested together, so this is no digest of a body.
            sent: Some([100 + id; 32]),
        },
        ..announcement(git_ref)
    };
    let rollback = named("v1", 1, 3);
    for sent in [named("v1", 1, 1), named("v2", 2, 2)] {
        let written = requester.submit(api.target(), sent, in_seconds(8));
        assert!(matches!(written.await, Ok(Submitted::Written(_))));
    }
    let recalled = requester.recall(&api.target(), &named("v1", 1, 1).fingerprint, &|_| true);
    assert!(matches!(recalled, Some((_, Submitted::Duplicate(_)))));
    let recalled = requester.recall(&api.target(), &rollback.fingerprint, &|_| true);
    assert!(recalled.is_none());
    let written = requester.submit(api.target(), rollback, in_seconds(8));
    assert!(matches!(written.await, Ok(Submitted::Written(_))));
    assert_eq!(api.requested_ref(), "v1");
}

#[tokio::test(start_paused = true)]
async fn a_repetition_names_the_ref_that_was_accepted() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    let first = delivery("v1", 1);
    let written = requester.submit(api.target(), first.clone(), in_seconds(8));
    assert!(matches!(written.await, Ok(Submitted::Written(_))));
    // The plugin was changed, and finds another ref in the same delivery.
    let changed = Announcement {
        plugin_number: 1,
        ..delivery("v2", 1)
    };
    let duplicate = Submitted::Duplicate(GitRef::parse("v1").unwrap());
    let repeated = requester.submit(api.target(), changed, in_seconds(8));
    assert_eq!(repeated.await.unwrap(), duplicate);
    let recalled = requester.recall(&api.target(), &first.fingerprint, &|number| number == 1);
    assert_eq!(recalled, Some((1, duplicate)));
    assert_eq!(api.requested_ref(), "v1");
}
