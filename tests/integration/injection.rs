//! The injection of agents: the API server calls the webhook with the configuration that the chart renders.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde::Deserialize as _;
use serde_json::{Value, json};
use stoker::auth::AuthConfig;
use stoker::config::{CertificateConfig, InjectionConfig};
use stoker_tests::TestCluster;

const RENDERED: &str = include_str!("../chart/golden/defaults.yaml");
const SECRET: &str = "webhook-cert";
const IMAGE: &str = "registry.example.com/stoker-agent:1";

/// A cluster whose API server calls the webhook for the pods of the namespace of the test.
struct Injecting {
    cluster: TestCluster,
    configurations: Api<MutatingWebhookConfiguration>,
    name: String,
}

impl Injecting {
    async fn start() -> Result<Self> {
        let mut cluster = TestCluster::new().await?;
        let name = format!("{}-pod-injection", cluster.namespace);
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(cluster.client.clone());
        let configuration = configuration(&name, &cluster.namespace)?;
        configurations
            .create(
                &PostParams::default(),
                &serde_json::from_value(configuration)?,
            )
            .await?;
        cluster.config.injection = Some(InjectionConfig {
            address: ([127, 0, 0, 1], 0).into(),
            certificate: CertificateConfig::Own {
                secret: SECRET.to_owned(),
                names: vec!["localhost".to_owned()],
                configuration: Some(name.clone()),
            },
            agent_image: IMAGE.to_owned(),
        });
        cluster.start(AuthConfig::default()).await?;
        let port = cluster.injection_address()?.port();
        let url = format!("https://localhost:{port}/mutate-v1-pod");
        let moved =
            json!([{ "op": "replace", "path": "/webhooks/0/clientConfig/url", "value": url }]);
        let moved: Patch<Value> = Patch::Json(serde_json::from_value(moved)?);
        configurations
            .patch(&name, &PatchParams::default(), &moved)
            .await?;
        Ok(Self {
            cluster,
            configurations,
            name,
        })
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace)
    }

    /// Waits until the API server calls the webhook. It learns of the configuration after a moment.
    async fn until_called(&self) -> Result<()> {
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut last = None;
        for _ in 0..200 {
            let created = self
                .pods()
                .create(
                    &dry_run,
                    &pod("probe", &json!({ "stoker.io/inject": "true" }))?,
                )
                .await;
            if created.as_ref().is_ok_and(has_agent) {
                return Ok(());
            }
            last = Some(created);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the webhook was not called in time: {last:?}")
    }

    /// Removes what would be called for the pods of later tests.
    async fn end(self) -> Result<()> {
        let params = DeleteParams::default();
        self.configurations.delete(&self.name, &params).await?;
        Ok(())
    }
}

/// Returns the configuration that the chart renders, with a url and for one namespace only.
fn configuration(name: &str, namespace: &str) -> Result<Value> {
    let rendered = RENDERED
        .split("\n---\n")
        .find(|document| document.contains("kind: MutatingWebhookConfiguration"))
        .context("the chart renders no configuration")?;
    let mut configuration: Value = serde_saphyr::from_str(rendered)?;
    configuration["metadata"]["name"] = name.into();
    let webhook = &mut configuration["webhooks"][0];
    // The port is known when the host has started.
    webhook["clientConfig"] = json!({ "url": "https://localhost:1/mutate-v1-pod" });
    let only = json!({
        "key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace],
    });
    webhook["namespaceSelector"]["matchExpressions"]
        .as_array_mut()
        .context("the chart renders no namespaceSelector")?
        .push(only);
    Ok(configuration)
}

fn pod(name: &str, annotations: &Value) -> Result<Pod> {
    Ok(Pod::deserialize(json!({
        "metadata": { "name": name, "annotations": annotations },
        "spec": {
            "serviceAccountName": "gw",
            "containers": [{
                "name": "gateway", "image": "example.org/ignition",
                "volumeMounts": [{ "name": "data", "mountPath": "/usr/local/bin/ignition/data" }],
            }],
            "volumes": [{ "name": "data", "emptyDir": {} }],
        },
    }))?)
}

