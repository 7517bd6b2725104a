use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef, RepoUrl};
use tokio::time::Instant;

use super::*;

fn published(digit: char) -> Published {
    Published {
        commit: CommitId::parse(&digit.to_string().repeat(40)).unwrap(),
        git_ref: GitRef::parse("main").unwrap(),
        repo: RepoUrl::parse("https://git.example/o/r.git").unwrap(),
        ca_bundle: None,
        profiles: "{}".to_owned(),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns the time until the next sync, or the reason why there is none.
fn wait(schedule: &Schedule, now: Instant, wanted: &Published) -> Result<u64, Idle> {
    let metadata = Metadata::Published(wanted.clone());
    match schedule.next(now, Some(&metadata)) {
        Next::Sync(found) => {
            assert_eq!(&found, wanted);
            Ok(0)
        }
        Next::Wait(_, Some(until)) => Ok((until - now).as_secs()),
        Next::Wait(idle, None) => Err(idle),
    }
}

#[test]
fn what_is_published_is_synced_once_before_and_once_after_the_start_of_the_gateway() {
    let (mut schedule, now, wanted) = (Schedule::new(), Instant::now(), published('a'));
    assert_eq!(
        schedule.next(now, None),
        Next::Wait(Idle::Unpublished, None)
    );
    assert_eq!(wait(&schedule, now, &wanted), Ok(0));
    schedule.record(now, Phase::Starting, wanted.clone(), End::Done);
    assert_eq!(wait(&schedule, now, &wanted), Err(Idle::Unchanged));
    schedule.gateway_is_running();
    assert_eq!(wait(&schedule, now, &wanted), Ok(0));
    schedule.record(now, Phase::Running, wanted.clone(), End::Done);
    assert_eq!(wait(&schedule, now, &wanted), Err(Idle::Unchanged));
    assert_eq!(wait(&schedule, now, &published('b')), Ok(0));
}

#[test]
fn a_sync_that_began_before_the_gateway_answered_does_not_confirm() {
    let (mut schedule, now, wanted) = (Schedule::new(), Instant::now(), published('a'));
    schedule.gateway_is_running();
    schedule.record(now, Phase::Starting, wanted.clone(), End::Done);
    assert_eq!(wait(&schedule, now, &wanted), Ok(0));
}

#[test]
fn the_waits_double_up_to_five_minutes_and_never_overflow() {
    let (mut schedule, mut now, wanted) = (Schedule::new(), Instant::now(), published('a'));
    let mut waits = Vec::new();
    for _ in 0..70 {
        schedule.record(now, Phase::Running, wanted.clone(), End::Failed);
        let delay = wait(&schedule, now, &wanted).unwrap();
        now += seconds(delay);
        assert_eq!(wait(&schedule, now, &wanted), Ok(0));
        waits.push(delay);
    }
    assert_eq!(waits[..6], [30, 60, 120, 240, 300, 300]);
    assert!(waits[4..].iter().all(|delay| *delay == 300));
}

#[test]
fn a_new_commit_or_profile_is_tried_at_once_and_starts_the_waits_over() {
    let (mut schedule, now, first) = (Schedule::new(), Instant::now(), published('a'));
    for _ in 0..4 {
        schedule.record(now, Phase::Running, first.clone(), End::Failed);
    }
    assert_eq!(wait(&schedule, now, &first), Ok(240));
    let mut with_profile = first.clone();
    with_profile.profiles = r#"{"default":{}}"#.to_owned();
    for changed in [published('b'), with_profile] {
        assert_eq!(wait(&schedule, now, &changed), Ok(0));
        schedule.record(now, Phase::Running, changed.clone(), End::Failed);
        assert_eq!(wait(&schedule, now, &changed), Ok(30));
    }
}

#[test]
fn a_success_starts_the_waits_over() {
    let (mut schedule, now, wanted) = (Schedule::new(), Instant::now(), published('a'));
    schedule.gateway_is_running();
    schedule.record(now, Phase::Running, wanted.clone(), End::Failed);
    schedule.record(now, Phase::Running, wanted.clone(), End::Done);
    schedule.repair();
    assert_eq!(wait(&schedule, now, &wanted), Ok(0));
    schedule.record(now, Phase::Running, wanted.clone(), End::Failed);
    assert_eq!(wait(&schedule, now, &wanted), Ok(30));
}

#[test]
fn a_failure_is_tried_again_although_the_same_was_done_before() {
    let (mut schedule, now, wanted) = (Schedule::new(), Instant::now(), published('a'));
    schedule.record(now, Phase::Starting, wanted.clone(), End::Done);
    schedule.gateway_is_running();
    schedule.record(now, Phase::Running, wanted.clone(), End::Failed);
    assert_eq!(wait(&schedule, now + seconds(29), &wanted), Ok(1));
    assert_eq!(wait(&schedule, now + seconds(30), &wanted), Ok(0));
}

#[test]
fn nothing_is_synced_while_paused_and_what_is_published_then_afterwards() {
    let (mut schedule, now) = (Schedule::new(), Instant::now());
    let paused = Some(&Metadata::Paused);
    let expected = Next::Wait(Idle::Paused, None);
    assert_eq!(schedule.next(now, paused), expected);
    schedule.gateway_is_running();
    assert_eq!(schedule.next(now, paused), expected);
    assert_eq!(wait(&schedule, now, &published('b')), Ok(0));
}

#[test]
fn designers_are_asked_again_and_become_an_error_after_five_minutes() {
    let (mut schedule, mut now, wanted) = (Schedule::new(), Instant::now(), published('a'));
    for _ in 0..30 {
        schedule.record(now, Phase::Running, wanted.clone(), End::WaitsForDesigners);
        assert_eq!(wait(&schedule, now, &wanted), Ok(10));
        assert!(!schedule.has_timed_out(now, &wanted));
        now += seconds(10);
    }
    assert!(schedule.has_timed_out(now, &wanted));
    assert!(!schedule.has_timed_out(now, &published('b')));
    let refused = End::RefusedByDesigners(seconds(45));
    schedule.record(now, Phase::Running, wanted.clone(), refused);
    assert_eq!(wait(&schedule, now, &wanted), Ok(45));
}

#[test]
fn a_missing_confirmation_is_looked_for_again() {
    let (mut schedule, now, wanted) = (Schedule::new(), Instant::now(), published('a'));
    schedule.record(now, Phase::Running, wanted.clone(), End::Unconfirmed);
    assert_eq!(
        schedule.next(now, Some(&Metadata::Published(wanted))),
        Next::Wait(Idle::Unconfirmed, Some(now + seconds(10)))
    );
}

#[test]
fn what_was_synced_before_a_sync_that_did_not_succeed_is_synced_again() {
    for end in [
        End::Failed,
        End::Unconfirmed,
        End::WaitsForDesigners,
        End::RefusedByDesigners(seconds(45)),
    ] {
        let (mut schedule, now, first) = (Schedule::new(), Instant::now(), published('a'));
        schedule.gateway_is_running();
        schedule.record(now, Phase::Running, first.clone(), End::Done);
        schedule.record(now, Phase::Running, published('b'), end);
        assert_eq!(wait(&schedule, now, &first), Ok(0), "{end:?}");
        schedule.record(now, Phase::Running, first.clone(), End::Done);
        assert_eq!(wait(&schedule, now, &first), Err(Idle::Unchanged));
    }
}
