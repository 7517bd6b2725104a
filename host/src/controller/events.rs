//! Events on the object. They are computed purely from the status before and after a pass, so that a pass that changes
//! nothing creates no event.

use std::collections::BTreeSet;

use kube::api::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use stoker_api::detection::ObjectKey;
use stoker_api::names::{condition, reason};
use stoker_api::{DiscoveredGateway, GatewayState, GatewaySync, GatewaySyncStatus, messages};

use super::definition::Dropped;
use super::gateways::Fleet;
use super::publish::Publication;
use super::resolve::{Resolution, ResolutionFailure, ResolutionSuccess};
use super::status::Outcome;
use super::validate::Desired;
use crate::cluster::events::{Event, EventQueue, EventType, Subject};

/// The name of the reporter, by which tools filter events.
pub const COMPONENT: &str = "gatewaysync-controller";
/// The action of the events about the ref of an object.
const RESOLVE: &str = "Resolve";
/// The maximum number of pods without an agent that a pass reports in events of their own. The queue of events is
/// shared by all objects.
const MISSING_SIDECARS: usize = 32;

/// The events of a pass that changed the status.
pub(super) fn between(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    outcome: &Outcome<'_>,
) -> Vec<Event> {
    match outcome {
        Outcome::Paused => paused(before).into_iter().collect(),
        Outcome::Pending => Vec::new(),
        Outcome::Reconciled {
            desired,
            resolution,
            publication,
            fleet,
            ..
        } => [
            profiles_invalid(before, after, desired),
            ref_resolution(before, after, resolution),
            commit_missing(before, after, resolution),
            not_published(before, after, publication),
            gateways_discovered(before, fleet),
            not_bound(before, after, fleet),
            reports_unreadable(before, after, fleet),
        ]
        .into_iter()
        .flatten()
        .chain(missing_sidecars(before, after))
        .collect(),
    }
}

/// Returns the event that a request was removed because the spec was changed after it.
pub(super) fn superseded(sync: &GatewaySync) -> Event {
    let note = format!(
        "The request for {:?} was removed: spec.git.ref was changed from {:?} to {:?} after it",
        sync.requested_ref().unwrap_or_default(),
        sync.requested_over().unwrap_or_default(),
        sync.spec.git.git_ref,
    );
    event(EventType::Normal, reason::REQUEST_SUPERSEDED, RESOLVE, note)
}

/// Returns the event that the API server drops fields of the status.
pub(super) fn outdated(dropped: &Dropped) -> Event {
    let note = format!(
        "The definition of GatewaySync is older than Stoker and does not have {}; apply the one that `stoker crd` prints",
        dropped.names()
    );
    event(
        EventType::Warning,
        reason::DEFINITION_OUTDATED,
        "Reconcile",
        note,
    )
}

/// Returns the event that an object does not have the form of a `GatewaySync`.
pub(super) fn invalid(object: &InvalidObject) -> Event {
    let note = format!(
        "The object is not reconciled, because it does not have the form of a GatewaySync: {}",
        object.error
    );
    event(
        EventType::Warning,
        reason::INVALID_OBJECT,
        "Reconcile",
        note,
    )
}

fn paused(before: &GatewaySyncStatus) -> Option<Event> {
    let was_paused = before
        .condition(condition::READY)
        .is_some_and(|found| found.reason == reason::PAUSED);
    let note = || "Reconciliation paused".to_owned();
    (!was_paused).then(|| event(EventType::Normal, reason::PAUSED, "Reconcile", note()))
}

fn profiles_invalid(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    desired: &Desired,
) -> Option<Event> {
    let faults = desired.profiles.as_ref().err()?;
    let note = format!("Profile validation failed: {faults}");
    let event = || {
        event(
            EventType::Warning,
            reason::PROFILES_INVALID,
            "Validate",
            note,
        )
    };
    has_new_message(condition::PROFILES_VALID, before, after).then(event)
}

fn ref_resolution(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    resolution: &Resolution,
) -> Option<Event> {
    match resolution {
        Resolution::Failed(ResolutionFailure {
            reason, message, ..
        }) => {
            let state = |status: &GatewaySyncStatus| {
                let found = status.condition(condition::REF_RESOLVED)?;
                Some((found.status.clone(), found.observed_generation))
            };
            // A changed object that fails again is another mistake.
            let had_failed = state(before) == state(after);
            let note = || format!("Ref resolution failed: {message}");
            (!had_failed).then(|| event(EventType::Warning, reason, RESOLVE, note()))
        }
        Resolution::Resolved(ResolutionSuccess { found, .. }) => {
            let has_moved = before.last_sync_ref != after.last_sync_ref
                || before.last_sync_commit != after.last_sync_commit;
            let (git_ref, commit) = (found.git_ref.as_str(), &found.commit);
            let note = || format!("Ref {git_ref:?} resolved to {commit}");
            has_moved.then(|| event(EventType::Normal, reason::REF_RESOLVED, RESOLVE, note()))
        }
        Resolution::Blocked(_) => None,
    }
}

/// Returns an event if a request was handled although the branch does not lead to the announced commit.
fn commit_missing(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    resolution: &Resolution,
) -> Option<Event> {
    let Resolution::Resolved(ResolutionSuccess {
        found,
        missing: Some(missing),
        ..
    }) = resolution
    else {
        return None;
    };
    let note = || {
        format!(
            "Ref {:?} still leads to {}, although the webhook announces {missing}: the git server is behind, or a later push has replaced it",
            found.git_ref.as_str(),
            found.commit
        )
    };
    let is_new = before.last_handled_requested_at != after.last_handled_requested_at;
    is_new.then(|| {
        event(
            EventType::Warning,
            reason::ANNOUNCED_COMMIT_MISSING,
            RESOLVE,
            note(),
        )
    })
}

