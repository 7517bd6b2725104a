//! Requests against an API server in memory.

mod accepted;
mod fake_api;
mod slow;

use std::time::Duration;

use futures::future::join_all;
use http::{Method, StatusCode};
use kube::client::Body;
use serde_json::json;
use stoker_api::detection::GitRef;

use super::*;
use crate::delivery::Signed;
use fake_api::{
    FakeApi, Fault, announcement, delivery, in_seconds, key, requester, requester_with,
};

fn written(git_ref: &str) -> Submitted {
    Submitted::Written(GitRef::parse(git_ref).unwrap())
}

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
async fn a_write_is_known_until_the_watch_reports_its_version_or_a_later_one() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    // The clock of another replica is ahead.
    api.change(&json!({
        "stoker.io/requested-ref": "v0", "stoker.io/requested-at": "2999-01-01T00:00:00Z",
    }));
    let behind = api.target();
    let submit = |git_ref, digest| {
        requester.submit(behind.clone(), delivery(git_ref, digest), in_seconds(8))
    };
    for (git_ref, digest) in [("v1", 1), ("v2", 2)] {
        assert_eq!(submit(git_ref, digest).await.unwrap(), written(git_ref));
    }
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (2, 0));
    // The write of a replica whose clock is behind counts as well.
    api.settle("v3");
    let known = requester.queue.known(&key(), &api.target().snapshot);
    assert_eq!(known.state.requested_ref.as_deref(), Some("v3"));
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

#[tokio::test(start_paused = true)]
async fn writes_at_a_time_are_limited_and_what_arrives_meanwhile_is_stored_by_the_same_write() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let other = |number: usize| Target {
        key: ObjectKey::new("plants", &format!("south-{number}")).unwrap(),
        ..api.target()
    };
    let submit = |target, git_ref| requester.submit(target, announcement(git_ref), in_seconds(8));
    let mut answers: Vec<_> = (0..PERMITS)
        .map(|number| submit(other(number), "v1"))
        .collect();
    tokio::task::yield_now().await;
    for git_ref in ["v1", "v2", "v3"] {
        answers.push(submit(api.target(), git_ref));
        tokio::task::yield_now().await;
    }
    assert_eq!(api.count(&Method::PATCH), PERMITS);
    api.answers.add_permits(100);
    for answer in join_all(answers).await {
        assert!(matches!(answer, Ok(Submitted::Written(_))), "{answer:?}");
    }
    assert_eq!(api.count(&Method::PATCH), PERMITS + 1);
    assert_eq!(api.requested_ref(), "v3");
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
    // Before the last write, the object is read twice.
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (3, 2));
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
async fn an_api_server_that_starts_is_tried_again_earlier_than_it_asks() {
    let faults = [
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 5),
        Fault::Refused(
            r#"clusterroles is forbidden: RBAC: clusterrole.rbac.authorization.k8s.io "stoker" not found"#,
        ),
    ];
    let api = FakeApi::with_faults(faults);
    let requester = requester(&api);
    let started = Instant::now();
    let submitted = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    assert_eq!(submitted.await.unwrap(), written("v1"));
    assert!(started.elapsed() < Duration::from_secs(3));
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
    // The next write would only be in conflict with it.
    assert_eq!((api.count(&Method::PATCH), api.count(&Method::GET)), (1, 1));
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
    let (code, _) = api.answer(request.unwrap()).await;
    assert_eq!(code, StatusCode::CONFLICT);
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
    assert_eq!(error.reason().code(), "invalid-object");
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

#[tokio::test(start_paused = true)]
async fn a_ref_is_prefetched_before_the_request_is_written() {
    let (api, told) = (FakeApi::new(0), Arc::<Mutex<Vec<_>>>::default());
    let tell = Arc::clone(&told);
    let requester = requester_with(&api, move |key, git_ref, requested_at| {
        let mut told = tell.lock().unwrap();
        told.push(format!("{key} {git_ref} {requested_at}"));
    });
    let submission = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    tokio::task::yield_now().await;
    let told = told.lock().unwrap().clone();
    api.answers.add_permits(1);
    submission.await.unwrap();
    let stamp = api.annotation("stoker.io/requested-at");
    let expected = format!("{} v1 {}", key(), stamp.as_str().unwrap());
    assert_eq!(told, [expected]);
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
