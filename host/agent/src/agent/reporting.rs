//! What the end of a sync means for the report, the event and the history. Pure.

use std::time::Duration;

use jiff::Timestamp;
use stoker_api::DesignerSessionPolicy;

use super::Drift;
use super::outcome::{Failure, OnDisk, Outcome, Step, Synced};
use crate::events::Event;
use crate::gateway::Designer;
use crate::metadata::Published;
use crate::problems::Problems;
use crate::report::{Record, Report, SyncResult, SyncStatus, go_duration, rfc3339};

/// The reasons of events.
const COMPLETED: &str = "SyncCompleted";
const FAILED: &str = "SyncFailed";
const CLONE_FAILED: &str = "CloneFailed";
const DESIGNERS: &str = "DesignerSessionsBlocked";
const HELD: &str = "SyncHeld";
const DRIFTED: &str = "FilesDrifted";
/// The number of files that an event about drift names.
const NAMED: usize = 5;

/// The end of a sync, and the data for the report.
pub(super) struct SyncEnd<'a> {
    /// The name of the gateway.
    pub(super) gateway: &'a str,
    /// The name of its profile.
    pub(super) profile: &'a str,
    /// What was to be synced.
    pub(super) wanted: &'a Published,
    /// What is on the gateway now.
    pub(super) on_disk: &'a OnDisk,
    /// The end of the sync.
    pub(super) outcome: &'a Outcome,
    /// Whether the gateway has still to confirm the files.
    pub(super) is_unconfirmed: bool,
    /// Whether the sync has waited for designers for too long.
    pub(super) has_timed_out: bool,
    /// The duration of the whole sync.
    pub(super) took: Duration,
    /// The time.
    pub(super) now: Timestamp,
}

/// What is reported.
pub(super) struct Reported {
    pub(super) report: Report,
    pub(super) event: Option<Event>,
}

/// Returns the report that follows another, and the event.
pub(super) fn report(end: &SyncEnd<'_>, before: &Report) -> Reported {
    let mut report = Report {
        sync_status: SyncStatus::Pending,
        synced_commit: end.on_disk.commit.clone(),
        synced_ref: end.on_disk.git_ref.clone(),
        profile_name: end.profile.to_owned(),
        last_scan_result: before.last_scan_result.clone(),
        history: before.history.clone(),
        ..Report::default()
    };
    let event = match end.outcome {
        Outcome::Synced(synced) => synced_event(end, synced, before, &mut report),
        Outcome::ProfilePaused => {
            if before.sync_status == SyncStatus::Error {
                // A failed sync may have left a part of a commit on the gateway.
                keep_error(before, &mut report);
            } else if !report.synced_commit.is_empty() && !end.is_unconfirmed {
                report.sync_status = SyncStatus::Synced;
            }
            report.projects_synced.clone_from(&before.projects_synced);
            None
        }
        Outcome::Designers { policy, open, .. } => {
            designers_event(end, *policy, open, before, &mut report)
        }
        Outcome::Unconfirmed { message } => {
            report.sync_status = SyncStatus::Error;
            report.error_message.clone_from(message);
            is_new(&report, before).then(|| warning(HELD, format!("Sync held: {message}")))
        }
        Outcome::Failed(failure) => Some(failed_event(end, failure, &mut report)),
    };
    report.history = remember(end, before, &report);
    Reported {
        report: report.finish(end.now),
        event,
    }
}

fn synced_event(
    end: &SyncEnd<'_>,
    synced: &Synced,
    before: &Report,
    report: &mut Report,
) -> Option<Event> {
    let files = synced.files;
    if !end.is_unconfirmed {
        report.sync_status = SyncStatus::Synced;
    }
    report.last_sync_duration = go_duration(synced.took);
    report.files_changed = number(files.changed());
    report.projects_synced = Some(synced.projects.clone());
    if !synced.scan.is_empty() {
        report.last_scan_result.clone_from(&synced.scan);
    }
    let commit = end.wanted.commit.as_str();
    if synced.is_dry_run {
        report.sync_status = SyncStatus::Synced;
        commit.clone_into(&mut report.synced_commit);
        end.wanted
            .git_ref
            .short()
            .clone_into(&mut report.synced_ref);
        report.last_scan_result.clear();
        report.dry_run = true;
        report.dry_run_diff_added = number(files.added);
        report.dry_run_diff_modified = number(files.modified);
        report.dry_run_diff_deleted = number(files.deleted);
    }
    let is_news = files.changed() > 0 || before.synced_commit != commit;
    is_news.then(|| Event {
        is_warning: false,
        reason: COMPLETED,
        message: format!(
            "Sync completed on {}: commit {}, {} file(s) changed",
            end.gateway,
            &commit[..12],
            files.changed()
        ),
    })
}

