use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use stoker_api::{GatewayState, GatewaySyncStatus, RefResolutionStatus, SshHostKey};

use super::super::definition::Dropped;
use super::super::error::MissingSecret;
use super::super::gateways::{Fleet, Gateways};
use super::super::publish::Publication;
use super::super::resolve::{Blocked, Resolution, ResolutionFailure, ResolutionSuccess};
use super::super::state::Retry;
use super::super::status::Outcome;
use super::super::validate::Desired;
use super::super::*;
use super::fixture::{GatewaySyncExt as _, commit, desired, noon, resolved};

/// The results of the steps of a pass.
struct Steps {
    desired: Desired,
    resolution: Resolution,
    publication: Publication,
    fleet: Fleet,
}

impl Steps {
    fn new(resolution: Resolution) -> Self {
        Self {
            desired: desired(&GatewaySync::sample()),
            resolution,
            publication: Publication::Skipped,
            fleet: Fleet::new(Some(Gateways::default())),
        }
    }

    fn outcome(&self) -> Outcome<'_> {
        Outcome::Reconciled {
            desired: &self.desired,
            resolution: &self.resolution,
            publication: &self.publication,
            fleet: &self.fleet,
            published: None,
        }
    }
}

fn found(git_ref: &str) -> Steps {
    Steps {
        publication: Publication::Published,
        ..Steps::new(Resolution::Resolved(resolved(git_ref)))
    }
}

fn failed(message: &str) -> Resolution {
    Resolution::Failed(ResolutionFailure {
        reason: "RefResolutionFailed",
        message: message.to_owned(),
        retry: None,
    })
}

fn blocked() -> Blocked {
    let secret = MissingSecret {
        label: "token",
        name: "t".to_owned(),
        why: "gone".to_owned(),
        is_forbidden: false,
    };
    let delay = Duration::from_secs(30);
    let retry = Retry { delay, left: delay };
    Blocked { secret, retry }
}

/// The next status after a pass.
fn next(sync: &GatewaySync, steps: &Steps) -> GatewaySyncStatus {
    status::next(sync, &steps.outcome(), noon(), &Dropped::default()).0
}

fn states(status: &GatewaySyncStatus) -> Vec<String> {
    let line = |found: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        format!(
            "{} {} {}: {}",
            found.type_, found.status, found.reason, found.message
        )
    };
    status.conditions.iter().map(line).collect()
}

fn time(text: &str) -> Time {
    Time(text.parse().unwrap())
}

#[test]
fn the_status_describes_a_resolved_ref() {
    let status = next(
        &GatewaySync::sample().requested("v1", Some("t1")),
        &found("v1"),
    );
    let expected = GatewaySyncStatus {
        observed_generation: Some(1),
        last_sync_time: Some(time("2026-03-01T12:00:00Z")),
        last_sync_ref: Some("v1".to_owned()),
        last_sync_ref_kind: Some(stoker_api::SyncedRefKind::Tag),
        last_sync_commit: Some("a".repeat(40)),
        last_sync_commit_short: Some("aaaaaaa".to_owned()),
        last_handled_requested_at: Some("t1".to_owned()),
        ref_resolution_status: Some(RefResolutionStatus::Resolved),
        profile_count: Some(1),
        discovered_gateways: Vec::new(),
        ssh_host_key: None,
        conditions: status.conditions.clone(),
    };
    assert_eq!(status, expected);
    let expected = [
        "ProfilesValid True ProfilesValid: All profiles valid".to_owned(),
        format!("RefResolved True RefResolved: {}", commit('a')),
        "AllGatewaysSynced False NoGatewaysDiscovered: 0/0 synced".to_owned(),
        "Ready False Reconciling: Waiting for gateways to sync".to_owned(),
    ];
    assert_eq!(states(&status), expected);
    assert!(
        status
            .conditions
            .iter()
            .all(|found| found.observed_generation == Some(1))
    );
}

