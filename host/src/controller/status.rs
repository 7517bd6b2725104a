//! Fifth step: the status of the object. It is computed purely from the results of the other steps; then `write.rs`
//! writes the difference, if there is one.

mod write;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use stoker_api::names::{condition, reason};
use stoker_api::{GatewaySync, GatewaySyncStatus, RefResolutionStatus};

use super::condition::{Setter, State};
use super::definition::Dropped;
use super::duration;
use super::gateways::{Fleet, Gateways, Skew};
use super::publish::Publication;
use super::published::PublishedCommit;
use super::resolve::{Blocked, Resolution, ResolutionFailure, ResolutionSuccess};
use super::state::Retry;
use super::validate::Desired;

pub(super) use write::write;

/// The outcome of a pass.
#[derive(Debug)]
pub(super) enum Outcome<'a> {
    /// The object is paused, so nothing was done.
    Paused,
    /// The git server has not answered yet, or is behind, and no commit is known.
    Pending,
    /// The steps were taken.
    Reconciled {
        desired: &'a Desired,
        resolution: &'a Resolution,
        publication: &'a Publication,
        fleet: &'a Fleet,
        published: Option<PublishedCommit>,
    },
}

impl Outcome<'_> {
    /// Returns the gateways, if the pass has observed them.
    pub(super) fn gateways(&self) -> Option<&Gateways> {
        match self {
            Self::Paused | Self::Pending => None,
            Self::Reconciled { fleet, .. } => fleet.gateways.as_ref(),
        }
    }
}

/// Returns the next status of an object after a pass, and its gateways that run another commit.
pub(super) fn next(
    sync: &GatewaySync,
    outcome: &Outcome<'_>,
    now: Timestamp,
    dropped: &Dropped,
) -> (GatewaySyncStatus, Skew) {
    let mut skew = Skew::default();
    let mut status = sync.status.clone().unwrap_or_default();
    // The API keeps times in whole seconds.
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    match outcome {
        Outcome::Paused => pause(&mut status, sync, &now),
        Outcome::Pending => {
            let is_new = status.observed_generation != sync.metadata.generation
                || status.last_handled_requested_at.as_deref() != sync.requested_at();
            if is_new {
                status.ref_resolution_status = Some(RefResolutionStatus::Resolving);
            }
            end_pause(&mut status, sync, &now);
        }
        Outcome::Reconciled {
            desired,
            resolution,
            publication,
            fleet,
            published,
        } => {
            status.profile_count = i64::try_from(sync.spec.sync.profiles.len()).ok();
            set_ref_fields(&mut status, sync, resolution, &now);
            set_host_key(&mut status, desired, resolution);
            if let Some(gateways) = &fleet.gateways {
                let shown = gateways.shown(status.last_sync_commit.as_deref());
                status.discovered_gateways = shown;
            }
            skew = Skew::new(sync, fleet.gateways.as_ref(), published.as_ref(), now.0);
            let mut setter = setter(&mut status, sync, &now);
            let is_pinned = !dropped.has_host_key(sync.status.as_ref());
            set_spec_conditions(&mut setter, desired, is_pinned);
            if let Some(state) = ref_state(resolution) {
                setter.set(condition::REF_RESOLVED, state);
            }
            fleet.set_conditions(&mut setter, &skew);
            let all_synced = setter.holds(condition::ALL_GATEWAYS_SYNCED);
            setter.set(
                condition::READY,
                ready_state(desired, resolution, publication, all_synced),
            );
        }
    }
    (status, skew)
}

/// Says that the object is paused.
fn pause(status: &mut GatewaySyncStatus, sync: &GatewaySync, now: &Time) {
    let state = State::unmet(reason::PAUSED, "Reconciliation paused");
    setter(status, sync, now).set(condition::READY, state);
}

/// Replaces a `Ready` that says that the object is paused. Any other one stays until the ref is resolved.
fn end_pause(status: &mut GatewaySyncStatus, sync: &GatewaySync, now: &Time) {
    let ready = status.condition(condition::READY);
    if ready.is_none_or(|ready| ready.reason != reason::PAUSED) {
        return;
    }
    let state = State::unmet(reason::RECONCILING, "Resolving the ref");
    setter(status, sync, now).set(condition::READY, state);
}

fn setter<'a>(status: &'a mut GatewaySyncStatus, sync: &GatewaySync, now: &'a Time) -> Setter<'a> {
    Setter {
        conditions: &mut status.conditions,
        generation: sync.metadata.generation,
        now,
    }
}

/// Sets the fields about the ref. After a failure, they keep the last commit.
fn set_ref_fields(
    status: &mut GatewaySyncStatus,
    sync: &GatewaySync,
    resolution: &Resolution,
    now: &Time,
) {
    if let Resolution::Blocked(_) = resolution {
        return;
    }
    status.observed_generation = sync.metadata.generation;
    if let Some(requested_at) = sync.requested_at() {
        status.last_handled_requested_at = Some(requested_at.to_owned());
    }
    let Resolution::Resolved(ResolutionSuccess { found, .. }) = resolution else {
        status.ref_resolution_status = Some(RefResolutionStatus::Error);
        return;
    };
    status.ref_resolution_status = Some(RefResolutionStatus::Resolved);
    status.last_sync_ref_kind = Some(found.kind);
    let moved = status.last_sync_ref.as_deref() != Some(found.git_ref.as_str())
        || status.last_sync_commit.as_deref() != Some(found.commit.as_str());
    if moved || status.last_sync_time.is_none() {
        status.last_sync_ref = Some(found.git_ref.to_string());
        status.last_sync_commit = Some(found.commit.to_string());
        status.last_sync_commit_short = Some(found.commit.short().to_owned());
        status.last_sync_time = Some(now.clone());
    }
}

