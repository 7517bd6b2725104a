//! Objects as clusters store them.

use serde_json::json;

use super::super::*;

#[test]
fn an_object_of_the_go_operator_survives_a_round_trip() {
    let object = json!({
        "apiVersion": "stoker.io/v1alpha1",
        "kind": "GatewaySync",
        "metadata": {"name": "plant", "namespace": "edge", "finalizers": ["stoker.io/finalizer"]},
        "spec": {
            "git": {"repo": "git@git.example:o/r.git", "ref": "", "auth": {"githubApp": {
                "appId": 1, "installationId": 2, "apiBaseURL": "https://x/",
                "privateKeySecretRef": {"name": "pem", "key": "pem"},
            }}},
            "polling": {"enabled": true, "interval": "60s"},
            "gateway": {"port": 8088, "tls": false, "api": {"secretName": "api", "secretKey": "apiKey"}},
            "sync": {
                "defaults": {"excludePatterns": ["**/.git/"], "syncPeriod": 30, "designerSessionPolicy": "proceed"},
                "profiles": {"p": {"mappings": [{"source": "a", "destination": "b", "type": "dir"}], "vars": {"a": "b"}}},
            },
            "agent": {"image": {}, "resources": {"limits": {"cpu": 1, "memory": "64Mi"}}},
        },
        "status": {
            "observedGeneration": 2,
            "lastSyncTime": "2026-04-01T10:00:00Z",
            "refResolutionStatus": "Resolved",
            "discoveredGateways": [{"name": "g", "namespace": "edge", "podName": "g-0", "syncStatus": "Synced",
                "lastSyncTime": "2026-04-01T10:00:00Z", "filesChanged": 4}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "SyncSucceeded", "message": "All gateways synced",
                "lastTransitionTime": "2026-04-01T10:00:00Z", "observedGeneration": 2}],
        },
    });
    let sync: GatewaySync = serde_json::from_value(object.clone()).unwrap();
    assert!(sync.has_finalizer());
    assert_eq!(serde_json::to_value(&sync).unwrap(), object);
}

#[test]
fn absent_and_empty_fields_have_the_defaults_of_the_schema() {
    for (polling, gateway) in [
        (json!({}), json!({"api": {"secretName": "api"}})),
        (
            json!({"interval": ""}),
            json!({"port": 0, "api": {"secretName": "api", "secretKey": ""}}),
        ),
    ] {
        let spec: GatewaySyncSpec = serde_json::from_value(json!({
            "git": {"repo": "https://h/r", "ref": "main"},
            "polling": polling,
            "gateway": gateway,
            "sync": {"defaults": {}, "profiles": {}},
        }))
        .unwrap();
        assert_eq!(spec.polling, Some(Polling::default()));
        assert_eq!(spec.sync.defaults, Some(SyncDefaults::default()));
        assert_eq!(
            (
                spec.gateway.port,
                spec.gateway.tls,
                spec.gateway.api.secret_key.as_str()
            ),
            (8088, false, "apiKey")
        );
    }
}