#[test]
fn the_host_key_of_a_server_is_pinned_where_known_hosts_do_not_verify_it() {
    let secret = json!({"name": "s", "key": "k"});
    let ssh = GatewaySync::sample().auth(json!({"sshKey": {"secretRef": secret}}));
    let key = SshHostKey {
        server: "example.com:22".to_owned(),
        key: "ssh-ed25519 SHA256:x".to_owned(),
    };
    let of = |sync: &GatewaySync, host_key| {
        let resolved = ResolutionSuccess {
            host_key,
            ..resolved("v1")
        };
        Steps {
            desired: desired(sync),
            ..Steps::new(Resolution::Resolved(resolved))
        }
    };
    let pinned = next(&ssh, &of(&ssh, Some(key.clone())));
    assert_eq!(pinned.ssh_host_key.as_ref(), Some(&key));
    let ssh = ssh.with(|sync| sync.status = Some(pinned));
    // Neither a lookup that was not repeated nor one that failed removes it.
    assert_eq!(
        next(&ssh, &of(&ssh, None)).ssh_host_key.as_ref(),
        Some(&key)
    );
    let known = json!({"sshKey": {"secretRef": secret, "knownHosts": {"secretRef": secret}}});
    for other in [known, json!({"token": {"secretRef": secret}})] {
        let other = ssh.clone().auth(other);
        assert_eq!(
            next(&other, &of(&other, Some(key.clone()))).ssh_host_key,
            None
        );
    }
}

#[test]
fn ref_and_time_change_with_the_ref_or_the_commit() {
    let old = "2026-01-01T00:00:00Z";
    let before = GatewaySync::sample().with(|sync| {
        let status = sync.status.get_or_insert_default();
        status.last_sync_time = Some(time(old));
        status.last_sync_ref = Some("v1".to_owned());
        status.last_sync_commit = Some("a".repeat(40));
    });
    assert_eq!(next(&before, &found("v1")).last_sync_time, Some(time(old)));
    let other_ref = next(&before, &found("v1.0"));
    assert_eq!(other_ref.last_sync_ref.as_deref(), Some("v1.0"));
    assert_eq!(other_ref.last_sync_time, Some(time("2026-03-01T12:00:00Z")));
    let before =
        before.with(|sync| sync.status.as_mut().unwrap().last_sync_commit = Some("b".repeat(40)));
    assert_eq!(
        next(&before, &found("v1")).last_sync_time,
        Some(time("2026-03-01T12:00:00Z"))
    );
}

#[test]
fn a_transition_is_a_change_of_the_status_of_a_condition() {
    let at = |status: &GatewaySyncStatus, type_| {
        status
            .condition(type_)
            .unwrap()
            .last_transition_time
            .clone()
    };
    let before = GatewaySync::sample()
        .condition("RefResolved", "False")
        .condition("Ready", "False")
        .generation(2);
    let status = next(&before, &found("v1"));
    assert_eq!(
        Some(at(&status, "RefResolved")),
        Some(time("2026-03-01T12:00:00Z"))
    );
    assert_eq!(
        Some(at(&status, "Ready")),
        Some(time("2026-01-01T00:00:00Z"))
    );
    assert_eq!(
        status.condition("Ready").unwrap().observed_generation,
        Some(2)
    );
}

#[test]
fn fields_of_other_writers_stay() {
    let before = GatewaySync::sample()
        .condition("Foreign", "True")
        .condition("SidecarInjected", "True")
        .with(|sync| {
            sync.status
                .get_or_insert_default()
                .discovered_gateways
                .push(stoker_api::DiscoveredGateway {
                    name: "g".to_owned(),
                    sync_status: Some(GatewayState::Synced),
                    ..Default::default()
                });
        });
    let mut steps = found("v1");
    // The pods are not listed yet.
    steps.fleet = Fleet::new(None);
    let status = next(&before, &steps);
    let old = before.status.unwrap();
    assert_eq!(status.discovered_gateways, old.discovered_gateways);
    assert_eq!(status.conditions[..2], old.conditions);
}

