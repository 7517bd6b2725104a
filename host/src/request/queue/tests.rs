//! Requests against an API server in memory.

mod fake_api;

use std::time::Duration;

use futures::future::join_all;
use http::{Method, StatusCode};
use kube::client::Body;
use serde_json::json;
use stoker_api::detection::GitRef;

use super::*;
use crate::delivery::Signed;
use fake_api::{FakeApi, Fault, announcement, delivery, in_seconds, key, requester};

#[tokio::test(start_paused = true)]
async fn every_sender_is_answered_at_its_deadline_where_the_api_server_hangs() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let started = Instant::now();
    let submissions =
        (0..8).map(|_| requester.submit(api.target(), announcement("v1"), in_seconds(8)));
    let answers = join_all(submissions).await;
    let elapsed = started.elapsed();
    assert!((7..=8).contains(&elapsed.as_secs()), "{elapsed:?}");
    for answer in answers {
        assert!(matches!(answer, Err(RequestError::Unavailable(None))));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_with_an_error_is_not_written_later() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let first = requester.submit(api.target(), announcement("v1"), in_seconds(20));
    tokio::task::yield_now().await;
    let second = requester
        .submit(api.target(), announcement("v2"), in_seconds(5))
        .await;
    assert!(matches!(second, Err(RequestError::Unavailable(None))));
    api.answers.add_permits(100);
    assert_eq!(
        first.await.unwrap(),
        Submitted::Written(GitRef::parse("v1").unwrap())
    );
    tokio::task::yield_now().await;
    assert_eq!(api.requested_ref(), "v1");
}

#[tokio::test(start_paused = true)]
async fn refs_that_arrive_during_a_write_are_stored_by_the_next_one() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let first = requester.submit(api.target(), announcement("v0"), in_seconds(8));
    tokio::task::yield_now().await;
    let others = (1..=10).map(|number| {
        let announcement = announcement(&format!("v{number}"));
        requester.submit(api.target(), announcement, in_seconds(8))
    });
    let others: Vec<_> = others.collect();
    api.answers.add_permits(100);
    first.await.unwrap();
    for answer in join_all(others).await {
        assert!(matches!(answer, Ok(Submitted::Written(_))));
    }
    assert_eq!(api.requested_ref(), "v10");
    assert_eq!(api.count(&Method::PATCH), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_behind_does_not_keep_a_request_from_being_written() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1.0.1");
    let behind = api.target();
    // Another replica stores another ref.
    api.settle("v1.0.2");
    let answer = requester
        .submit(behind, announcement("v1.0.1"), in_seconds(8))
        .await;
    assert_eq!(
        answer.unwrap(),
        Submitted::Written(GitRef::parse("v1.0.1").unwrap())
    );
    assert_eq!(api.requested_ref(), "v1.0.1");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_write_rests_on_one_read() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1");
    let submissions =
        (0..5).map(|_| requester.submit(api.target(), announcement("v1"), in_seconds(8)));
    for answer in join_all(submissions).await {
        assert!(matches!(answer, Ok(Submitted::AlreadySet(_))));
    }
    assert_eq!(api.count(&Method::GET), 1);
    assert_eq!(api.count(&Method::PATCH), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_just_written_is_recognised_before_the_watch_reports_it() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    let behind = api.target();
    let first = requester
        .submit(behind.clone(), announcement("v1"), in_seconds(8))
        .await;
    assert!(matches!(first, Ok(Submitted::Written(_))));
    let stamp = api.annotation("stoker.io/requested-at");
    // The controller handles it, and the watch has reported neither.
    api.settle("v1");
    api.change(&json!({ "stoker.io/requested-at": stamp }));
    api.object.lock().unwrap()["status"]["lastHandledRequestedAt"] = stamp;
    let again = requester
        .submit(behind, announcement("v1"), in_seconds(8))
        .await;
    assert!(matches!(again, Ok(Submitted::AlreadySet(_))));
}

#[tokio::test(start_paused = true)]
async fn objects_do_not_wait_for_one_another() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let held = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    tokio::task::yield_now().await;
    let other = Target {
        key: ObjectKey::new("plants", "south").unwrap(),
        ..api.target()
    };
    let also = requester.submit(other, announcement("v1"), in_seconds(8));
    tokio::task::yield_now().await;
    assert_eq!(api.count(&Method::PATCH), 2);
    api.answers.add_permits(100);
    assert!(held.await.is_ok() && also.await.is_ok());
}

fn written(git_ref: &str) -> Submitted {
    Submitted::Written(GitRef::parse(git_ref).unwrap())
}

fn duplicate(git_ref: &str) -> Submitted {
    Submitted::Duplicate(GitRef::parse(git_ref).unwrap())
}