fn not_published(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    publication: &Publication,
) -> Option<Event> {
    let Publication::Failed(error) = publication else {
        return None;
    };
    let event = || {
        let note = error.to_string();
        event(EventType::Warning, error.reason(), "Publish", note)
    };
    has_new_message(condition::READY, before, after).then(event)
}

fn gateways_discovered(before: &GatewaySyncStatus, fleet: &Fleet) -> Option<Event> {
    let is = fleet.gateways.as_ref()?.count();
    let (_, was) = before.gateway_counts();
    let note = || format!("Discovered {is} gateway(s) (was {was})");
    let event = || {
        event(
            EventType::Normal,
            reason::GATEWAYS_DISCOVERED,
            "Discover",
            note(),
        )
    };
    (was != is).then(event)
}

/// Returns an event if the agents cannot be bound to their role.
fn not_bound(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    fleet: &Fleet,
) -> Option<Event> {
    fleet.binding.as_ref().err()?;
    let note = after.condition(condition::AGENT_READY)?.message.clone();
    let event = || event(EventType::Warning, reason::RBAC_ERROR, "Discover", note);
    has_new_message(condition::AGENT_READY, before, after).then(event)
}

/// Returns an event about the pods whose report is unreadable, unless it was before. A status that does not list all
/// gateways lists these among the first.
fn reports_unreadable(
    before: &GatewaySyncStatus,
    after: &GatewaySyncStatus,
    fleet: &Fleet,
) -> Option<Event> {
    let unreadable = |status| {
        pods_of(status, |one| {
            let message = one.message.as_deref();
            message.is_some_and(messages::is_unreadable_report)
        })
    };
    let (was, is) = (unreadable(before), unreadable(after));
    let is_new = |pod: &str| is.contains(pod) && !was.contains(pod);
    let note = fleet.gateways.as_ref()?.unreadable_reports(is_new)?;
    let reason = reason::REPORT_INVALID;
    Some(event(EventType::Warning, reason, "Discover", note))
}

/// Returns the pods of the gateways in a status that are of a kind.
fn pods_of(
    status: &GatewaySyncStatus,
    is_meant: impl Fn(&DiscoveredGateway) -> bool,
) -> BTreeSet<String> {
    let gateways = status.discovered_gateways.iter();
    let meant = gateways.filter(|one| is_meant(one));
    meant.map(|one| one.pod_name.clone()).collect()
}

/// Returns an event for each pod whose agent is missing, unless it was missing before. Above a number of pods, one event
/// is about all others. A status that does not list all gateways lists these first.
fn missing_sidecars(before: &GatewaySyncStatus, after: &GatewaySyncStatus) -> Vec<Event> {
    let is_missing = Some(GatewayState::MissingSidecar);
    let missing = |status| pods_of(status, |one| one.sync_status == is_missing);
    let new: Vec<String> = missing(after)
        .difference(&missing(before))
        .cloned()
        .collect();
    // An event about one other pod would save nothing.
    let has_others = new.len() > MISSING_SIDECARS + 1;
    let named = if has_others {
        MISSING_SIDECARS
    } else {
        new.len()
    };
    let (named, others) = new.split_at(named);
    let named = named.iter().map(|pod| {
        format!(
            "Pod {pod} has no stoker-agent sidecar; delete the pod, so that it is created again and the agent is injected"
        )
    });
    let others = others.first().map(|first| {
        format!(
            "{} more pods have no stoker-agent sidecar, such as {first}; delete them, so that they are created again and \
             the agent is injected",
            others.len()
        )
    });
    let missing_sidecar = |note| {
        event(
            EventType::Warning,
            reason::MISSING_SIDECAR,
            "Discover",
            note,
        )
    };
    named.chain(others).map(missing_sidecar).collect()
}

fn has_new_message(type_: &str, before: &GatewaySyncStatus, after: &GatewaySyncStatus) -> bool {
    let message =
        |status: &GatewaySyncStatus| status.condition(type_).map(|found| found.message.clone());
    message(before) != message(after)
}

fn event(type_: EventType, reason: &str, action: &'static str, note: String) -> Event {
    Event::new(type_, reason, action, note)
}

/// Logs what was found out about the ref of an object. There are events about changes only, so an object whose git server
/// does not answer has one line.
pub(super) fn log_resolution(key: &ObjectKey, events: &[Event]) {
    for event in events.iter().filter(|event| event.action == RESOLVE) {
        let (namespace, name) = (key.namespace(), key.name());
        let (reason, note) = (&event.reason, stoker_report::escape(&event.note));
        match event.type_ {
            EventType::Normal => {
                tracing::info!(
                    sync.namespace = namespace,
                    sync.name = name,
                    reason,
                    "{note}"
                );
            }
            EventType::Warning => {
                tracing::warn!(
                    sync.namespace = namespace,
                    sync.name = name,
                    reason,
                    "{note}"
                );
            }
        }
    }
}

/// Adds the events of an object.
pub(super) fn add(queue: &EventQueue, key: &ObjectKey, meta: &ObjectMeta, events: Vec<Event>) {
    for event in events {
        let subject = Subject {
            key: key.clone(),
            uid: meta.uid.clone(),
        };
        queue.add(subject, &event);
    }
}
