//! Passes over an object with gateways.

use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, OBJECT, after, commit};
use crate::controller::gateways::PodFields;

const REPORTS: &str = "/api/v1/namespaces/edge/configmaps/stoker-status-plant";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/edge/rolebindings";

fn pod(name: &str, annotations: &Value) -> PodFields {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "edge", "annotations": annotations},
        "spec": {"serviceAccountName": "gw"}, "status": {"phase": "Running"},
    });
    pod["metadata"]["annotations"]["stoker.io/cr-name"] = json!("plant");
    pod["metadata"]["annotations"]["stoker.io/profile"] = json!("p");
    serde_json::from_value(pod).unwrap()
}

/// A controller with pods of these names.
pub(super) fn bench(pods: &[&str]) -> Bench {
    let bench = Bench::new(&GatewaySync::sample());
    for name in pods {
        bench
            .context
            .pods
            .apply(Event::Apply(pod(name, &json!({}))));
    }
    bench
}

pub(super) fn report(bench: &Bench, entries: &Value) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stoker-status-plant"}, "data": entries});
    bench.api.put(REPORTS, map);
}

pub(super) fn entry(state: &str, digit: char) -> String {
    let (commit, time) = (commit(digit), "2026-03-01T11:00:00Z");
    json!({"syncStatus": state, "syncedCommit": commit.as_str(), "lastSyncTime": time}).to_string()
}