/// Pins the host key of an ssh server that is not verified by known hosts.
fn set_host_key(status: &mut GatewaySyncStatus, desired: &Desired, resolution: &Resolution) {
    match (desired.host_keys_verified, resolution) {
        (
            Some(false),
            Resolution::Resolved(ResolutionSuccess {
                host_key: Some(key),
                ..
            }),
        ) => {
            status.ssh_host_key = Some(key.clone());
        }
        (Some(false), _) => {}
        (Some(true) | None, _) => status.ssh_host_key = None,
    }
}

/// Sets the conditions about the spec. Two of them exist only if they have something to report.
fn set_spec_conditions(setter: &mut Setter<'_>, desired: &Desired, is_pinned: bool) {
    setter.set(condition::PROFILES_VALID, profiles_state(&desired.profiles));
    match desired.host_keys_verified {
        Some(verified) => setter.set(
            condition::SSH_HOST_KEY_VERIFICATION,
            host_key_state(verified, is_pinned),
        ),
        None => setter.unset(condition::SSH_HOST_KEY_VERIFICATION),
    }
    match &desired.interval_fault {
        Some(fault) => setter.set(
            condition::POLLING_INTERVAL_VALID,
            State::unmet(
                reason::POLLING_INTERVAL_INVALID,
                format!("spec.polling.interval: {fault}"),
            ),
        ),
        None => setter.unset(condition::POLLING_INTERVAL_VALID),
    }
}

/// Returns whether the object is ready. Where it is not, the reason is always the same, and the message names the most
/// important cause.
fn ready_state(
    desired: &Desired,
    resolution: &Resolution,
    publication: &Publication,
    all_synced: bool,
) -> State<'static> {
    let message = match (resolution, publication) {
        (Resolution::Blocked(blocked), _) | (_, Publication::Blocked(blocked)) => {
            let Blocked { secret, retry } = blocked;
            format!("{secret}{}", retry_note(*retry))
        }
        (_, Publication::Failed(error)) => error.to_string(),
        _ if desired.profiles.is_err() => "Profiles invalid".to_owned(),
        (Resolution::Failed(failure), _) => {
            let when = failure.retry.map(retry_note).unwrap_or_default();
            format!("Ref not resolved{when}")
        }
        (Resolution::Resolved(_), _) if !all_synced => "Waiting for gateways to sync".to_owned(),
        (Resolution::Resolved(_), _) => {
            return State::met(reason::SYNC_SUCCEEDED, "All gateways synced");
        }
    };
    State::unmet(reason::RECONCILING, message)
}

fn retry_note(retry: Retry) -> String {
    let delay = duration::from_seconds(retry.delay.as_secs());
    format!(" (retry in {delay})")
}

fn profiles_state(profiles: &Result<(), String>) -> State<'static> {
    match profiles {
        Ok(()) => State::met(reason::PROFILES_VALID, "All profiles valid"),
        Err(faults) => State::unmet(reason::PROFILES_INVALID, faults.clone()),
    }
}

fn host_key_state(verified: bool, is_pinned: bool) -> State<'static> {
    let (reason, message) = if verified {
        (
            reason::HOST_KEY_VERIFICATION_ENABLED,
            "SSH host key verification enabled",
        )
    } else if !is_pinned {
        let hint = "The SSH host key is neither verified nor pinned, because the definition of GatewaySync is older than Stoker and has no status.sshHostKey; apply the one that `stoker crd` prints, or set spec.git.auth.sshKey.knownHosts";
        (reason::HOST_KEY_VERIFICATION_DISABLED, hint)
    } else {
        let hint = "The SSH host key that was seen first is pinned in status.sshHostKey; set spec.git.auth.sshKey.knownHosts to verify it, or the annotation stoker.io/accepted-host-key to accept another fingerprint";
        (reason::HOST_KEY_VERIFICATION_DISABLED, hint)
    };
    State {
        holds: verified,
        reason,
        message: message.to_owned(),
    }
}

fn ref_state(resolution: &Resolution) -> Option<State<'_>> {
    match resolution {
        Resolution::Resolved(ResolutionSuccess { found, .. }) => {
            Some(State::met(reason::REF_RESOLVED, found.commit.to_string()))
        }
        Resolution::Failed(ResolutionFailure {
            reason,
            message,
            retry,
        }) => {
            let when = retry.map(retry_note).unwrap_or_default();
            Some(State::unmet(
                reason,
                format!("Ref resolution failed{when}: {message}"),
            ))
        }
        Resolution::Blocked(_) => None,
    }
}
