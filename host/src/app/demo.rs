//! `stoker demo`: sends webhooks to a Stoker on this machine, step by step, and prints the results.

mod payloads;
mod steps;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_local_cluster::{History, LocalCluster};
use tempfile::TempDir;

use self::steps::DemoSteps;
use super::host::Host;
use super::local_gateway::LocalGateway;
use super::text;
use crate::auth::{AuthConfig, sign};
use crate::cli::DemoFlags;
use crate::config::HostConfig;
use crate::secrets::SecretSource;

/// A plugin for a custom format. The demo copies it into the plugin directory.
pub const EXAMPLE_PLUGIN: &[u8] = stoker_builtin::EXAMPLE;

/// The HMAC secret of the demo's webhooks. It is public, because it protects only the demo on the loopback address.
const SECRET: &str = "stoker-demo-secret";
const NAMESPACE: &str = "default";
const NAME: &str = "plant";
const PROFILE: &str = "edge";

pub(super) async fn run(flags: DemoFlags) -> Result<ExitCode> {
    let ended = stoker_process::termination()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, flags.port));
    let cluster = LocalCluster::start(0).await?;
    let client = cluster.client().await?;
    let directory = TempDir::with_prefix("stoker-demo-")?;
    let plugins = directory.path().join("plugins");
    std::fs::create_dir(&plugins)?;
    let kubeconfig = directory.path().join("kubeconfig");
    cluster.write_kubeconfig(&kubeconfig)?;

    let history = History::write(&cluster.git).await?;
    let objects = create_objects(&client, cluster.git.url()).await?;
    let gateway =
        LocalGateway::start(client.clone(), directory.path(), NAMESPACE, NAME, PROFILE).await?;
    let host = Host::start(client, config(address, plugins.clone()))
        .await
        .context("choose another port with --port")?;
    host.wait_until_ready().await;
    let address = host
        .receiver_address()
        .context("the receiver is disabled")?;

    text::print(&format!(
        "API server {}, git {}, receiver http://{address}, GatewaySync {NAMESPACE}/{NAME}, gateway http://localhost:{}, its files in {}\n",
        cluster.api.url(),
        cluster.git.url(),
        gateway.port(),
        gateway.data().display(),
    ))?;
    let url = format!("http://{address}/webhook/{NAMESPACE}/{NAME}");
    let repo = cluster.git.url().to_owned();
    let chain = std::sync::Arc::clone(&host.chain);
    let steps = DemoSteps::new(url.clone(), repo, objects, chain, plugins)?;
    let mut ended = pin!(ended);
    let succeeded = tokio::select! {
        succeeded = steps.run(&history) => succeeded?,
        () = &mut ended => false,
    };
    if flags.once || !succeeded {
        host.run_until(std::future::ready(())).await?;
    } else {
        text::print(&next_commands(&url, &kubeconfig.display().to_string()))?;
        host.run_until(ended).await?;
    }
    gateway.stop().await?;
    cluster.api.shutdown().await;
    Ok(if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn config(receiver: SocketAddr, plugins: PathBuf) -> HostConfig {
    HostConfig {
        receiver: Some(receiver),
        plugin_directories: vec![plugins],
        auth: AuthConfig {
            hmac: Some(SecretSource::Inline(SECRET.to_owned())),
            ..AuthConfig::default()
        },
        ..HostConfig::default()
    }
}

/// Creates the `GatewaySync` and the Secret of its gateway.
async fn create_objects(client: &Client, repo: &str) -> Result<Api<GatewaySync>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    secrets
        .create(&PostParams::default(), &gateway_secret()?)
        .await
        .context("cannot create the gateway's Secret")?;
    let objects: Api<GatewaySync> = Api::namespaced(client.clone(), NAMESPACE);
    objects
        .create(&PostParams::default(), &object(repo)?)
        .await
        .context("cannot create the GatewaySync")?;
    Ok(objects)
}

fn object(repo: &str) -> Result<GatewaySync> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "stoker.io/v1alpha1",
        "kind": "GatewaySync",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "git": {"repo": repo, "ref": "main"},
            "gateway": {"api": {"secretName": "gateway-api"}},
            "sync": {"profiles": {PROFILE: {"mappings": [
                {"source": "plants/{{.GatewayName}}/config", "destination": "config"},
                {"source": "plants/{{.GatewayName}}/projects", "destination": "projects"},
            ]}}},
        },
    }))?)
}

/// Returns the Secret with the gateway's API key. The controller publishes nothing while the Secret is missing.
fn gateway_secret() -> Result<Secret> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "gateway-api", "namespace": NAMESPACE},
        "stringData": {"apiKey": "demo:not-a-secret"},
    }))?)
}

fn next_commands(url: &str, kubeconfig: &str) -> String {
    let body = r#"{"ref":"v1.0.0"}"#;
    let signature = sign(SECRET.as_bytes(), body.as_bytes());
    format!(
        "\nNext commands to try:\n  curl -X POST {url} -H 'Content-Type: application/json' -H 'X-Hub-Signature-256: {signature}' -d '{body}'\n  stoker send {url} --secret {SECRET} --ref v2.0.0\n  kubectl --kubeconfig {kubeconfig} get gs -w\n  kubectl --kubeconfig {kubeconfig} describe gs {NAME}\n\nPress Ctrl-C to exit."
    )
}