#[tokio::test(start_paused = true)]
async fn writes_at_a_time_are_limited_and_what_arrives_meanwhile_is_stored_by_the_same_write() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let other = |number: usize| Target {
        key: ObjectKey::new("plants", &format!("south-{number}")).unwrap(),
        ..api.target()
    };
    let submit = |target, git_ref| requester.submit(target, announcement(git_ref), in_seconds(8));
    let mut answers: Vec<_> = (0..PLACES)
        .map(|number| submit(other(number), "v1"))
        .collect();
    tokio::task::yield_now().await;
    for git_ref in ["v1", "v2", "v3"] {
        answers.push(submit(api.target(), git_ref));
        tokio::task::yield_now().await;
    }
    assert_eq!(api.count(&Method::PATCH), PLACES);
    api.answers.add_permits(100);
    for answer in join_all(answers).await {
        assert!(matches!(answer, Ok(Submitted::Written(_))), "{answer:?}");
    }
    assert_eq!(api.count(&Method::PATCH), PLACES + 1);
    assert_eq!(api.requested_ref(), "v3");
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
    let other = super::tests::requester(&api);
    let repeated = other.submit(api.target(), delivery("v1", 1), in_seconds(8));
    assert_eq!(repeated.await.unwrap(), duplicate("v1"));
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_needs_no_write_is_remembered_and_stored_by_the_next_write() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1");
    let submit =
        |git_ref, digest| requester.submit(api.target(), delivery(git_ref, digest), in_seconds(8));
    let git_ref = GitRef::parse("v1").unwrap();
    let first = submit("v1", 1).await.unwrap();
    assert_eq!(first, Submitted::AlreadySet(git_ref));
    assert_eq!(submit("v1", 1).await.unwrap(), duplicate("v1"));
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (0, 1));
    assert_eq!(submit("v2", 2).await.unwrap(), written("v2"));
    // Another process knows it by the object, so that it does not return to v1.
    let other = super::tests::requester(&api);
    let repeated = other.submit(api.target(), delivery("v1", 1), in_seconds(8));
    assert_eq!(repeated.await.unwrap(), duplicate("v1"));
    assert_eq!(api.requested_ref(), "v2");
}

