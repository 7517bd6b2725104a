use super::*;

fn time() -> Timestamp {
    "2026-11-26T00:13:52.731Z".parse().unwrap()
}

#[test]
fn a_report_has_the_bytes_of_the_go_agent() {
    let report = Report {
        sync_status: SyncStatus::Synced,
        synced_commit: "1fba38c".to_owned(),
        synced_ref: "main".to_owned(),
        last_sync_duration: "3ms".to_owned(),
        last_scan_result: "projects=200 config=200".to_owned(),
        projects_synced: Some(vec!["p1".to_owned(), "p2".to_owned()]),
        profile_name: "default".to_owned(),
        ..Report::default()
    };
    let expected = format!(
        r#"{{"syncStatus":"Synced","syncedCommit":"1fba38c","syncedRef":"main","lastSyncTime":"2026-11-26T00:13:52Z","lastSyncDuration":"3ms","agentVersion":"{VERSION}","lastScanResult":"projects=200 config=200","filesChanged":0,"projectsSynced":["p1","p2"],"profileName":"default"}}"#
    );
    assert_eq!(report.finish(time()).to_json().unwrap(), expected);
}

#[test]
fn an_error_has_null_projects_and_a_message() {
    let report = Report {
        sync_status: SyncStatus::Error,
        error_message: "git fetch: gone".to_owned(),
        projects_synced: Some(Vec::new()),
        ..Report::default()
    };
    let text = report.finish(time()).to_json().unwrap();
    assert!(
        text.contains(r#""lastScanResult":"","filesChanged":0,"projectsSynced":null,"errorMessage":"git fetch: gone"}"#),
        "{text}"
    );
}

#[test]
fn dry_runs_and_blocks_are_reported_only_if_there_are_any() {
    let report = Report {
        dry_run: true,
        dry_run_diff_added: 1,
        dry_run_diff_deleted: 2,
        designer_sessions_blocked: true,
        ..Report::default()
    };
    let text = report.to_json().unwrap();
    assert!(
        text.ends_with(r#""projectsSynced":null,"dryRun":true,"dryRunDiffAdded":1,"dryRunDiffDeleted":2,"designerSessionsBlocked":true}"#),
        "{text}"
    );
    assert_eq!(Report::parse(&text), report);
}

#[test]
fn an_unusable_entry_counts_as_empty() {
    for text in ["", "[]", "{\"syncStatus\":7}", "x"] {
        assert_eq!(Report::parse(text), Report::default(), "{text}");
    }
}

#[test]
fn texts_are_bounded() {
    let report = Report {
        error_message: "\u{e9}".repeat(2000),
        projects_synced: Some(vec!["p".to_owned(); 1000]),
        ..Report::default()
    };
    let report = report.finish(time());
    assert_eq!(report.error_message.len(), 1024);
    assert_eq!(report.projects_synced.unwrap().len(), 256);
}

fn record(commit: &str, result: SyncResult, message: &str) -> Record {
    Record {
        commit: commit.to_owned(),
        result,
        message: message.to_owned(),
        ..Record::default()
    }
}

#[test]
fn the_history_keeps_the_last_syncs_and_repeats_no_failure() {
    let mut report = Report::default();
    for commit in ["a", "b", "c", "d", "e", "f"] {
        report.remember(record(commit, SyncResult::Success, ""));
    }
    for _ in 0..3 {
        report.remember(record("g", SyncResult::Error, "gone"));
    }
    report.remember(record("g", SyncResult::Error, &"x".repeat(500)));
    let commits: Vec<_> = report.history.iter().map(|one| &*one.commit).collect();
    assert_eq!(commits, ["g", "g", "f", "e", "d"]);
    assert_eq!(report.history[0].message.len(), 120);
}
