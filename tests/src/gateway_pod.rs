//! A gateway of a test: its pod, its disk, its API and its agent, which runs in this process.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use stoker_agent::{CredentialFiles, GatewayAddress, Ports, Sidecar, SidecarConfig};
use stoker_local_cluster::FakeGateway;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::TestCluster;

/// A gateway's pod, its disk, its API and its agent.
pub struct GatewayPod {
    /// The API, which records the calls.
    pub api: FakeGateway,
    directory: TempDir,
    probes: u16,
    stop: oneshot::Sender<()>,
    agent: JoinHandle<Result<()>>,
}

impl GatewayPod {
    /// Creates the pod, and starts the agent and the gateway.
    pub async fn start(cluster: &TestCluster) -> Result<Self> {
        Self::start_beside(cluster, FakeGateway::start().await?).await
    }

    /// Creates the pod, and starts the agent beside a gateway.
    pub async fn start_beside(cluster: &TestCluster, api: FakeGateway) -> Result<Self> {
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
        let directory = tempfile::tempdir()?;
        std::fs::create_dir(directory.path().join("data"))?;
        let config = SidecarConfig {
            object: "plant".to_owned(),
            pod_namespace: cluster.namespace.clone(),
            namespace: cluster.namespace.clone(),
            pod_name: "gw-0".to_owned(),
            gateway_name: "gw-0".to_owned(),
            profile: "edge".to_owned(),
            state: directory.path().join("repo"),
            data: directory.path().join("data"),
            gateway: GatewayAddress {
                port: api.port(),
                tls: false,
                key_file: None,
            },
            credentials: CredentialFiles::default(),
            sync_period: Duration::from_secs(30),
            max_file_mib: None,
        };
        let free = Ports {
            health: 0,
            metrics: 0,
        };
        let sidecar = Sidecar::start(cluster.client.clone(), config, free).await?;
        let probes = sidecar.ports().health;
        let (stop, stopped) = oneshot::channel::<()>();
        let agent = tokio::spawn(sidecar.run_until(async {
            drop(stopped.await);
        }));
        Ok(Self {
            api,
            directory,
            probes,
            stop,
            agent,
        })
    }

    /// Returns the directory of the gateway.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Reads a file of the gateway.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.data().join(path)).ok()
    }

    /// Waits until the agent lets the gateway start, which the kubelet asks in the same way.
    pub async fn until_may_start(&self) -> Result<()> {
        let url = format!("http://localhost:{}/startupz", self.probes);
        let client = stoker_http_client::client_of_this_machine()?;
        for _ in 0..400 {
            if client.get(&url).send().await?.status().is_success() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("the gateway may not start in time")
    }

    /// Stops the agent, as the end of the pod does.
    pub async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.agent.await?
    }
}
