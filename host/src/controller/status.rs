//! Fifth step: what the object's status says. All of it is worked out here, purely, from what the steps before found;
//! then the difference is written, if there is one.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::FIELD_MANAGER;
use super::condition::{Setter, State};
use super::duration;
use super::error::{ControllerError, within};
use super::resolve::{Resolution, Resolved, Unresolved};
use crate::api::names::{condition, reason};
use crate::api::{GatewaySync, GatewaySyncStatus, RefResolutionStatus};
use crate::detection::ObjectKey;

/// What a pass found.
#[derive(Debug)]
pub(super) enum Findings {
    /// The object is paused: nothing was looked at.
    Paused,
    /// It was looked at.
    Examined(Examined),
}

/// What a pass found out about an object that is not paused.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) profiles: Result<(), String>,
    pub(super) interval_fault: Option<String>,
    pub(super) host_keys_checked: Option<bool>,
    /// What became of the ref; nothing, if the pass did not come that far.
    pub(super) resolution: Option<Resolution>,
    /// What keeps the pass from going through, beside the ref and the profiles.
    pub(super) obstacle: Option<String>,
}

/// The status that follows from the one before and what was found.
pub(super) fn next(sync: &GatewaySync, findings: &Findings, now: Timestamp) -> GatewaySyncStatus {
    let mut status = sync.status.clone().unwrap_or_default();
    // Whole seconds are what the API keeps of a time.
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    match findings {
        Findings::Paused => {
            let mut setter = setter(&mut status, sync, &now);
            let message = "Reconciliation paused".to_owned();
            setter.set(
                condition::READY,
                State {
                    holds: false,
                    reason: reason::PAUSED,
                    message,
                },
            );
        }
        Findings::Examined(examined) => {
            status.profile_count = i32::try_from(sync.spec.sync.profiles.len()).ok();
            if let Some(resolution) = &examined.resolution {
                note_resolution(&mut status, sync, resolution, &now);
            }
            set_conditions(&mut setter(&mut status, sync, &now), examined);
        }
    }
    status
}

fn setter<'a>(status: &'a mut GatewaySyncStatus, sync: &GatewaySync, now: &'a Time) -> Setter<'a> {
    Setter {
        conditions: &mut status.conditions,
        generation: sync.metadata.generation,
        now,
    }
}

/// The fields about the ref. They keep the last commit when a later look fails.
fn note_resolution(
    status: &mut GatewaySyncStatus,
    sync: &GatewaySync,
    resolution: &Resolution,
    now: &Time,
) {
    status.observed_generation = sync.metadata.generation;
    if let Some(requested_at) = sync.requested_at() {
        status.last_handled_requested_at = Some(requested_at.to_owned());
    }
    let Resolution::Resolved(Resolved { git_ref, found, .. }) = resolution else {
        status.ref_resolution_status = Some(RefResolutionStatus::Error);
        return;
    };
    status.ref_resolution_status = Some(RefResolutionStatus::Resolved);
    status.last_sync_ref_kind = Some(found.kind);
    let moved = status.last_sync_ref.as_deref() != Some(git_ref.as_str())
        || status.last_sync_commit.as_deref() != Some(found.commit.as_str());
    if moved || status.last_sync_time.is_none() {
        status.last_sync_ref = Some(git_ref.to_string());
        status.last_sync_commit = Some(found.commit.to_string());
        status.last_sync_commit_short = Some(found.commit.short().to_owned());
        status.last_sync_time = Some(now.clone());
    }
}

