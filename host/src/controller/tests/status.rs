use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::resolve::Unresolved;
use super::super::*;
use super::fixture::{GatewaySyncExt as _, commit, noon, resolved};
use crate::api::{GatewayState, GatewaySyncStatus, RefResolutionStatus};

fn examined(resolution: Option<Resolution>) -> Examined {
    Examined {
        profiles: Ok(()),
        interval_fault: None,
        host_keys_checked: None,
        resolution,
        obstacle: None,
    }
}

fn found(git_ref: &str) -> Findings {
    Findings::Examined(examined(Some(Resolution::Resolved(resolved(git_ref)))))
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
fn tells_everything_about_a_resolved_ref() {
    let status = status::next(
        &GatewaySync::sample().requested("v1", Some("t1")),
        &found("v1"),
        noon(),
    );
    let expected = GatewaySyncStatus {
        observed_generation: Some(1),
        last_sync_time: Some(time("2026-03-01T12:00:00Z")),
        last_sync_ref: Some("v1".to_owned()),
        last_sync_ref_kind: Some(crate::api::SyncedRefKind::Tag),
        last_sync_commit: Some("a".repeat(40)),
        last_sync_commit_short: Some("aaaaaaa".to_owned()),
        last_handled_requested_at: Some("t1".to_owned()),
        ref_resolution_status: Some(RefResolutionStatus::Resolved),
        profile_count: Some(1),
        discovered_gateways: Vec::new(),
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
fn ref_and_time_move_when_either_the_ref_or_the_commit_does() {
    let old = "2026-01-01T00:00:00Z";
    let before = GatewaySync::sample().with(|sync| {
        let status = sync.status.get_or_insert_default();
        status.last_sync_time = Some(time(old));
        status.last_sync_ref = Some("v1".to_owned());
        status.last_sync_commit = Some("a".repeat(40));
    });
    assert_eq!(
        status::next(&before, &found("v1"), noon()).last_sync_time,
        Some(time(old))
    );
    let other_ref = status::next(&before, &found("v1.0"), noon());
    assert_eq!(other_ref.last_sync_ref.as_deref(), Some("v1.0"));
    assert_eq!(other_ref.last_sync_time, Some(time("2026-03-01T12:00:00Z")));
    let before =
        before.with(|sync| sync.status.as_mut().unwrap().last_sync_commit = Some("b".repeat(40)));
    assert_eq!(
        status::next(&before, &found("v1"), noon()).last_sync_time,
        Some(time("2026-03-01T12:00:00Z"))
    );
}

#[test]
fn a_transition_is_a_change_of_the_status_and_of_nothing_else() {
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
    let status = status::next(&before, &found("v1"), noon());
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
fn what_others_wrote_stays() {
    let before = GatewaySync::sample()
        .condition("Foreign", "True")
        .condition("SidecarInjected", "True")
        .with(|sync| {
            sync.status
                .get_or_insert_default()
                .discovered_gateways
                .push(crate::api::DiscoveredGateway {
                    name: "g".to_owned(),
                    sync_status: Some(GatewayState::Synced),
                    ..Default::default()
                });
        });
    let status = status::next(&before, &found("v1"), noon());
    let old = before.status.unwrap();
    assert_eq!(status.discovered_gateways, old.discovered_gateways);
    assert_eq!(status.conditions[..2], old.conditions);
}

#[test]
fn host_keys_are_told_only_where_ssh_is_used() {
    let check = |host_keys_checked| {
        let findings = Findings::Examined(Examined {
            host_keys_checked,
            ..examined(None)
        });
        let before = GatewaySync::sample().condition("SSHHostKeyVerification", "True");
        let status = status::next(&before, &findings, noon());
        status
            .condition("SSHHostKeyVerification")
            .map(|found| (found.status.clone(), found.reason.clone()))
    };
    let told = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
    assert_eq!(check(None), None);
    assert_eq!(
        check(Some(true)),
        told("True", "HostKeyVerificationEnabled")
    );
    assert_eq!(
        check(Some(false)),
        told("False", "HostKeyVerificationDisabled")
    );
}

#[test]
fn ready_tells_the_first_thing_that_is_missing() {
    let unresolved = || {
        let unresolved = Unresolved {
            reason: "RefResolutionFailed",
            text: "gone".to_owned(),
            retry: None,
        };
        Some(Resolution::Unresolved(unresolved))
    };
    let ready = |examined: Examined| {
        let status = status::next(
            &GatewaySync::sample(),
            &Findings::Examined(examined),
            noon(),
        );
        status.condition("Ready").unwrap().message.clone()
    };
    let invalid = || Err("x".to_owned());
    let obstacle = || Some("no key".to_owned());
    assert_eq!(
        ready(Examined {
            profiles: invalid(),
            obstacle: obstacle(),
            ..examined(unresolved())
        }),
        "no key"
    );
    assert_eq!(
        ready(Examined {
            profiles: invalid(),
            ..examined(unresolved())
        }),
        "Profiles invalid"
    );
    assert_eq!(ready(examined(unresolved())), "Ref not resolved");
}

#[test]
fn a_long_message_is_cut() {
    let text = "\u{e9}".repeat(5000);
    let unresolved = Unresolved {
        reason: "RefResolutionFailed",
        text,
        retry: None,
    };
    let findings = Findings::Examined(examined(Some(Resolution::Unresolved(unresolved))));
    let status = status::next(&GatewaySync::sample(), &findings, noon());
    assert_eq!(
        status
            .condition("RefResolved")
            .unwrap()
            .message
            .chars()
            .count(),
        1024
    );
    let events = events::between(&GatewaySyncStatus::default(), &status, &findings);
    assert!(events[0].note.as_ref().unwrap().len() <= 1000);
}

#[test]
fn a_generation_counts_as_observed_once_its_ref_was_looked_at() {
    let observed = |findings: &Findings| {
        status::next(&GatewaySync::sample(), findings, noon()).observed_generation
    };
    assert_eq!(observed(&Findings::Paused), None);
    assert_eq!(observed(&Findings::Examined(examined(None))), None);
    assert_eq!(observed(&found("v1")), Some(1));
}