fn designers_event(
    end: &SyncEnd<'_>,
    policy: DesignerSessionPolicy,
    open: &[Designer],
    before: &Report,
    report: &mut Report,
) -> Option<Event> {
    let open = designers(open);
    let (message, text) = match policy {
        DesignerSessionPolicy::Wait if end.has_timed_out => (
            format!("designer sessions active (policy=wait, 5m timeout): {open}"),
            format!("Designer sessions blocked sync (5m timeout): {open}"),
        ),
        DesignerSessionPolicy::Wait => {
            report.designer_sessions_blocked = true;
            // An error that was reported before the wait stays, because it is not solved.
            if before.sync_status == SyncStatus::Error {
                keep_error(before, report);
            }
            return None;
        }
        DesignerSessionPolicy::Fail | DesignerSessionPolicy::Proceed => (
            format!("designer sessions active (policy=fail): {open}"),
            format!("Designer sessions blocked sync: {open}"),
        ),
    };
    report.sync_status = SyncStatus::Error;
    report.designer_sessions_blocked = policy == DesignerSessionPolicy::Wait;
    report.error_message = message;
    is_new(report, before).then(|| warning(DESIGNERS, text))
}

fn keep_error(before: &Report, report: &mut Report) {
    report.sync_status = SyncStatus::Error;
    report.error_message.clone_from(&before.error_message);
}

fn failed_event(end: &SyncEnd<'_>, failure: &Failure, report: &mut Report) -> Event {
    report.sync_status = SyncStatus::Error;
    report.error_message = format!("{}{}", failure.step.prefix(), failure.message);
    report.files_changed = number(failure.files.changed());
    match failure.step {
        Step::Clone => warning(
            CLONE_FAILED,
            format!("Initial clone failed: {}", failure.message),
        ),
        Step::Scan => {
            report.last_scan_result.clone_from(&failure.message);
            let gateway = end.gateway;
            let text = format!(
                "Sync on {gateway} copied files but scan failed: {}",
                failure.message
            );
            warning(FAILED, text)
        }
        Step::Fetch | Step::Profile | Step::Files => warning(FAILED, report.error_message.clone()),
    }
}

/// Returns the history with this sync. A check for designers or a pause is not recorded.
fn remember(end: &SyncEnd<'_>, before: &Report, report: &Report) -> Vec<Record> {
    let (author, files, result) = match end.outcome {
        Outcome::Synced(synced) => (synced.author.clone(), synced.files, SyncResult::Success),
        Outcome::Failed(failure) => (String::new(), failure.files, SyncResult::Error),
        Outcome::ProfilePaused | Outcome::Designers { .. } | Outcome::Unconfirmed { .. } => {
            return before.history.clone();
        }
    };
    let mut remembered = Report {
        history: before.history.clone(),
        ..Report::default()
    };
    remembered.remember(Record {
        time: rfc3339(end.now),
        commit: end.wanted.commit.to_string(),
        author,
        result,
        added: files.added,
        modified: files.modified,
        deleted: files.deleted,
        duration: go_duration(end.took),
        message: report.error_message.clone(),
    });
    remembered.history
}

/// Returns the event of a problem apart from failed syncs.
pub(super) fn problem(problem: &str) -> Event {
    warning(FAILED, problem.to_owned())
}

/// Returns a report that shows the problems, beside the error of the last sync if there is one.
pub(super) fn with_problems(report: &Report, problems: &Problems) -> Report {
    let mut report = report.clone();
    let problem = problems.to_string();
    if problem.is_empty() {
        let is_pending = report.sync_status == SyncStatus::Pending;
        if is_pending && report.error_message.is_empty() {
            report.error_message.clone_from(&problems.unconfirmed);
        }
        return report.bound();
    }
    if report.sync_status == SyncStatus::Error && report.error_message.ends_with(&problem) {
        return report;
    }
    report.error_message = match report.error_message.as_str() {
        "" => problem,
        error => format!("{error}; {problem}"),
    };
    report.sync_status = SyncStatus::Error;
    report.bound()
}

/// Returns the event that others have changed files, unless these were reported before.
pub(super) fn drift(gateway: &str, drift: &Drift, before: &Drift) -> Option<Event> {
    if drift.files.is_empty() || drift == before {
        return None;
    }
    let mut named = drift.files[..drift.files.len().min(NAMED)].join(", ");
    if drift.files.len() > NAMED {
        named.push_str(", …");
    }
    let action = if drift.is_repaired {
        "they are put back"
    } else {
        "they stay as they are"
    };
    let count = drift.files.len();
    let text = format!(
        "{count} file(s) of {gateway} were changed since the last sync, and {action}: {named}"
    );
    Some(warning(DRIFTED, stoker_report::escape(&text)))
}

/// Returns the designers as a text, such as `admin on p1, bob on p2`.
pub(super) fn designers(open: &[Designer]) -> String {
    let texts: Vec<_> = open
        .iter()
        .map(|one| stoker_report::escape(&format!("{} on {}", one.user, one.project)))
        .collect();
    texts.join(", ")
}

fn is_new(report: &Report, before: &Report) -> bool {
    report.error_message != before.error_message
}

fn warning(reason: &'static str, message: String) -> Event {
    Event {
        is_warning: true,
        reason,
        message,
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
