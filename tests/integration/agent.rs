//! The whole way: from a webhook, over the controller, to the files on a gateway's disk and the status of the object.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use stoker_agent::{CredentialFiles, GatewayAddress, Ports, Sidecar, SidecarConfig};
use stoker_api::GatewaySync;
use stoker_local_cluster::FakeGateway;
use stoker_tests::TestCluster;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A gateway's pod, its disk, its API and its agent.
struct GatewayPod {
    api: FakeGateway,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    agent: JoinHandle<Result<()>>,
}

impl GatewayPod {
    async fn start(cluster: &TestCluster) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let pod = json!({
            "metadata": {"name": "gw-0", "annotations": {"stoker.io/cr-name": "plant", "stoker.io/profile": "edge"}},
            "spec": {"containers": [{"name": "gateway", "image": "example.org/ignition"}]},
        });
        pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
            .await?;
        let running = Patch::Merge(json!({"status": {"phase": "Running"}}));
        pods.patch_status("gw-0", &PatchParams::default(), &running)
            .await?;
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("data"))?;
        let api = FakeGateway::start().await?;
        let config = SidecarConfig {
            object: "plant".to_owned(),
            pod_namespace: cluster.namespace.clone(),
            namespace: cluster.namespace.clone(),
            pod_name: "gw-0".to_owned(),
            gateway_name: "gw-0".to_owned(),
            profile: "edge".to_owned(),
            state: folder.path().join("repo"),
            data: folder.path().join("data"),
            gateway: GatewayAddress {
                port: api.port(),
                tls: false,
                key_file: None,
            },
            credentials: CredentialFiles::default(),
            sync_period: std::time::Duration::from_secs(30),
        };
        let free = Ports {
            health: 0,
            metrics: 0,
        };
        let sidecar = Sidecar::start(cluster.client.clone(), config, free).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let agent = tokio::spawn(sidecar.run_until(async {
            drop(stopped.await);
        }));
        Ok(Self {
            api,
            folder,
            stop,
            agent,
        })
    }

    fn file(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("data").join(path)).ok()
    }

    async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.agent.await?
    }
}

fn is_ready_with(object: &GatewaySync, commit: &str) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let is_ready = status
        .condition("Ready")
        .is_some_and(|ready| ready.status == "True");
    let gateways = &status.discovered_gateways;
    let has_commit =
        |gateway: &stoker_api::DiscoveredGateway| gateway.synced_commit.as_deref() == Some(commit);
    is_ready && gateways.len() == 1 && gateways.iter().all(has_commit)
}

#[tokio::test]
async fn a_webhook_ends_with_files_on_the_disk_and_a_ready_object() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let mappings = json!([
        {"source": "plants/plant-1/config", "destination": "config"},
        {"source": "plants/plant-1/projects", "destination": "projects"},
    ]);
    cluster
        .create(json!({
            "polling": {"enabled": false},
            "sync": {"profiles": {"edge": {"mappings": mappings}}},
        }))
        .await?;
    cluster.start_signed().await?;
    let gateway = GatewayPod::start(&cluster).await?;
    for revision in 2..=3 {
        let commit = cluster.git.commit("main", "A release").await?;
        cluster.git.tag(&format!("v{revision}")).await?;
        cluster
            .send_json(&json!({"ref": format!("v{revision}")}))
            .await?;
        let what = format!("the gateway has revision {revision}");
        let is_ready = |object: &GatewaySync| is_ready_with(object, commit.as_str());
        cluster.until(&what, is_ready).await?;
        let file = gateway.file("config/tags/boiler.json").unwrap();
        let setpoint = format!("\"setpoint\": {}", 80 + revision);
        assert!(file.contains(&setpoint), "{file}");
    }
    assert!(gateway.api.scans().len() >= 4);
    gateway.stop().await
}
