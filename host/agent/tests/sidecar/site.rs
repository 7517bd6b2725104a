//! A cluster with a repository, a gateway, its disk and an agent.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};
use stoker_agent::{Ports, Sidecar, SidecarConfig};
use stoker_api::GatewaySync;
use stoker_local_cluster::{FakeGateway, LocalCluster};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const NAMESPACE: &str = "default";
/// The time limit of each wait.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A cluster with a repository, a gateway and its disk.
pub(crate) struct Site {
    pub(crate) cluster: LocalCluster,
    pub(crate) client: Client,
    pub(crate) gateway: FakeGateway,
    pub(crate) directory: TempDir,
    pub(crate) profile: Value,
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) ports: Ports,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let cluster = LocalCluster::start(0).await.unwrap();
        let client = cluster.client().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        let site = Self {
            gateway: FakeGateway::start().await.unwrap(),
            profile: json!({"mappings": [
                {"source": "plants/plant-1/config", "destination": "config"},
                {"source": "plants/plant-1/projects", "destination": "projects"},
            ]}),
            cluster,
            client,
            directory,
        };
        site.gateway.require_key("agent:key");
        std::fs::write(site.path("key"), "agent:key\n").unwrap();
        let object: GatewaySync = serde_json::from_value(json!({
            "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
            "metadata": {"name": "plant"},
            "spec": {
                "git": {"repo": site.cluster.git.url(), "ref": "main"},
                "gateway": {"api": {"secretName": "gateway-api"}},
                "sync": {"profiles": {"default": site.profile.clone()}},
            },
        }))
        .unwrap();
        let objects: Api<GatewaySync> = site.api();
        objects
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "gw-0", "labels": {"site": "north"}},
            "spec": {"containers": [{"name": "gateway", "image": "example.org/ignition"}]},
        }))
        .unwrap();
        let pods: Api<Pod> = site.api();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        site
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) async fn commit(&self, message: &str) -> String {
        self.cluster
            .git
            .commit("main", message)
            .await
            .unwrap()
            .to_string()
    }

    /// Publishes a commit, as the controller does.
    pub(crate) async fn publish(&self, commit: &str, paused: bool) {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "stoker-metadata-plant"},
            "data": {
                "commit": commit, "ref": "main", "gitURL": self.cluster.git.url(),
                "paused": paused.to_string(), "authType": "none",
                "profiles": json!({"default": self.profile}).to_string(),
            },
        });
        let maps: Api<ConfigMap> = self.api();
        let params = PatchParams::apply("test").force();
        maps.patch("stoker-metadata-plant", &params, &Patch::Apply(map))
            .await
            .unwrap();
    }

    pub(crate) async fn start(&self) -> Agent {
        let variables = [
            ("CR_NAME", "plant".to_owned()),
            ("POD_NAMESPACE", NAMESPACE.to_owned()),
            ("POD_NAME", "gw-0".to_owned()),
            ("GATEWAY_NAME", "blue".to_owned()),
            ("REPO_PATH", self.path("repo").display().to_string()),
            ("DATA_PATH", self.path("data").display().to_string()),
            ("GATEWAY_PORT", self.gateway.port().to_string()),
            ("SYNC_PERIOD", "1".to_owned()),
            ("API_KEY_FILE", self.path("key").display().to_string()),
        ];
        let read = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone())
        };
        let config = SidecarConfig::from_env(read).unwrap();
        let free = Ports {
            health: 0,
            metrics: 0,
        };
        let sidecar = Sidecar::start(self.client.clone(), config, free)
            .await
            .unwrap();
        let ports = sidecar.ports();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let ended = async {
                drop(stopped.await);
            };
            Box::pin(sidecar.run_until(ended)).await.unwrap();
        });
        Agent { ports, stop, task }
    }

    /// Waits until the report of the gateway has these fields.
    pub(crate) async fn until(&self, expected: Value) -> Value {
        let maps: Api<ConfigMap> = self.api();
        let report = |map: Option<&ConfigMap>| -> Option<Value> {
            serde_json::from_str(map?.data.as_ref()?.get("blue")?).ok()
        };
        let matches = |map: Option<&ConfigMap>| {
            let report = report(map).unwrap_or_default();
            let mut fields = expected.as_object().unwrap().iter();
            fields.all(|(name, value)| &report[name] == value)
        };
        let wait = await_condition(maps.clone(), "stoker-status-plant", matches);
        if let Ok(found) = tokio::time::timeout(TIMEOUT, wait).await {
            return report(found.unwrap().as_ref()).unwrap();
        }
        let map = maps.get_opt("stoker-status-plant").await.unwrap();
        panic!(
            "not in time: {expected}; the last report is {:?}",
            report(map.as_ref())
        );
    }

    pub(crate) fn boiler(&self) -> Option<String> {
        std::fs::read_to_string(self.path("data/config/tags/boiler.json")).ok()
    }
}

impl Agent {
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

pub(crate) async fn get(port: u16, path: &str) -> (u16, String) {
    let client = stoker_http_client::client_of_this_machine().unwrap();
    let response = client
        .get(format!("http://localhost:{port}{path}"))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}
