//! The deployment: what the chart renders, replicas and metrics.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use stoker::app::Host;
use stoker::config::HostConfig;
use stoker_http_client::http_client;
use stoker_tests::TestCluster;

use super::deliver;

const INLINE_SECRET: &str = include_str!("../../chart/golden/guide-inline-secret.yaml");
/// The secret of that file, `my-webhook-secret`, as the Secret contains it.
const INLINE_SECRET_BASE64: &str = "bXktd2ViaG9vay1zZWNyZXQ=";
const NETWORK: &str = include_str!("../../chart/golden/network.yaml");
const DEFAULTS: &str = include_str!("../../chart/golden/defaults.yaml");

/// Returns the documents of a kind that the chart renders.
fn rendered(text: &str, kind: &str) -> Vec<String> {
    let documents = text.split("\n---\n");
    let is_of_kind = |text: &&str| text.lines().any(|line| line == format!("kind: {kind}"));
    documents.filter(is_of_kind).map(str::to_owned).collect()
}

#[test]
fn fault_04_an_inline_secret_is_not_part_of_the_deployment() {
    let [deployment] = &rendered(INLINE_SECRET, "Deployment")[..] else {
        panic!("there is one Deployment");
    };
    for secret in ["my-webhook-secret", INLINE_SECRET_BASE64] {
        assert!(!deployment.contains(secret), "{secret}");
    }
    let secrets = rendered(INLINE_SECRET, "Secret").concat();
    let line = format!("webhook-secret: {INLINE_SECRET_BASE64}");
    assert!(secrets.contains(&line), "{secrets}");
}

#[tokio::test]
async fn fault_24_replicas_that_do_not_lead_receive_webhooks() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    for identity in ["first", "second"] {
        cluster.config.identity = Some(identity.to_owned());
        cluster.start_signed().await?;
        let leads = u8::from(identity == "first");
        cluster
            .until_metrics(|text| text.contains(&format!("stoker_controller_leader {leads}\n")))
            .await?;
        let commit = cluster.git.commit("main", identity).await?;
        let answer = deliver(&cluster, (&[], json!({"ref": "main"}))).await?;
        assert_eq!(answer.status, 202, "{identity}");
        cluster.until_handled(commit.as_str()).await?;
    }
    Ok(())
}

#[test]
fn fault_25_the_network_policy_admits_webhooks_and_the_api_server() {
    let policies = rendered(NETWORK, "NetworkPolicy").concat();
    let (_, ingress) = policies
        .split_once("policyTypes:\n    - Ingress\n")
        .unwrap();
    let (ingress, _) = ingress.split_once("\n  egress:").unwrap();
    let deployment = rendered(NETWORK, "Deployment").concat();
    for (name, number) in [("webhook-rx", 9444), ("webhook-server", 9443)] {
        assert!(ingress.contains(&format!("port: {name}\n")), "{ingress}");
        let port = format!("name: {name}\n              containerPort: {number}\n");
        assert!(deployment.contains(&port), "{deployment}");
    }
}

#[tokio::test]
async fn fault_26_a_port_that_is_taken_ends_the_start() -> Result<()> {
    let cluster = TestCluster::new().await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = Some(taken.local_addr()?);
    let config = HostConfig::default;
    let configs = [
        HostConfig {
            receiver: address,
            ..config()
        },
        HostConfig {
            probes: address,
            ..config()
        },
        HostConfig {
            metrics: address,
            ..config()
        },
    ];
    for config in configs {
        let started = Host::start(cluster.client.clone(), config).await;
        let error = started.err().context("the host has started")?;
        assert!(error.to_string().starts_with("choose another"), "{error:#}");
    }
    Ok(())
}

#[test]
fn fault_26_the_service_account_cannot_list_or_delete_secrets() {
    let roles = [
        rendered(DEFAULTS, "ClusterRole"),
        rendered(DEFAULTS, "Role"),
    ]
    .concat();
    let has = |rule: &Value, field: &str, wanted: &[&str]| {
        let values = rule[field].as_array().into_iter().flatten();
        let mut values = values.filter_map(Value::as_str);
        values.any(|value| wanted.contains(&value))
    };
    let mut reads = 0;
    for role in &roles {
        let role: Value = serde_saphyr::from_str(role).unwrap();
        for rule in role["rules"].as_array().into_iter().flatten() {
            assert!(
                !has(rule, "apiGroups", &["*"]) && !has(rule, "resources", &["*"]),
                "{rule}"
            );
            if has(rule, "resources", &["secrets"]) {
                assert_eq!(rule["verbs"], json!(["get", "create", "patch"]), "{rule}");
                reads += 1;
            }
        }
    }
    assert!(reads > 0, "no rule is about Secrets");
}

#[tokio::test]
async fn fault_27_metrics_distinguish_outcomes_and_count_every_path() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    deliver(&cluster, (&[], json!({"ref": "v1"}))).await?;
    cluster.post(&cluster.url()?, &[], b"{}").await?;
    let elsewhere = format!("{}/elsewhere", cluster.base_url()?);
    let answer = cluster.post(&elsewhere, &[], b"{}").await?;
    assert_eq!(answer.body["reason"], Value::from("no-route"));
    let wrong_method = http_client()?.put(cluster.url()?).send().await?;
    assert_eq!(wrong_method.status(), 405);
    let metrics = cluster.metrics()?;
    for line in [
        r#"stoker_webhook_receiver_requests_total{source="generic",status_code="202"} 1"#,
        r#"stoker_webhook_receiver_requests_total{source="unknown",status_code="401"} 1"#,
        r#"stoker_webhook_receiver_requests_total{source="unknown",status_code="404"} 1"#,
        r#"stoker_webhook_receiver_requests_total{source="unknown",status_code="405"} 1"#,
        r#"stoker_webhook_receiver_outcomes_total{reason="requested"} 1"#,
        r#"stoker_webhook_receiver_outcomes_total{reason="unauthorized"} 1"#,
        "stoker_webhook_receiver_requests_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let last = "stoker_webhook_receiver_last_accepted_timestamp_seconds{";
    metrics
        .lines()
        .find(|line| line.starts_with(last))
        .context("the time of the last accepted webhook")?;
    assert!(metrics.contains("stoker_webhook_receiver_request_duration_seconds_bucket"));
    let name = cluster.object().await?.name_any();
    let params = kube::api::DeleteParams::default();
    cluster.objects().delete(&name, &params).await?;
    cluster.until_metrics(|text| !text.contains(last)).await
}
