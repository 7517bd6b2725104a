//! Events on the object, for people. What there is to tell is worked out purely from the status before and after, so
//! that a pass that changes nothing tells nothing.

use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Resource as _, ResourceExt as _};

use super::error::within;
use super::resolve::{Resolution, Resolved, Unresolved};
use super::status::{Examined, Findings};
use crate::api::names::{condition, reason};
use crate::api::{GatewaySync, GatewaySyncStatus};
use crate::report;

/// Who reports, as tools that filter events know it.
const COMPONENT: &str = "gatewaysync-controller";
/// The API server takes notes below 1 KiB.
const NOTE_BYTES: usize = 1000;

/// What there is to tell about the step from one status to the next.
pub(super) fn between(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    findings: &Findings,
) -> Vec<Event> {
    match findings {
        Findings::Paused => pause(before).into_iter().collect(),
        Findings::Examined(examined) => {
            let resolution = examined
                .resolution
                .as_ref()
                .and_then(|resolution| about_ref(before, after, resolution));
            profiles(before, after, examined)
                .into_iter()
                .chain(resolution)
                .collect()
        }
    }
}

fn pause(before: &GatewaySyncStatus) -> Option<Event> {
    let was_paused = before
        .condition(condition::READY)
        .is_some_and(|found| found.reason == reason::PAUSED);
    let note = || "Reconciliation paused".to_owned();
    (!was_paused).then(|| event(EventType::Normal, reason::PAUSED, "Reconcile", note()))
}

fn profiles(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    examined: &Examined,
) -> Option<Event> {
    let message = |status: &GatewaySyncStatus| {
        status
            .condition(condition::PROFILES_VALID)
            .map(|found| found.message.clone())
    };
    let faults = examined
        .profiles
        .as_ref()
        .err()
        .filter(|_| message(before) != message(after))?;
    let note = format!("Profile validation failed: {faults}");
    Some(event(
        EventType::Warning,
        reason::PROFILES_INVALID,
        "Validate",
        note,
    ))
}

fn about_ref(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    resolution: &Resolution,
) -> Option<Event> {
    match resolution {
        Resolution::Unresolved(Unresolved { reason, text, .. }) => {
            let was_unresolved = before
                .condition(condition::REF_RESOLVED)
                .is_some_and(|found| found.status == "False");
            let note = || format!("Ref resolution failed: {text}");
            (!was_unresolved).then(|| event(EventType::Warning, reason, "Resolve", note()))
        }
        Resolution::Resolved(Resolved { git_ref, found, .. }) => {
            let has_moved = before.last_sync_ref != after.last_sync_ref
                || before.last_sync_commit != after.last_sync_commit;
            let note = || format!("Ref {:?} resolved to {}", git_ref.as_str(), found.commit);
            has_moved.then(|| event(EventType::Normal, reason::REF_RESOLVED, "Resolve", note()))
        }
    }
}

fn event(type_: EventType, reason: &str, action: &str, note: String) -> Event {
    let mut note = note;
    note.truncate(note.floor_char_boundary(NOTE_BYTES));
    Event {
        type_,
        reason: reason.to_owned(),
        action: action.to_owned(),
        note: Some(note),
        secondary: None,
    }
}

/// Writes the events. One that cannot be written is lost, and the log says so.
pub(super) async fn publish(client: &Client, sync: &GatewaySync, events: &[Event]) {
    // A recorder folds events of one reason into the first one's text for six minutes. What is told here tells of
    // changes, each with its own text, so each batch has a recorder that remembers nothing.
    let reporter = Reporter {
        controller: COMPONENT.to_owned(),
        instance: None,
    };
    let recorder = Recorder::new(client.clone(), reporter);
    for event in events {
        if let Err(error) = within(
            "create an event",
            recorder.publish(event, &sync.object_ref(&())),
        )
        .await
        {
            tracing::warn!(
                sync.namespace = sync.namespace(),
                sync.name = sync.name_any(),
                event.reason = event.reason,
                error = %report::chain(&error),
                "event not written"
            );
        }
    }
}