pub(super) fn state(status: &str, reason: &str, message: &str) -> (String, String, String) {
    (status.to_owned(), reason.to_owned(), message.to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_object_is_ready_once_all_its_gateways_are_synced() {
    let bench = bench(&["gw-0", "gw-1"]);
    bench.pass().await.unwrap();
    let waiting = state("False", "Reconciling", "Waiting for gateways to sync");
    assert_eq!(bench.condition("Ready"), waiting);
    assert_eq!(
        bench.condition("AllGatewaysSynced"),
        state("False", "SyncInProgress", "0/2 synced")
    );
    let discovered = "Normal GatewaysDiscovered: Discovered 2 gateway(s) (was 0)";
    assert_eq!(bench.events()[1..], [discovered]);

    report(&bench, &json!({"gw-0": entry("Synced", 'a')}));
    bench.pass().await.unwrap();
    assert_eq!(bench.condition("AllGatewaysSynced").2, "1/2 synced");
    assert_eq!(
        bench.condition("AgentReady"),
        state(
            "False",
            "AgentsNotReady",
            "1 agent(s) are not ready: gw-1 (nothing was reported)"
        )
    );

    report(
        &bench,
        &json!({"gw-0": entry("Synced", 'a'), "gw-1": entry("Synced", 'a')}),
    );
    assert_eq!(bench.pass().await.unwrap(), after(300));
    for (type_, expected) in [
        (
            "Ready",
            state("True", "SyncSucceeded", "All gateways synced"),
        ),
        (
            "AllGatewaysSynced",
            state("True", "SyncSucceeded", "2/2 synced"),
        ),
        (
            "SidecarInjected",
            state(
                "True",
                "SidecarPresent",
                "All gateways have stoker-agent sidecar",
            ),
        ),
        (
            "AgentReady",
            state("True", "AgentsReady", "All agents are ready"),
        ),
        (
            "RefSkew",
            state(
                "False",
                "CommitAgrees",
                "No gateway runs another commit for longer than its sync period",
            ),
        ),
    ] {
        assert_eq!(bench.condition(type_), expected, "{type_}");
    }
    assert_eq!(bench.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_agent_is_reported_once() {
    let bench = bench(&["gw-0"]);
    let wanted = pod("gw-1", &json!({"stoker.io/inject": "true"}));
    bench.context.pods.apply(Event::Apply(wanted));
    // An earlier agent of the pod reported this.
    report(
        &bench,
        &json!({"gw-0": entry("Synced", 'a'), "gw-1": entry("Synced", 'a')}),
    );
    bench.pass().await.unwrap();
    assert_eq!(
        bench.condition("AllGatewaysSynced"),
        state("False", "SyncInProgress", "1/2 synced (1 missing sidecar)")
    );
    assert_eq!(
        bench.condition("SidecarInjected"),
        state(
            "False",
            "SidecarMissing",
            "1 gateway(s) missing stoker-agent sidecar"
        )
    );
    let missing = |events: Vec<String>| {
        let events = events.into_iter();
        events
            .filter(|event| event.starts_with("Warning MissingSidecar: Pod gw-1"))
            .count()
    };
    assert_eq!(missing(bench.events()), 1);
    bench.pass().await.unwrap();
    assert_eq!(missing(bench.events()), 0);
    // Each pod of a rollout without the injection.
    for number in 10..50 {
        let wanted = pod(
            &format!("gw-1{number}"),
            &json!({"stoker.io/inject": "true"}),
        );
        bench.context.pods.apply(Event::Apply(wanted));
    }
    bench.pass().await.unwrap();
    let events = bench.events();
    let others = "Warning MissingSidecar: 8 more pods have no stoker-agent sidecar, such as gw-142; delete them, so that \
                  they are created again and the agent is injected";
    assert!(events.iter().any(|event| event == others), "{events:?}");
    assert_eq!(missing(events), 32);
}

#[tokio::test(start_paused = true)]
async fn gateways_that_the_status_does_not_list_are_counted() {
    let names: Vec<_> = (0..300).map(|number| format!("gw-{number:03}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut bench = bench(&names);
    let wanted = pod("gw-300", &json!({"stoker.io/inject": "true"}));
    bench.context.pods.apply(Event::Apply(wanted));
    let mut registry = prometheus_client::registry::Registry::default();
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.metrics = ControllerMetrics::register(&mut registry);
    bench.pass().await.unwrap();
    let listed = bench.object().status.unwrap().discovered_gateways;
    assert_eq!(listed.len(), 256);
    let expected = [
        "Normal GatewaysDiscovered: Discovered 301 gateway(s) (was 0)",
        "Warning MissingSidecar: Pod gw-300 has no stoker-agent sidecar; delete the pod, so that it is created again and the agent is injected",
    ];
    assert_eq!(bench.events()[1..], expected);
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    for line in [
        r#"gateways_discovered{name="plant",namespace="edge"} 301"#,
        r#"gateways_missing_sidecar{name="plant",namespace="edge"} 1"#,
        r#"gateway_sync_status{name="plant",namespace="edge",gateway="gw-299"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    bench.pass().await.unwrap();
    assert_eq!(bench.events(), [""; 0]);
    bench
        .context
        .pods
        .apply(Event::Delete(pod("gw-299", &json!({}))));
    bench.pass().await.unwrap();
    let gone = "Normal GatewaysDiscovered: Discovered 300 gateway(s) (was 301)";
    assert_eq!(bench.events(), [gone]);
}

#[tokio::test(start_paused = true)]
async fn gateways_that_are_gone_disappear() {
    let bench = bench(&["gw-0"]);
    report(&bench, &json!({"gw-0": entry("Synced", 'a')}));
    bench.pass().await.unwrap();
    bench.events();
    bench
        .context
        .pods
        .apply(Event::Delete(pod("gw-0", &json!({}))));
    bench.pass().await.unwrap();
    assert_eq!(
        bench.condition("AllGatewaysSynced"),
        state("False", "NoGatewaysDiscovered", "0/0 synced")
    );
    let status = bench.object().status.unwrap();
    assert_eq!(status.discovered_gateways, []);
    for type_ in ["SidecarInjected", "AgentReady", "RefSkew"] {
        assert_eq!(status.condition(type_), None, "{type_}");
    }
    let gone = "Normal GatewaysDiscovered: Discovered 0 gateway(s) (was 1)";
    assert_eq!(bench.events(), [gone]);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_report_is_an_event_and_does_not_hide_the_others() {
    let bench = bench(&["gw-0", "gw-1"]);
    let synced = entry("Synced", 'a');
    // The second change makes another agent unready, and the third makes another report unreadable.
    for (first, second, expected) in [
        ("{", synced.as_str(), Some("gw-0")),
        ("{", "", None),
        ("{", "[]", Some("gw-1")),
        ("{", "[]", None),
        (synced.as_str(), "[]", None),
        // An event with the text of an earlier one would only be counted.
        ("[]", "[]", Some("gw-0")),
    ] {
        report(&bench, &json!({"gw-0": first, "gw-1": second}));
        bench.pass().await.unwrap();
        let events = bench.events();
        let about = "Warning ReportInvalid: 1 report(s) of agents cannot be read: ";
        let named = |event: &String| Some(event.strip_prefix(about)?.split(' ').next()?.to_owned());
        let named: Vec<_> = events.iter().filter_map(named).collect();
        assert_eq!(named, Vec::from_iter(expected), "{events:?}");
        let has_synced = first == synced || second == synced;
        let count = format!("{}/2 synced", u8::from(has_synced));
        assert_eq!(bench.condition("AllGatewaysSynced").2, count);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_is_not_taken_away() {
    let mut bench = bench(&["gw-0"]);
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.agent_role = Some(AgentRole::ClusterRole);
    report(&bench, &json!({"gw-0": entry("Synced", 'a')}));
    bench.pass().await.unwrap();
    let before = bench.object().status.unwrap();
    bench
        .api
        .refuse(&format!("GET {REPORTS}"), 403, "forbidden");
    assert_eq!(bench.pass().await.unwrap(), after(60), "it is tried again");
    assert_eq!(bench.object().status.unwrap(), before);
    bench.api.allow(&format!("GET {REPORTS}"));

    // A controller that starts does not know the pods.
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.pods = Arc::new(PodIndex::new());
    bench.api.calls();
    bench.pass().await.unwrap();
    assert_eq!(bench.object().status.unwrap(), before);
    let calls = bench.api.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.starts_with("GET ") && !call.contains("rolebindings")),
        "{calls:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn agents_are_bound_to_their_role() {
    let mut bench = bench(&["gw-0"]);
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.agent_role = Some(AgentRole::ClusterRole);
    bench.pass().await.unwrap();
    let binding = format!("{BINDINGS}/stoker-agent-plant");
    let created = bench.api.get(&binding).unwrap();
    assert_eq!(created["subjects"][0]["name"], "gw");
    bench.api.calls();
    bench.pass().await.unwrap();
    let quiet = bench.api.calls();
    assert!(
        quiet
            .iter()
            .all(|call| call.starts_with("GET ") && !call.ends_with(&binding)),
        "{quiet:?}"
    );

    let mut changed = created;
    changed["subjects"] = json!([]);
    bench.api.put(&binding, changed);
    bench.pass().await.unwrap();
    let repaired = bench.api.get(&binding).unwrap();
    assert_eq!(repaired["subjects"][0]["name"], "gw");
}

#[tokio::test(start_paused = true)]
async fn agents_of_a_paused_object_are_bound_so_that_they_read_the_pause() {
    let mut bench = bench(&["gw-0"]);
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.agent_role = Some(AgentRole::ClusterRole);
    bench.change(|sync| sync.with(|sync| sync.spec.paused = Some(true)));
    bench.pass().await.unwrap();
    let binding = format!("{BINDINGS}/stoker-agent-plant");
    let created = bench.api.get(&binding).unwrap();
    assert_eq!(created["subjects"][0]["name"], "gw");

    let of_others = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "stoker-agent-plant"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "other"},
    });
    bench.api.put(&binding, of_others);
    bench.context.role_bindings.forget_all();
    assert_eq!(bench.pass().await.unwrap(), after(300));
}

#[tokio::test(start_paused = true)]
async fn a_role_binding_that_is_not_watched_is_read_in_each_pass() {
    let mut bench = bench(&["gw-0"]);
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.agent_role = Some(AgentRole::ClusterRole);
    let binding = format!("{BINDINGS}/stoker-agent-plant");
    // The watch selects by a label that this one does not have.
    let made_by_hand = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "stoker-agent-plant"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "stoker-agent"},
        "subjects": [],
    });
    for _ in 0..3 {
        bench.api.put(&binding, made_by_hand.clone());
        bench.pass_over(bench.object()).await.unwrap();
        let repaired = bench.api.get(&binding).unwrap();
        assert_eq!(repaired["subjects"][0]["name"], "gw");
        bench.pass_over(bench.object()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_binding_that_others_have_taken_starts_no_further_passes() {
    let mut bench = bench(&["gw-0"]);
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.agent_role = Some(AgentRole::ClusterRole);
    assert_eq!(bench.pass().await.unwrap(), after(300));
    let binding = format!("{BINDINGS}/stoker-agent-plant");
    let mut taken = bench.api.get(&binding).unwrap();
    taken["metadata"] = json!({"name": "stoker-agent-plant"});
    for (role, seconds) in [("stoker-agent", 300), ("other", 60)] {
        taken["roleRef"]["name"] = role.into();
        bench.api.put(&binding, taken.clone());
        assert_eq!(bench.pass().await.unwrap(), after(seconds), "{role}");
    }
}

#[tokio::test(start_paused = true)]
async fn agents_that_cannot_be_bound_are_reported_and_the_ref_is_followed() {
    let mut bench = bench(&[]);
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.agent_role = Some(AgentRole::Role);
    bench
        .api
        .refuse(&format!("POST {BINDINGS}"), 403, "not allowed to bind");
    assert_eq!(bench.pass().await.unwrap(), after(60));
    assert_eq!(
        bench.api.get(METADATA).unwrap()["data"]["commit"],
        commit('a').as_str()
    );
    let (status, reason, message) = bench.condition("AgentReady");
    assert_eq!((&*status, &*reason), ("False", "RBACError"));
    let text = "Failed to create agent RoleBinding: the API server refused to create the RoleBinding: not allowed to bind";
    assert!(message.starts_with(text), "{message}");
    assert_eq!(
        bench.events()[1..],
        [format!("Warning RBACError: {message}")]
    );
    bench.pass().await.unwrap();
    assert_eq!(bench.events(), [""; 0]);

    bench.api.allow(&format!("POST {BINDINGS}"));
    bench.pass().await.unwrap();
    let status = bench.object().status.unwrap();
    assert_eq!(status.condition("AgentReady"), None);
    assert!(bench.api.get(OBJECT).is_some());
}