fn set_conditions(setter: &mut Setter<'_>, examined: &Examined) {
    setter.set(
        condition::PROFILES_VALID,
        profiles_state(&examined.profiles),
    );
    match examined.host_keys_checked {
        Some(checked) => setter.set(
            condition::SSH_HOST_KEY_VERIFICATION,
            host_key_state(checked),
        ),
        None => setter.unset(condition::SSH_HOST_KEY_VERIFICATION),
    }
    match &examined.interval_fault {
        Some(fault) => {
            let (reason, message) = (
                reason::POLLING_INTERVAL_INVALID,
                format!("spec.polling.interval: {fault}"),
            );
            setter.set(
                condition::POLLING_INTERVAL_VALID,
                State {
                    holds: false,
                    reason,
                    message,
                },
            );
        }
        None => setter.unset(condition::POLLING_INTERVAL_VALID),
    }
    if let Some(resolution) = &examined.resolution {
        setter.set(condition::REF_RESOLVED, ref_state(resolution));
    }
    // Gateways are not looked for, so none is known to be synced.
    let (reason, message) = (reason::NO_GATEWAYS_DISCOVERED, "0/0 synced".to_owned());
    setter.set(
        condition::ALL_GATEWAYS_SYNCED,
        State {
            holds: false,
            reason,
            message,
        },
    );
    let message = match (&examined.obstacle, &examined.profiles, &examined.resolution) {
        (Some(obstacle), _, _) => obstacle.clone(),
        (None, Err(_), _) => "Profiles invalid".to_owned(),
        (None, Ok(()), Some(Resolution::Resolved(_))) => "Waiting for gateways to sync".to_owned(),
        (None, Ok(()), _) => "Ref not resolved".to_owned(),
    };
    setter.set(
        condition::READY,
        State {
            holds: false,
            reason: reason::RECONCILING,
            message,
        },
    );
}

fn profiles_state(profiles: &Result<(), String>) -> State<'static> {
    match profiles {
        Ok(()) => State {
            holds: true,
            reason: reason::PROFILES_VALID,
            message: "All profiles valid".to_owned(),
        },
        Err(faults) => State {
            holds: false,
            reason: reason::PROFILES_INVALID,
            message: faults.clone(),
        },
    }
}

fn host_key_state(checked: bool) -> State<'static> {
    let (reason, message) = if checked {
        (
            reason::HOST_KEY_VERIFICATION_ENABLED,
            "SSH host key verification enabled",
        )
    } else {
        let hint = "Any SSH host key is accepted; set spec.git.auth.sshKey.knownHosts to check it";
        (reason::HOST_KEY_VERIFICATION_DISABLED, hint)
    };
    State {
        holds: checked,
        reason,
        message: message.to_owned(),
    }
}

fn ref_state(resolution: &Resolution) -> State<'static> {
    match resolution {
        Resolution::Resolved(Resolved { found, .. }) => State {
            holds: true,
            reason: reason::REF_RESOLVED,
            message: found.commit.to_string(),
        },
        Resolution::Unresolved(Unresolved {
            reason,
            text,
            retry,
        }) => {
            let when = retry.map(|retry| {
                format!(
                    " (retry in {})",
                    duration::from_seconds(retry.delay.as_secs())
                )
            });
            let message = format!("Ref resolution failed{}: {text}", when.unwrap_or_default());
            State {
                holds: false,
                reason,
                message,
            }
        }
    }
}

/// The merge patch from one status to the other, if they differ. It names only the fields that change, so what others
/// wrote beside them stays; and it holds only for the version that was read, since a list is written as a whole.
fn difference(
    sync: &GatewaySync,
    next: &GatewaySyncStatus,
) -> Result<Option<Value>, ControllerError> {
    let fields = |status: &GatewaySyncStatus| -> Result<Map<String, Value>, ControllerError> {
        Ok(serde_json::from_value(serde_json::to_value(status)?)?)
    };
    let (before, after) = (
        fields(&sync.status.clone().unwrap_or_default())?,
        fields(next)?,
    );
    let mut changed = Map::new();
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changed.insert(name.clone(), Value::Null);
    }
    changed.extend(
        after
            .into_iter()
            .filter(|(name, value)| before.get(name) != Some(value)),
    );
    let version = &sync.metadata.resource_version;
    Ok((!changed.is_empty())
        .then(|| json!({ "metadata": { "resourceVersion": version }, "status": changed })))
}

/// Writes a status where it differs. Gives the object as it is then, or nothing where nothing was to be written.
pub(super) async fn write(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    next: &GatewaySyncStatus,
) -> Result<Option<GatewaySync>, ControllerError> {
    let Some(patch) = difference(sync, next)? else {
        return Ok(None);
    };
    let objects = Api::<GatewaySync>::namespaced(client.clone(), key.namespace());
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let written = within(
        "patch the status",
        objects.patch_status(key.name(), &params, &Patch::Merge(&patch)),
    )
    .await?;
    Ok(Some(written))
}
