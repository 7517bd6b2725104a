use stoker_api::detection::{CommitId, GitRef, RepoUrl};

use super::*;
use crate::metrics::Files;

fn wanted() -> Published {
    Published {
        commit: CommitId::parse(&"b".repeat(40)).unwrap(),
        git_ref: GitRef::parse("refs/heads/main").unwrap(),
        repo: RepoUrl::parse("https://git.example/o/r.git").unwrap(),
        ca_bundle: None,
        profiles: "{}".to_owned(),
    }
}

/// Reports an outcome on a gateway with the commit `aaaa…`, or with `bbbb…` after a success.
fn reported(outcome: &Outcome, before: &Report, change: impl FnOnce(&mut SyncEnd<'_>)) -> Reported {
    let has_new = match outcome {
        Outcome::Synced(synced) => !synced.is_dry_run,
        Outcome::Failed(failure) => failure.step == Step::Scan,
        _ => false,
    };
    let digit = if has_new { "b" } else { "a" };
    let on_disk = OnDisk {
        commit: digit.repeat(40),
        git_ref: "main".to_owned(),
    };
    let wanted = wanted();
    let mut end = SyncEnd {
        gateway: "blue",
        profile: "edge",
        wanted: &wanted,
        on_disk: &on_disk,
        outcome,
        is_unconfirmed: false,
        has_timed_out: false,
        took: Duration::from_millis(1500),
        now: "2026-11-26T00:13:52Z".parse().unwrap(),
    };
    change(&mut end);
    report(&end, before)
}

fn synced() -> Synced {
    Synced {
        author: "Ada".to_owned(),
        files: Files {
            added: 1,
            modified: 2,
            deleted: 0,
        },
        took: Duration::from_millis(640),
        projects: vec!["boiler".to_owned()],
        scan: "projects=200 config=200".to_owned(),
        ..Synced::default()
    }
}

fn failed(step: Step, message: &str) -> Outcome {
    Outcome::Failed(Failure {
        step,
        message: message.to_owned(),
        files: Files::default(),
        allows_start: false,
    })
}

fn sent(reported: &Reported) -> Option<(bool, &str, &str)> {
    let event = reported.event.as_ref()?;
    Some((event.is_warning, event.reason, &event.message))
}

#[test]
fn a_sync_is_pending_until_the_gateway_has_confirmed_it() {
    let outcome = Outcome::Synced(Synced {
        scan: String::new(),
        ..synced()
    });
    let first = reported(&outcome, &Report::default(), |it| it.is_unconfirmed = true);
    assert_eq!(first.report.sync_status, SyncStatus::Pending);
    assert_eq!(first.report.synced_commit, "b".repeat(40));
    let confirmed = reported(&Outcome::Synced(synced()), &first.report, |_| {});
    let report = &confirmed.report;
    assert_eq!(report.sync_status, SyncStatus::Synced);
    assert_eq!(report.synced_ref, "main");
    assert_eq!(report.last_sync_time, "2026-11-26T00:13:52Z");
    assert_eq!(report.last_sync_duration, "640ms");
    assert_eq!(report.last_scan_result, "projects=200 config=200");
    assert_eq!(report.files_changed, 3);
    assert_eq!(report.projects_synced, Some(vec!["boiler".to_owned()]));
    assert_eq!(report.profile_name, "edge");
    assert_eq!(
        sent(&confirmed),
        Some((
            false,
            "SyncCompleted",
            "Sync completed on blue: commit bbbbbbbbbbbb, 3 file(s) changed"
        ))
    );
}

#[test]
fn a_sync_without_changes_of_a_known_commit_is_no_event() {
    let outcome = Outcome::Synced(Synced {
        files: Files::default(),
        ..synced()
    });
    let before = reported(&outcome, &Report::default(), |_| {});
    assert!(before.event.is_some());
    assert_eq!(sent(&reported(&outcome, &before.report, |_| {})), None);
}

#[test]
fn a_dry_run_counts() {
    let outcome = Outcome::Synced(Synced {
        is_dry_run: true,
        scan: String::new(),
        ..synced()
    });
    let report = reported(&outcome, &Report::default(), |it| it.is_unconfirmed = true).report;
    assert_eq!(report.sync_status, SyncStatus::Synced);
    assert!(report.dry_run);
    assert_eq!(
        (report.dry_run_diff_added, report.dry_run_diff_modified),
        (1, 2)
    );
    assert_eq!(report.files_changed, 3);
    assert_eq!(report.last_scan_result, "");
}

#[test]
fn a_failure_keeps_the_commit_that_is_on_the_gateway() {
    for (step, message, reason, event) in [
        (
            Step::Clone,
            "git fetch: gone",
            "CloneFailed",
            "Initial clone failed: gone",
        ),
        (
            Step::Fetch,
            "git fetch: gone",
            "SyncFailed",
            "git fetch: gone",
        ),
        (
            Step::Profile,
            "looking up profile: gone",
            "SyncFailed",
            "looking up profile: gone",
        ),
        (
            Step::Files,
            "sync engine: gone",
            "SyncFailed",
            "sync engine: gone",
        ),
    ] {
        let reported = reported(&failed(step, "gone"), &Report::default(), |_| {});
        assert_eq!(reported.report.sync_status, SyncStatus::Error);
        assert_eq!(reported.report.synced_commit, "a".repeat(40));
        assert_eq!(reported.report.error_message, message);
        assert_eq!(reported.report.profile_name, "edge");
        assert_eq!(reported.report.last_sync_duration, "");
        assert_eq!(reported.report.projects_synced, None);
        assert_eq!(sent(&reported), Some((true, reason, event)));
    }
}

#[test]
fn a_failed_scan_reports_the_commit_whose_files_are_in_place() {
    let text = "error: scan/config: after 3 retries: HTTP 500";
    let reported = reported(&failed(Step::Scan, text), &Report::default(), |_| {});
    assert_eq!(reported.report.synced_commit, "b".repeat(40));
    assert_eq!(reported.report.last_scan_result, text);
    assert_eq!(reported.report.error_message, text);
    let event = format!("Sync on blue copied files but scan failed: {text}");
    assert_eq!(sent(&reported), Some((true, "SyncFailed", &*event)));
}

#[test]
fn waiting_for_designers_keeps_an_error_and_becomes_one() {
    let open = vec![
        Designer {
            user: "admin".to_owned(),
            project: "p1".to_owned(),
        },
        Designer {
            user: "bob".to_owned(),
            project: "p2".to_owned(),
        },
    ];
    let waits = Outcome::Designers {
        policy: DesignerSessionPolicy::Wait,
        open: open.clone(),
        period: Duration::from_secs(30),
    };
    let first = reported(&waits, &Report::default(), |_| {});
    assert_eq!(first.report.sync_status, SyncStatus::Pending);
    assert!(first.report.designer_sessions_blocked);
    assert_eq!(sent(&first), None);

    let error = reported(&failed(Step::Fetch, "gone"), &Report::default(), |_| {}).report;
    let kept = reported(&waits, &error, |_| {}).report;
    assert_eq!(kept.sync_status, SyncStatus::Error);
    assert_eq!(kept.error_message, "git fetch: gone");
    assert!(kept.designer_sessions_blocked);

    let late = reported(&waits, &first.report, |it| it.has_timed_out = true);
    assert_eq!(late.report.sync_status, SyncStatus::Error);
    let text = "designer sessions active (policy=wait, 5m timeout): admin on p1, bob on p2";
    assert_eq!(late.report.error_message, text);
    let event = "Designer sessions blocked sync (5m timeout): admin on p1, bob on p2";
    assert_eq!(sent(&late), Some((true, "DesignerSessionsBlocked", event)));
    let later = reported(&waits, &late.report, |it| it.has_timed_out = true);
    assert_eq!(sent(&later), None, "one event for one error");

    let fails = Outcome::Designers {
        policy: DesignerSessionPolicy::Fail,
        open,
        period: Duration::from_secs(30),
    };
    let refused = reported(&fails, &Report::default(), |_| {});
    let text = "designer sessions active (policy=fail): admin on p1, bob on p2";
    assert_eq!(refused.report.error_message, text);
    assert!(!refused.report.designer_sessions_blocked);
    let event = "Designer sessions blocked sync: admin on p1, bob on p2";
    assert_eq!(
        sent(&refused),
        Some((true, "DesignerSessionsBlocked", event))
    );
}

#[test]
fn a_paused_profile_reports_the_commit_that_is_on_the_gateway() {
    let reported = reported(&Outcome::ProfilePaused, &Report::default(), |_| {});
    assert_eq!(reported.report.sync_status, SyncStatus::Synced);
    assert_eq!(reported.report.synced_commit, "a".repeat(40));
    assert_eq!(sent(&reported), None);
}

#[test]
fn a_paused_profile_keeps_an_error_and_waits_for_the_gateway() {
    let error = reported(&failed(Step::Files, "full"), &Report::default(), |_| {}).report;
    let kept = reported(&Outcome::ProfilePaused, &error, |_| {}).report;
    assert_eq!(kept.sync_status, SyncStatus::Error);
    assert_eq!(kept.error_message, "sync engine: full");
    let starting = reported(&Outcome::ProfilePaused, &Report::default(), |it| {
        it.is_unconfirmed = true;
    });
    assert_eq!(starting.report.sync_status, SyncStatus::Pending);
}

#[test]
fn a_held_sync_is_told_once() {
    let held = Outcome::Unconfirmed {
        message: "it deletes 90 of 100 files".to_owned(),
    };
    let first = reported(&held, &Report::default(), |_| {});
    assert_eq!(first.report.sync_status, SyncStatus::Error);
    assert_eq!(first.report.error_message, "it deletes 90 of 100 files");
    let event = "Sync held: it deletes 90 of 100 files";
    assert_eq!(sent(&first), Some((true, "SyncHeld", event)));
    assert_eq!(sent(&reported(&held, &first.report, |_| {})), None);
}

#[test]
fn syncs_are_remembered_and_looks_are_not() {
    let mut report = reported(&Outcome::Synced(synced()), &Report::default(), |_| {}).report;
    report = reported(&failed(Step::Fetch, "gone"), &report, |_| {}).report;
    report = reported(&Outcome::ProfilePaused, &report, |_| {}).report;
    let lines: Vec<_> = report
        .history
        .iter()
        .map(|one| {
            format!(
                "{:?} {} {} {}",
                one.result, one.added, one.author, one.message
            )
        })
        .collect();
    assert_eq!(lines, ["Error 0  git fetch: gone", "Success 1 Ada "]);
    assert_eq!(report.history[0].duration, "1.5s");
}

#[test]
fn drift_is_told_once_and_names_some_files() {
    let files = |count: usize| (0..count).map(|index| format!("f{index}")).collect();
    let stays = Drift {
        files: files(2),
        is_repaired: false,
    };
    let reported = drift("blue", &stays, &Drift::default()).unwrap();
    assert_eq!(reported.reason, "FilesDrifted");
    let text =
        "2 file(s) of blue were changed since the last sync, and they stay as they are: f0, f1";
    assert_eq!(reported.message, text);
    assert_eq!(drift("blue", &stays, &stays), None);
    assert_eq!(drift("blue", &Drift::default(), &stays), None);
    let many = Drift {
        files: files(9),
        is_repaired: true,
    };
    let text = drift("blue", &many, &stays).unwrap().message;
    assert!(
        text.ends_with("they are put back: f0, f1, f2, f3, f4, …"),
        "{text}"
    );
}
