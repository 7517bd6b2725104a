//! Gateways: their discovery, the reports of their agents, and the RoleBindings of the agents.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use stoker::auth::AuthConfig;
use stoker::controller::AgentRole;
use stoker_api::GatewaySync;
use stoker_tests::TestCluster;

/// Returns a cluster with an object that is not polled, and a host.
async fn cluster(agent_role: Option<AgentRole>) -> Result<TestCluster> {
    let mut cluster = TestCluster::new().await?;
    cluster.config.agent_role = agent_role;
    cluster
        .create(json!({"polling": {"enabled": false}}))
        .await?;
    cluster.start(AuthConfig::default()).await?;
    Ok(cluster)
}

/// Creates a running pod of a gateway. `change` replaces annotations.
async fn run_pod(cluster: &TestCluster, name: &str, annotations: Value) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut pod = json!({
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"serviceAccountName": "gw", "containers": [{"name": "gateway", "image": "example.org/ignition"}]},
    });
    pod["metadata"]["annotations"]["stoker.io/cr-name"] = json!("plant");
    pod["metadata"]["annotations"]["stoker.io/profile"] = json!("edge");
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
        .await?;
    let running = Patch::Merge(json!({"status": {"phase": "Running"}}));
    pods.patch_status(name, &PatchParams::default(), &running)
        .await?;
    Ok(())
}

/// Writes the report of an agent, as the agent does.
async fn report(cluster: &TestCluster, gateway: &str, entry: &Value) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "stoker-status-plant", "labels": {
            "app.kubernetes.io/managed-by": "stoker-agent", "stoker.io/cr-name": "plant",
        }},
        "data": {gateway: entry.to_string()},
    });
    let params = PatchParams::apply(gateway);
    maps.patch("stoker-status-plant", &params, &Patch::Apply(map))
        .await?;
    Ok(())
}

/// Creates a report without the label of its manager, as other programs may do.
async fn report_unmanaged(cluster: &TestCluster, gateway: &str, entry: &Value) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let map = json!({
        "metadata": {"name": "stoker-status-plant", "labels": {"stoker.io/cr-name": "plant"}},
        "data": {gateway: entry.to_string()},
    });
    maps.create(&PostParams::default(), &serde_json::from_value(map)?)
        .await?;
    Ok(())
}

fn message(object: &GatewaySync, type_: &str) -> Option<String> {
    let found = object.status.as_ref()?.condition(type_)?;
    Some(format!("{} {}", found.status, found.message))
}

async fn until_message(cluster: &TestCluster, type_: &str, expected: &str) -> Result<GatewaySync> {
    let what = format!("{type_} is {expected:?}");
    let is_set = |object: &GatewaySync| message(object, type_).as_deref() == Some(expected);
    cluster.until(&what, is_set).await
}

