use prometheus_client::encoding::text::encode;

use super::*;
use crate::controller::tests::fixture::{GatewaySyncExt as _, key};
use stoker_api::GatewaySync;

fn all(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    text
}

/// The series of objects.
fn text(registry: &Registry) -> Vec<String> {
    let all = all(registry);
    all.lines()
        .filter(|line| line.contains("{name=") || line.contains("{app_id="))
        .map(str::to_owned)
        .collect()
}

fn info(git_ref: &str) -> ObjectInfo {
    ObjectInfo {
        git_repo: "https://h/r".to_owned(),
        git_ref: git_ref.to_owned(),
        auth_type: "none",
        polling_interval: "60s".to_owned(),
    }
}

#[test]
fn series_have_the_names_and_labels_of_dashboards_and_are_removed_with_the_object() {
    let mut registry = Registry::default();
    let metrics = ControllerMetrics::register(&mut registry);
    let key = key();
    let status = GatewaySync::sample()
        .condition("Ready", "True")
        .condition("RefResolved", "False")
        .status
        .unwrap();
    metrics.observe_pass(&key, Duration::from_millis(20), PassResult::Success);
    metrics.show(&key, false, &status, None, info("main"));
    let shown = text(&registry);
    for line in [
        r#"stoker_controller_reconcile_total{name="plant",namespace="edge",result="success"} 1"#,
        r#"stoker_controller_reconcile_total{name="plant",namespace="edge",result="error"} 0"#,
        r#"stoker_controller_reconcile_total{name="plant",namespace="edge",result="requeue"} 0"#,
        r#"stoker_controller_cr_ready{name="plant",namespace="edge"} 1"#,
        r#"stoker_controller_cr_paused{name="plant",namespace="edge"} 0"#,
        r#"stoker_controller_condition_status{name="plant",namespace="edge",type="RefResolved"} 0"#,
        r#"stoker_controller_cr_info{name="plant",namespace="edge",git_repo="https://h/r",git_ref="main",auth_type="none",polling_interval="60s"} 1"#,
    ] {
        assert!(
            shown.iter().any(|found| found == line),
            "{line}\n{shown:#?}"
        );
    }
    let line = r#"stoker_controller_reconcile_duration_seconds_bucket{le="0.025"} 1"#;
    let all = all(&registry);
    assert!(all.lines().any(|found| found == line), "{line}\n{all}");
    metrics.forget(&key);
    assert_eq!(text(&registry), [""; 0]);
    metrics.show(&key, false, &status, None, info("main"));
    metrics.forget_all();
    assert_eq!(text(&registry), [""; 0]);
}

#[test]
fn the_end_of_a_token_is_shown_while_an_object_uses_it() {
    let mut registry = Registry::default();
    let metrics = ControllerMetrics::register(&mut registry);
    let app: GitHubApp = serde_json::from_value(serde_json::json!({
        "appId": 7, "installationId": 42, "privateKeySecretRef": {"name": "s", "key": "k"},
    }))
    .unwrap();
    let keys = ["one", "two"].map(|name| ObjectKey::new("edge", name).unwrap());
    for key in &keys {
        let ends = Timestamp::from_second(1_800_000_000).unwrap();
        metrics.show_token(key, Some((&app, ends)));
    }
    let line = r#"stoker_controller_github_app_token_expiry_timestamp_seconds{app_id="7",installation_id="42"} 1800000000"#;
    let tokens = || {
        let mut shown = text(&registry);
        shown.retain(|line| line.contains("app_id"));
        shown
    };
    metrics.forget(&keys[0]);
    assert_eq!(tokens(), [line]);
    metrics.show_token(&keys[1], None);
    assert_eq!(tokens(), [""; 0]);
}