fn has_agent(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| spec.init_containers.iter());
    containers
        .flatten()
        .any(|container| container.name == "stoker-agent")
}

#[tokio::test]
async fn a_pod_that_asks_gets_the_agent() -> Result<()> {
    let injecting = Injecting::start().await?;
    injecting.cluster.create(json!({})).await?;
    injecting.until_called().await?;
    let annotations = json!({ "stoker.io/inject": "true", "stoker.io/profile": "edge" });
    let created = injecting
        .pods()
        .create(&PostParams::default(), &pod("gw-0", &annotations)?)
        .await?;
    let stored = serde_json::to_value(injecting.pods().get("gw-0").await?)?;
    assert!(has_agent(&created));
    let agent = &stored["spec"]["initContainers"][0];
    assert_eq!(agent["image"], IMAGE);
    assert_eq!(agent["restartPolicy"], "Always");
    assert_eq!(
        agent["env"][2],
        json!({ "name": "CR_NAME", "value": "plant" })
    );
    assert_eq!(
        stored["metadata"]["annotations"]["stoker.io/cr-name"],
        "plant"
    );
    assert_eq!(stored["metadata"]["labels"]["stoker.io/agent"], "true");
    let volumes = stored["spec"]["volumes"].as_array().context("volumes")?;
    let names: Vec<_> = volumes.iter().map(|volume| &volume["name"]).collect();
    assert_eq!(names, ["data", "sync-repo", "git-tmp", "api-key"]);
    let metrics = injecting.cluster.metrics()?;
    let namespace = &injecting.cluster.namespace;
    let line = format!("injections_total{{namespace=\"{namespace}\",result=\"injected\"}}");
    assert!(metrics.contains(&line), "{metrics}");
    let end = "stoker_webhook_injector_certificate_expiry_timestamp_seconds ";
    assert!(metrics.contains(end), "{metrics}");
    injecting.end().await
}

#[tokio::test]
async fn other_pods_are_created_as_they_are_and_wrong_ones_are_refused() -> Result<()> {
    let injecting = Injecting::start().await?;
    injecting.cluster.create(json!({})).await?;
    injecting.until_called().await?;
    let create = async |name: &str, annotations: Value| -> Result<kube::Result<Pod>> {
        let pod = pod(name, &annotations)?;
        Ok(injecting.pods().create(&PostParams::default(), &pod).await)
    };
    assert!(!has_agent(&create("plain", json!({})).await??));
    assert!(!has_agent(
        &create("off", json!({ "stoker.io/inject": "false" })).await??
    ));
    let missing = json!({ "stoker.io/inject": "true", "stoker.io/cr-name": "other" });
    let Err(kube::Error::Api(status)) = create("missing", missing).await? else {
        bail!("the pod was created");
    };
    assert_eq!(status.code, 403);
    let namespace = &injecting.cluster.namespace;
    let expected = format!(
        "admission webhook \"pod-inject.stoker.io\" denied the request: GatewaySync 'other' not found in namespace '{namespace}'"
    );
    assert_eq!(status.message, expected);
    injecting.end().await
}

#[tokio::test]
async fn replicas_serve_the_webhook_with_one_certificate() -> Result<()> {
    let mut injecting = Injecting::start().await?;
    let secrets: Api<Secret> = Api::namespaced(
        injecting.cluster.client.clone(),
        &injecting.cluster.namespace,
    );
    let stored = secrets.get(SECRET).await?.data.unwrap_or_default();
    let trusted = injecting.configurations.get(&injecting.name).await?;
    let webhooks = trusted.webhooks.unwrap_or_default();
    assert_eq!(
        webhooks[0].client_config.ca_bundle.as_ref(),
        stored.get("ca.crt")
    );
    let first = injecting.cluster.injection_address()?;
    injecting.cluster.start(AuthConfig::default()).await?;
    assert_ne!(injecting.cluster.injection_address()?, first);
    let after = secrets.get(SECRET).await?.data.unwrap_or_default();
    assert_eq!(after, stored);
    // The replica that the configuration names still answers.
    injecting.cluster.create(json!({})).await?;
    injecting.until_called().await?;
    injecting.end().await
}