#[tokio::test(start_paused = true)]
async fn what_needed_no_write_is_forgotten_with_the_object() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1");
    let submit = || requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
    submit().await.unwrap();
    api.object.lock().unwrap()["metadata"]["uid"] = json!("created-again");
    let already = Submitted::AlreadySet(GitRef::parse("v1").unwrap());
    assert_eq!(submit().await.unwrap(), already);
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
    let already = Submitted::AlreadySet(GitRef::parse("v1").unwrap());
    assert_eq!(answers, [written("v1"), already]);
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
    assert_eq!(earlier.unwrap().code(), "superseded");
    assert_eq!(api.requested_ref(), "v2");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_read_decided_again_and_written() {
    let api = FakeApi::with_faults([Fault::Overtaken("v7"), Fault::Overtaken("v8")]);
    let requester = requester(&api);
    let submitted = requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
    assert_eq!(submitted.await.unwrap(), written("v1"));
    assert_eq!(api.requested_ref(), "v1");
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_api_server_are_tried_again_until_the_deadline() {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let api = FakeApi::with_faults([
        Fault::Status(StatusCode::INTERNAL_SERVER_ERROR, 0),
        Fault::Lost,
        Fault::Status(unavailable, 0),
    ]);
    let requester = requester(&api);
    let started = Instant::now();
    let submitted = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    assert_eq!(submitted.await.unwrap(), written("v1"));
    // A try without an answer takes two seconds.
    assert!((2..5).contains(&started.elapsed().as_secs()));
    assert_eq!(api.count(&Method::PATCH), 4);
}

#[tokio::test(start_paused = true)]
async fn the_pause_that_the_api_server_asks_for_is_kept() {
    let api = FakeApi::with_faults([Fault::Status(StatusCode::TOO_MANY_REQUESTS, 3)]);
    let requester = requester(&api);
    let submitted = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    assert_eq!(submitted.await.unwrap(), written("v1"));
    let times = api.times(&Method::PATCH);
    assert_eq!((times[1] - times[0]).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_deadline_is_answered_at_once() {
    let api = FakeApi::with_faults([Fault::Status(StatusCode::TOO_MANY_REQUESTS, 60)]);
    let requester = requester(&api);
    let started = Instant::now();
    let submitted = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    assert!(matches!(
        submitted.await,
        Err(RequestError::Unavailable(Some(_)))
    ));
    assert_eq!(started.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn reads_are_tried_again_until_the_deadline() {
    let api = FakeApi::with_faults([
        Fault::Status(StatusCode::BAD_GATEWAY, 0),
        Fault::Lost,
        Fault::Status(StatusCode::BAD_GATEWAY, 0),
    ]);
    let requester = requester(&api);
    assert!(requester.read(&key(), in_seconds(8)).await.is_ok());
    assert_eq!(api.count(&Method::GET), 4);
    api.faults
        .lock()
        .unwrap()
        .extend((0..20).map(|_| Fault::Lost));
    let started = Instant::now();
    let failed = requester.read(&key(), in_seconds(8)).await;
    assert!(matches!(failed, Err(RequestError::Unavailable(_))));
    assert!(started.elapsed() <= Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_recognised_as_stored() {
    let api = FakeApi::with_faults([Fault::LostAnswer]);
    let requester = requester(&api);
    let submitted = requester.submit(api.target(), delivery("v1", 1), in_seconds(8));
    assert_eq!(submitted.await.unwrap(), written("v1"));
    // The second try conflicts with the first one.
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_late_does_not_replace_a_later_ref() {
    let api = FakeApi::new(0);
    let slow = requester(&api);
    let behind = api.target();
    let late = slow.submit(behind.clone(), announcement("v1"), in_seconds(1));
    assert!(matches!(late.await, Err(RequestError::Unavailable(_))));
    // The write of another replica is stored before the one that the network held back.
    api.settle("v2");
    let held = json!({"metadata": {"resourceVersion": "1", "annotations": {"stoker.io/requested-ref": "v1"}}});
    api.answers.add_permits(100);
    let request = http::Request::patch("/north").body(Body::from(held.to_string().into_bytes()));
    let answer = api.answer(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(api.requested_ref(), "v2");
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_invalid_refuses_by_the_present_object() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.object.lock().unwrap()["spec"]["webhook"] = json!({"semver": "two"});
    let refused = requester
        .submit(api.target(), announcement("v1"), in_seconds(8))
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "invalid-object");
    assert!(error.to_string().contains("spec.webhook.semver"), "{error}");
    // The watch has not reported yet that the object is valid again.
    let behind = api.target();
    api.object.lock().unwrap()["spec"]["webhook"] = json!({"semver": ">=1"});
    let accepted = requester.submit(behind, announcement("v1"), in_seconds(8));
    assert_eq!(accepted.await.unwrap(), written("refs/tags/v1"));
    assert_eq!(api.count(&Method::PATCH), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_interrupted_does_not_leave_the_object_stuck() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    let task = ActiveTask {
        queue: Arc::clone(&requester.queue),
        key: key(),
    };
    requester
        .queue
        .with(&key(), |object| object.is_active = true);
    let waiting = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    let panicked = tokio::spawn(async move {
        let _task = task;
        panic!("a defect");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(waiting.await.unwrap(), written("v1"));
    let next = requester.submit(api.target(), announcement("v2"), in_seconds(8));
    assert_eq!(next.await.unwrap(), written("v2"));
}

#[derive(Default)]
struct Foreseen(Mutex<Vec<String>>);

impl Foresight for Foreseen {
    fn foresee(&self, key: &ObjectKey, git_ref: &GitRef, requested_at: &str) {
        let foreseen = format!("{key} {git_ref} {requested_at}");
        self.0.lock().unwrap().push(foreseen);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_foreseen_before_it_is_written() {
    let (api, foreseen) = (FakeApi::new(0), Arc::<Foreseen>::default());
    let requester = requester(&api).with_foresight(Arc::<Foreseen>::clone(&foreseen));
    let submission = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    tokio::task::yield_now().await;
    let told = foreseen.0.lock().unwrap().clone();
    api.answers.add_permits(1);
    submission.await.unwrap();
    let stamp = api.annotation("stoker.io/requested-at");
    let expected = format!("{} v1 {}", key(), stamp.as_str().unwrap());
    assert_eq!(told, [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_is_recognised_by_what_was_signed_alone() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    let (first, other) = (delivery("v1", 1), delivery("v2", 2));
    assert!(
        requester
            .recall(&api.target(), &first.fingerprint)
            .is_none()
    );
    let written = requester.submit(api.target(), first.clone(), in_seconds(8));
    assert!(matches!(written.await, Ok(Submitted::Written(_))));
    let recalled = requester.recall(&api.target(), &first.fingerprint);
    let duplicate = Submitted::Duplicate(GitRef::parse("v1").unwrap());
    assert_eq!(recalled, Some(("generic".into(), duplicate)));
    assert!(
        requester
            .recall(&api.target(), &other.fingerprint)
            .is_none()
    );
    // The object was created again, and remembers nothing.
    let mut again = api.target();
    again.snapshot = Snapshot {
        uid: Some("another".to_owned()),
        ..Snapshot::default()
    };
    assert!(requester.recall(&again, &first.fingerprint).is_none());
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
    let recalled = requester.recall(&api.target(), &named("v1", 1, 1).fingerprint);
    assert!(matches!(recalled, Some((_, Submitted::Duplicate(_)))));
    let recalled = requester.recall(&api.target(), &rollback.fingerprint);
    assert!(recalled.is_none());
    let written = requester.submit(api.target(), rollback, in_seconds(8));
    assert!(matches!(written.await, Ok(Submitted::Written(_))));
    assert_eq!(api.requested_ref(), "v1");
}

#[test]
fn versions_are_compared_as_numbers() {
    for (version, other, expected) in [
        (Some("10"), Some("9"), true),
        (Some("9"), Some("9"), true),
        (Some("9"), Some("10"), false),
        (Some("x"), Some("10"), false),
        (None, Some("10"), false),
        (Some("10"), None, false),
    ] {
        assert_eq!(
            is_as_late(version, other),
            expected,
            "{version:?} {other:?}"
        );
    }
}
