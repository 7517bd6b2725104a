//! A gateway on this machine: its pod in the embedded API server, its files, and its agent.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use stoker_agent::{CredentialFiles, GatewayAddress, Ports, Sidecar, SidecarConfig};
use stoker_api::names::pod_annotation;
use stoker_local_cluster::FakeGateway;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The name of the pod.
const POD: &str = "gateway-0";
/// The name of the gateway.
const GATEWAY: &str = "plant-1";
/// The time between two looks of the agent, if the profile does not set it.
const SYNC_PERIOD: std::time::Duration = std::time::Duration::from_secs(30);

/// A gateway with its agent.
pub(super) struct LocalGateway {
    gateway: FakeGateway,
    data: PathBuf,
    stop: oneshot::Sender<()>,
    agent: JoinHandle<Result<()>>,
}

impl LocalGateway {
    /// Starts a gateway that follows an object. Its files are below `directory`.
    pub(super) async fn start(
        client: Client,
        directory: &Path,
        namespace: &str,
        object: &str,
        profile: &str,
    ) -> Result<Self> {
        create_pod(&client, namespace, object, profile).await?;
        let data = directory.join("gateway");
        std::fs::create_dir(&data).context("cannot create the directory of the gateway")?;
        let gateway = FakeGateway::start()
            .await
            .context("cannot start the gateway")?;
        let config = SidecarConfig {
            object: object.to_owned(),
            pod_namespace: namespace.to_owned(),
            namespace: namespace.to_owned(),
            pod_name: POD.to_owned(),
            gateway_name: GATEWAY.to_owned(),
            profile: profile.to_owned(),
            state: directory.join("agent"),
            data: data.clone(),
            gateway: GatewayAddress {
                port: gateway.port(),
                tls: false,
                key_file: None,
            },
            credentials: CredentialFiles::default(),
            sync_period: SYNC_PERIOD,
            max_file_mib: None,
        };
        let free = Ports {
            health: 0,
            metrics: 0,
        };
        let sidecar = Sidecar::start(client, config, free).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let agent = tokio::spawn(sidecar.run_until(async {
            // A sender that is gone means the end too.
            drop(stopped.await);
        }));
        Ok(Self {
            gateway,
            data,
            stop,
            agent,
        })
    }

    /// The directory with the files of the gateway.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The port of the gateway's API.
    pub(super) fn port(&self) -> u16 {
        self.gateway.port()
    }

    /// The calls of the agent so far.
    pub(super) fn calls(&self) -> watch::Receiver<Vec<String>> {
        self.gateway.subscribe()
    }

    /// Ends the agent, and then the gateway.
    pub(super) async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.agent.await.context("the agent failed")?
    }
}

/// Creates the pod of the gateway. Nothing runs in it: the agent is part of this process.
async fn create_pod(client: &Client, namespace: &str, object: &str, profile: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = serde_json::from_value(json!({
        "metadata": {"name": POD, "annotations": {
            pod_annotation::CR_NAME: object, pod_annotation::PROFILE: profile, pod_annotation::GATEWAY_NAME: GATEWAY,
        }},
        "spec": {"containers": [{"name": "gateway", "image": "example.org/ignition"}]},
    }))?;
    pods.create(&PostParams::default(), &pod)
        .await
        .context("cannot create the gateway's pod")?;
    let running = Patch::Merge(json!({"status": {"phase": "Running"}}));
    pods.patch_status(POD, &PatchParams::default(), &running)
        .await
        .context("cannot set the state of the gateway's pod")?;
    Ok(())
}
