//! The agent beside a gateway: from what is published in a cluster to the files on the gateway's disk.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
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
struct Site {
    cluster: LocalCluster,
    client: Client,
    gateway: FakeGateway,
    folder: TempDir,
    profile: Value,
}

/// A running agent.
struct Agent {
    ports: Ports,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Site {
    async fn new() -> Self {
        let cluster = LocalCluster::start(0).await.unwrap();
        let client = cluster.client().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let site = Self {
            gateway: FakeGateway::start().await.unwrap(),
            profile: json!({"mappings": [
                {"source": "plants/plant-1/config", "destination": "config"},
                {"source": "plants/plant-1/projects", "destination": "projects"},
            ]}),
            cluster,
            client,
            folder,
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

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn commit(&self, message: &str) -> String {
        self.cluster
            .git
            .commit("main", message)
            .await
            .unwrap()
            .to_string()
    }

    /// Publishes a commit, as the controller does.
    async fn publish(&self, commit: &str, paused: bool) {
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

    async fn start(&self) -> Agent {
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
    async fn until(&self, expected: Value) -> Value {
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

    fn boiler(&self) -> Option<String> {
        std::fs::read_to_string(self.path("data/config/tags/boiler.json")).ok()
    }
}

impl Agent {
    async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

async fn get(port: u16, path: &str) -> (u16, String) {
    let client = stoker_http_client::client_of_this_machine().unwrap();
    let response = client
        .get(format!("http://localhost:{port}{path}"))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_published_commit_reaches_the_disk_and_the_gateway() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    let agent = site.start().await;
    assert_eq!(get(agent.ports.health, "/healthz").await.0, 200);
    site.publish(&first, false).await;
    let report = site
        .until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    assert_eq!(report["syncedRef"], "main");
    assert_eq!(report["lastScanResult"], "projects=200 config=200");
    assert_eq!(report["filesChanged"], 3);
    assert_eq!(report["projectsSynced"], json!(["boiler"]));
    assert_eq!(report["profileName"], "default");
    assert!(site.boiler().unwrap().contains("\"setpoint\": 81"));
    assert!(site.path("data/projects/boiler/project.json").is_file());
    assert_eq!(
        get(agent.ports.health, "/readyz").await,
        (200, "ok".to_owned())
    );

    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    let report = site
        .until(json!({"syncStatus": "Synced", "syncedCommit": second}))
        .await;
    assert_eq!(report["filesChanged"], 2);
    assert_eq!(report["history"].as_array().unwrap().len(), 2);
    assert_eq!(report["history"][0]["commit"], second);
    assert!(site.boiler().unwrap().contains("\"setpoint\": 82"));

    let metrics = get(agent.ports.metrics, "/metrics").await.1;
    let line = "stoker_agent_sync_total{profile=\"default\",result=\"success\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
    agent.stop().await;
    let events: Api<Event> = site.api();
    let events = events.list(&ListParams::default()).await.unwrap();
    let texts: Vec<_> = events
        .items
        .iter()
        .filter(|event| event.involved_object.name.as_deref() == Some("plant"))
        .map(|event| event.message.clone().unwrap_or_default())
        .collect();
    let expected = format!(
        "Sync completed on blue: commit {}, 3 file(s) changed",
        &first[..12]
    );
    assert!(texts.contains(&expected), "{texts:?}");
}

#[tokio::test]
async fn a_commit_that_cannot_be_fetched_is_an_error_and_the_next_one_is_synced() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    site.publish(&"9".repeat(40), false).await;
    let report = site
        .until(json!({"syncStatus": "Error", "syncedCommit": first}))
        .await;
    let message = report["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("git fetch: "), "{message}");
    assert_eq!(message.matches("git fetch").count(), 1);
    assert!(site.boiler().unwrap().contains("81"), "nothing was changed");
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": second}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_failed_scan_is_an_error_and_is_done_with_the_next_sync() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    site.gateway
        .answer_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    let report = site
        .until(json!({"syncStatus": "Error", "syncedCommit": second}))
        .await;
    let text = "error: scan/projects: after 3 retries: HTTP 500";
    assert_eq!(report["errorMessage"], text);
    assert_eq!(report["lastScanResult"], text);
    site.gateway.answer_with(None);
    let scans = site.gateway.scans().len();
    let third = site.commit("Three").await;
    site.publish(&third, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": third}))
        .await;
    assert_eq!(site.gateway.scans()[scans..], ["projects", "config"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_paused_object_keeps_what_is_there_until_the_pause_is_over() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, true).await;
    let agent = site.start().await;
    let report = site.until(json!({"syncStatus": "Pending"})).await;
    assert_eq!(report["syncedCommit"], "");
    assert_eq!(get(agent.ports.health, "/readyz").await.0, 200);
    assert_eq!(site.boiler(), None);
    site.publish(&first, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_gateway_that_has_replaced_the_files_with_its_key_gets_them_again() {
    let site = Site::new().await;
    site.gateway
        .answer_with(Some(StatusCode::SERVICE_UNAVAILABLE));
    let commit = site.commit("One").await;
    site.publish(&commit, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Pending", "syncedCommit": commit}))
        .await;
    let boiler = site.boiler().unwrap();
    // The gateway replaces files at its first start, and does not know the key any more.
    std::fs::write(site.path("data/config/tags/boiler.json"), "{}").unwrap();
    site.gateway.answer_with(Some(StatusCode::UNAUTHORIZED));
    site.until(json!({
        "syncStatus": "Error", "errorMessage": "the gateway refuses the API key (HTTP 401)", "filesChanged": 1,
    }))
    .await;
    assert_eq!(site.boiler().unwrap(), boiler);
    assert_eq!(site.gateway.scans(), [""; 0]);
    site.gateway.answer_with(None);
    site.until(json!({"syncStatus": "Synced", "lastScanResult": "projects=200 config=200"}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn designers_hold_a_sync_until_they_are_closed() {
    let mut site = Site::new().await;
    site.profile["designerSessionPolicy"] = json!("fail");
    site.gateway.set_designers(&[("admin", "boiler")]);
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    let text = "designer sessions active (policy=fail): admin on boiler";
    site.until(json!({"syncStatus": "Error", "errorMessage": text}))
        .await;
    assert_eq!(site.boiler(), None);
    site.gateway.set_designers(&[]);
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": second}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn reports_of_other_gateways_stay_and_a_restart_goes_on_with_the_history() {
    let site = Site::new().await;
    let maps: Api<ConfigMap> = site.api();
    let other: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "stoker-status-plant"}, "data": {"green": "{}"},
    }))
    .unwrap();
    maps.create(&PostParams::default(), &other).await.unwrap();
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    for syncs in 1..=2 {
        let agent = site.start().await;
        let is_synced =
            json!({"syncStatus": "Synced", "filesChanged": if syncs == 1 { 3 } else { 0 }});
        let report = site.until(is_synced).await;
        assert_eq!(report["history"].as_array().unwrap().len(), syncs);
        agent.stop().await;
    }
    let map = maps.get("stoker-status-plant").await.unwrap();
    assert_eq!(map.data.unwrap()["green"], "{}");
}

#[tokio::test]
async fn mass_deletions_are_held_until_the_object_confirms_the_commit() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    let stray = |index: usize| site.path(&format!("data/config/stray-{index}.json"));
    for index in 0..50 {
        std::fs::write(stray(index), "{}").unwrap();
    }
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    let report = site
        .until(json!({"syncStatus": "Error", "syncedCommit": first}))
        .await;
    let message = report["errorMessage"].as_str().unwrap();
    assert!(message.contains("would delete 50 of"), "{message}");
    let command = format!("gatewaysync plant stoker.io/confirm-deletes={second}");
    assert!(message.ends_with(&command), "{message}");
    assert!(stray(0).exists());

    let third = site.commit("Three").await;
    let objects: Api<GatewaySync> = site.api();
    let annotations = json!({"stoker.io/confirm-deletes": third});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    objects
        .patch("plant", &PatchParams::default(), &patch)
        .await
        .unwrap();
    site.publish(&third, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": third}))
        .await;
    assert!(!stray(0).exists());
    agent.stop().await;
}

#[tokio::test]
async fn files_that_others_change_are_put_back_if_the_profile_says_so() {
    let mut site = Site::new().await;
    site.profile["driftPolicy"] = json!("repair");
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "filesChanged": 3}))
        .await;
    let before = site.boiler();
    std::fs::write(site.path("data/config/tags/boiler.json"), "{}").unwrap();
    site.until(json!({"syncStatus": "Synced", "filesChanged": 1}))
        .await;
    assert_eq!(site.boiler(), before);
    agent.stop().await;
}

#[tokio::test]
async fn a_failed_first_sync_keeps_the_gateway_from_starting_unless_it_runs_or_the_profile_allows_it()
 {
    for (allows, runs, status) in [(false, false, 503), (true, false, 200), (false, true, 200)] {
        let mut site = Site::new().await;
        let starting = (!runs).then_some(StatusCode::SERVICE_UNAVAILABLE);
        site.gateway.answer_with(starting);
        site.profile = json!({
            "mappings": [{"source": "nowhere", "destination": "config", "required": true}],
            "startWithoutSync": allows,
        });
        let first = site.commit("One").await;
        site.publish(&first, false).await;
        let agent = site.start().await;
        let report = site.until(json!({"syncStatus": "Error"})).await;
        let message = report["errorMessage"].as_str().unwrap();
        let text = "sync engine: mapping[0]: required source does not exist: nowhere";
        assert_eq!(message, text);
        assert_eq!(report["syncedCommit"], "");
        assert_eq!(get(agent.ports.health, "/readyz").await.0, status);
        agent.stop().await;
    }
}