#[test]
fn pods_with_the_name_of_one_gateway_have_one_series() {
    let mut registry = Registry::default();
    let metrics = ControllerMetrics::register(&mut registry);
    let key = key();
    let pod = |number: u8, state: &str| {
        serde_json::json!({
            "name": "blue", "namespace": "edge", "podName": format!("gw-{number}"), "syncStatus": state,
            "lastSyncTime": format!("2026-03-01T12:00:{number:02}Z"),
        })
    };
    let gateways = serde_json::json!([pod(1, "Pending"), pod(0, "Error"), pod(2, "Synced")]);
    let status = GatewaySyncStatus {
        discovered_gateways: serde_json::from_value(gateways).unwrap(),
        ..GatewaySyncStatus::default()
    };
    metrics.show(&key, false, &status, None, info("main"));
    let shown = text(&registry);
    let of_gateway = shown.iter().filter(|line| line.contains("gateway="));
    let lines = [
        r#"stoker_controller_gateway_sync_status{name="plant",namespace="edge",gateway="blue"} 2"#,
        r#"stoker_controller_gateway_last_sync_timestamp_seconds{name="plant",namespace="edge",gateway="blue"} 1772366400"#,
    ];
    assert_eq!(of_gateway.collect::<Vec<_>>(), lines);
    let line = r#"stoker_controller_gateways_discovered{name="plant",namespace="edge"} 3"#;
    assert!(shown.iter().any(|found| found == line), "{shown:#?}");
}

#[test]
fn a_changed_object_has_no_old_series() {
    let mut registry = Registry::default();
    let metrics = ControllerMetrics::register(&mut registry);
    let key = key();
    let before = GatewaySync::sample()
        .condition("PollingIntervalValid", "False")
        .with(|sync| {
            let gateway = serde_json::json!([{
                "name": "blue", "namespace": "edge", "podName": "gw-0", "lastSyncTime": "2026-03-01T12:00:00Z",
                "syncStatus": "MissingSidecar",
            }]);
            let gateways = serde_json::from_value(gateway).unwrap();
            sync.status.get_or_insert_default().discovered_gateways = gateways;
        })
        .status
        .unwrap();
    metrics.show(&key, false, &before, None, info("main"));
    // A pass that does not know the gateways takes none away.
    let unknown = GatewaySyncStatus::default();
    metrics.show(&key, false, &unknown, None, info("main"));
    let shown = text(&registry);
    for line in [
        r#"stoker_controller_gateways_discovered{name="plant",namespace="edge"} 1"#,
        r#"stoker_controller_gateways_missing_sidecar{name="plant",namespace="edge"} 1"#,
        r#"stoker_controller_gateway_sync_status{name="plant",namespace="edge",gateway="blue"} 3"#,
        r#"stoker_controller_gateway_last_sync_timestamp_seconds{name="plant",namespace="edge",gateway="blue"} 1772366400"#,
    ] {
        assert!(
            shown.iter().any(|found| found == line),
            "{line}\n{shown:#?}"
        );
    }
    let none = Gateways::default();
    metrics.show(&key, true, &unknown, Some(&none), info("dev"));
    let shown = text(&registry);
    let statuses = shown
        .iter()
        .filter(|line| !line.contains("reconcile_total"));
    assert_eq!(statuses.count(), 6, "{shown:#?}");
    assert!(shown.iter().any(|line| line.contains("git_ref=\"dev\"")));
}

#[test]
fn what_a_terminal_would_act_on_is_escaped_in_labels() {
    let mut registry = Registry::default();
    let metrics = ControllerMetrics::register(&mut registry);
    let info = ObjectInfo {
        polling_interval: "1\u{1b}[31m".to_owned(),
        ..info("v1\u{202e}\u{9b}x")
    };
    metrics.show(&key(), false, &GatewaySyncStatus::default(), None, info);
    let shown = all(&registry);
    assert!(
        shown.contains(r#"git_ref="v1\\u{202e}\\u{9b}x""#),
        "{shown}"
    );
    assert!(
        shown.contains(r#"polling_interval="1\\u{1b}[31m""#),
        "{shown}"
    );
}