#[test]
fn host_keys_are_reported_only_with_ssh() {
    let check = |host_keys_verified| {
        let mut steps = found("v1");
        steps.desired.host_keys_verified = host_keys_verified;
        let before = GatewaySync::sample().condition("SSHHostKeyVerification", "True");
        next(&before, &steps)
            .condition("SSHHostKeyVerification")
            .map(|found| (found.status.clone(), found.reason.clone()))
    };
    let reported = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
    assert_eq!(check(None), None);
    assert_eq!(
        check(Some(true)),
        reported("True", "HostKeyVerificationEnabled")
    );
    assert_eq!(
        check(Some(false)),
        reported("False", "HostKeyVerificationDisabled")
    );
}

#[test]
fn a_host_key_that_is_not_stored_is_not_said_to_be_pinned() {
    let mut steps = found("v1");
    steps.desired.host_keys_verified = Some(false);
    let message = |dropped: &Dropped| {
        let (status, _) = status::next(&GatewaySync::sample(), &steps.outcome(), noon(), dropped);
        let condition = status.condition("SSHHostKeyVerification").cloned();
        condition.unwrap().message
    };
    assert!(message(&Dropped::default()).contains("is pinned in status.sshHostKey"));
    let dropped = Dropped::new(["sshHostKey".to_owned()]);
    assert!(message(&dropped).contains("neither verified nor pinned"));
}

#[test]
fn ready_reports_the_most_important_fault() {
    let ready = |resolution, publication, has_faults: bool| {
        let mut steps = Steps::new(resolution);
        steps.publication = publication;
        if has_faults {
            steps.desired.profiles = Err("x".to_owned());
        }
        let status = next(&GatewaySync::sample(), &steps);
        status.condition("Ready").unwrap().message.clone()
    };
    let found = || Resolution::Resolved(resolved("v1"));
    let taken = || ControllerError::MetadataTaken {
        name: "m".to_owned(),
        whose: "was not created by Stoker".to_owned(),
    };
    let missing = "token secret \"t\" not found: gone (retry in 30s)";
    for (resolution, publication, has_faults, expected) in [
        (
            Resolution::Blocked(blocked()),
            Publication::Skipped,
            true,
            missing,
        ),
        (found(), Publication::Blocked(blocked()), true, missing),
        (
            found(),
            Publication::Failed(ControllerError::Unpublished(Box::new(taken()))),
            true,
            "Metadata not published: the ConfigMap m exists, and it was not created by Stoker; \
             delete it, or create the GatewaySync under another name",
        ),
        (
            failed("gone"),
            Publication::Skipped,
            true,
            "Profiles invalid",
        ),
        (
            failed("gone"),
            Publication::Skipped,
            false,
            "Ref not resolved",
        ),
        (
            found(),
            Publication::Published,
            false,
            "Waiting for gateways to sync",
        ),
    ] {
        assert_eq!(ready(resolution, publication, has_faults), expected);
    }
}

#[test]
fn a_long_message_is_shortened() {
    let steps = Steps::new(failed(&"\u{e9}".repeat(5000)));
    let status = next(&GatewaySync::sample(), &steps);
    assert_eq!(
        status
            .condition("RefResolved")
            .unwrap()
            .message
            .chars()
            .count(),
        1024
    );
}

#[test]
fn a_generation_is_observed_after_the_lookup_of_its_ref() {
    let sample = GatewaySync::sample();
    let (paused, _) = status::next(&sample, &Outcome::Paused, noon(), &Dropped::default());
    assert_eq!(paused.observed_generation, None);
    let waiting = Steps::new(Resolution::Blocked(blocked()));
    assert_eq!(next(&sample, &waiting).observed_generation, None);
    assert_eq!(next(&sample, &found("v1")).observed_generation, Some(1));
}