/// Waits until the metrics, which are set after the status, have a property.
async fn until_metrics(cluster: &TestCluster, is_true: impl Fn(&str) -> bool) -> Result<()> {
    for _ in 0..400 {
        if is_true(&cluster.metrics()?) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    anyhow::bail!("not in time; the metrics are\n{}", cluster.metrics()?)
}

#[tokio::test]
async fn a_report_without_the_label_of_its_manager_is_noticed() -> Result<()> {
    let cluster = cluster(None).await?;
    run_pod(&cluster, "gw-0", json!({})).await?;
    until_message(&cluster, "AllGatewaysSynced", "False 0/1 synced").await?;
    report_unmanaged(&cluster, "gw-0", &json!({"syncStatus": "Synced"})).await?;
    until_message(&cluster, "AllGatewaysSynced", "True 1/1 synced").await?;
    Ok(())
}

#[tokio::test]
async fn an_object_is_ready_when_its_gateways_report_that_they_are_synced() -> Result<()> {
    let cluster = cluster(None).await?;
    until_message(&cluster, "AllGatewaysSynced", "False 0/0 synced").await?;
    run_pod(&cluster, "gw-0", json!({"stoker.io/gateway-name": "blue"})).await?;
    run_pod(&cluster, "gw-1", json!({})).await?;
    let object = until_message(&cluster, "AllGatewaysSynced", "False 0/2 synced").await?;
    let status = object.status.unwrap_or_default();
    let commit = status.last_sync_commit.unwrap_or_default();
    let entry = json!({
        "syncStatus": "Synced", "syncedCommit": commit, "syncedRef": "main", "lastSyncTime": "2026-04-01T10:00:00Z",
        "lastSyncDuration": "640ms", "agentVersion": "0.7.0", "lastScanResult": "projects=200 config=200",
        "filesChanged": 4, "projectsSynced": ["boiler"], "profileName": "edge",
    });
    // The object is not polled, so only the write of the ConfigMap starts a pass.
    report(&cluster, "blue", &entry).await?;
    until_message(&cluster, "AllGatewaysSynced", "False 1/2 synced").await?;
    report(&cluster, "gw-1", &entry).await?;
    let object = until_message(&cluster, "Ready", "True All gateways synced").await?;
    let shown = serde_json::to_value(object.status.unwrap_or_default().discovered_gateways)?;
    let expected = json!({
        "name": "blue", "namespace": cluster.namespace, "podName": "gw-0", "serviceAccountName": "gw", "profile": "edge",
        "syncStatus": "Synced", "syncedCommit": commit, "syncedRef": "main", "lastSyncTime": "2026-04-01T10:00:00Z",
        "lastSyncDuration": "640ms", "agentVersion": "0.7.0", "lastScanResult": "projects=200 config=200",
        "filesChanged": 4, "projectsSynced": ["boiler"],
    });
    assert_eq!(shown[0], expected);
    let labels = format!("{{name=\"plant\",namespace=\"{}\"", cluster.namespace);
    for series in [
        format!("gateways_discovered{labels}}} 2"),
        format!("gateways_synced{labels}}} 2"),
        format!("gateways_missing_sidecar{labels}}} 0"),
        format!("gateway_sync_status{labels},gateway=\"blue\"}} 1"),
        format!("gateway_last_sync_timestamp_seconds{labels},gateway=\"blue\"}} 1775037600"),
    ] {
        let line = format!("stoker_controller_{series}\n");
        until_metrics(&cluster, |metrics| metrics.contains(&line)).await?;
    }

    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    pods.delete("gw-1", &DeleteParams::default().grace_period(0))
        .await?;
    until_message(&cluster, "AllGatewaysSynced", "True 1/1 synced").await?;
    until_metrics(&cluster, |metrics| !metrics.contains("gateway=\"gw-1\"")).await
}

#[tokio::test]
async fn gateways_are_known_after_a_restart() -> Result<()> {
    let mut cluster = cluster(None).await?;
    run_pod(&cluster, "gw-0", json!({})).await?;
    report(&cluster, "gw-0", &json!({"syncStatus": "Synced"})).await?;
    until_message(&cluster, "Ready", "True All gateways synced").await?;
    let before = cluster.object().await?.status.unwrap_or_default();
    cluster.stop().await?;
    cluster.start(AuthConfig::default()).await?;
    let commit = cluster.git.commit("main", "Next").await?;
    cluster
        .patch(json!({"metadata": {"annotations": {"stoker.io/requested-ref": commit.as_str()}}}))
        .await?;
    let after = cluster.until_resolved(commit.as_str()).await?;
    let after = after.status.unwrap_or_default();
    assert_eq!(after.discovered_gateways, before.discovered_gateways);
    assert_eq!(after.condition("Ready"), before.condition("Ready"));
    Ok(())
}

#[tokio::test]
async fn agents_are_bound_to_their_role_and_the_binding_is_repaired() -> Result<()> {
    let mut cluster = cluster(Some(AgentRole::ClusterRole)).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let binds = |account: &'static str| {
        move |found: Option<&RoleBinding>| {
            let subjects = found.iter().flat_map(|binding| &binding.subjects).flatten();
            let names: Vec<_> = subjects.map(|subject| subject.name.as_str()).collect();
            names == [account]
        }
    };
    let name = "stoker-agent-plant";
    await_condition(bindings.clone(), name, binds("default")).await?;
    run_pod(&cluster, "gw-0", json!({})).await?;
    let bound = await_condition(bindings.clone(), name, binds("gw")).await?;
    let bound = bound.unwrap_or_default();
    assert_eq!(
        (&*bound.role_ref.kind, &*bound.role_ref.name),
        ("ClusterRole", "stoker-agent")
    );
    assert_eq!(
        bound.metadata.owner_references.unwrap_or_default()[0].name,
        "plant"
    );
    let emptied = Patch::Merge(json!({"subjects": []}));
    bindings
        .patch(name, &PatchParams::default(), &emptied)
        .await?;
    await_condition(bindings.clone(), name, binds("gw")).await?;

    let mut other = bindings.get(name).await?;
    bindings.delete(name, &DeleteParams::default()).await?;
    await_condition(bindings.clone(), name, binds("gw")).await?;
    // The role of a binding cannot be changed, so another one is replaced.
    other.role_ref.name = "view".to_owned();
    (other.metadata.uid, other.metadata.resource_version) = (None, None);
    cluster.stop().await?;
    bindings.delete(name, &DeleteParams::default()).await?;
    bindings.create(&PostParams::default(), &other).await?;
    cluster.start(AuthConfig::default()).await?;
    let has_role = |found: Option<&RoleBinding>| {
        found.is_some_and(|found| found.role_ref.name == "stoker-agent")
    };
    await_condition(bindings.clone(), name, has_role).await?;
    Ok(())
}

#[tokio::test]
async fn a_pause_reaches_the_agents() -> Result<()> {
    let cluster = cluster(None).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let is_paused = |paused: &'static str| {
        move |map: Option<&ConfigMap>| {
            let data = map.and_then(|map| map.data.as_ref());
            data.is_some_and(|data| data["paused"] == paused)
        }
    };
    let name = "stoker-metadata-plant";
    for (paused, text) in [(false, "false"), (true, "true"), (false, "false")] {
        cluster.patch(json!({"spec": {"paused": paused}})).await?;
        await_condition(maps.clone(), name, is_paused(text)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_reports_of_fifty_agents_at_once_are_all_kept() -> Result<()> {
    const AGENTS: usize = 50;
    let cluster = cluster(None).await?;
    let names: Vec<_> = (0..AGENTS)
        .map(|number| format!("gw-{number:02}"))
        .collect();
    for name in &names {
        run_pod(&cluster, name, json!({})).await?;
    }
    let waiting = format!("False 0/{AGENTS} synced");
    until_message(&cluster, "AllGatewaysSynced", &waiting).await?;
    // Each agent reports several times, with the writes of its own key that agents make.
    let entry = |state: &str| json!({"syncStatus": state, "filesChanged": 1});
    report(&cluster, "gw-00", &entry("Pending")).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let writes = names.iter().map(async |name| {
        for state in ["Pending", "Error", "Synced"] {
            let patch = Patch::Merge(json!({"data": {name: entry(state).to_string()}}));
            let params = PatchParams::default();
            maps.patch("stoker-status-plant", &params, &patch).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(writes).await?;
    let synced = format!("True {AGENTS}/{AGENTS} synced");
    let object = until_message(&cluster, "AllGatewaysSynced", &synced).await?;
    let shown = object.status.unwrap_or_default().discovered_gateways;
    assert_eq!(shown.len(), AGENTS);
    let data = maps.get("stoker-status-plant").await?.data;
    assert_eq!(data.unwrap_or_default().len(), AGENTS);
    Ok(())
}
