//! Compares how long refusals take, so that their duration does not show which objects exist.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use stoker::auth::{AuthConfig, SIGNATURE_HEADER, sign};
use stoker::secrets::SecretSource;

use super::report::{Row, Table};
use crate::{SECRET, TestCluster};

/// The number of refusals of each kind.
const ROUNDS: usize = 60;
/// The time between two rounds. A refusal reads the API server unless another one did within a second.
const PAUSE: Duration = Duration::from_millis(1050);
/// The objects and paths that a refusal may be about. Two of them are of one kind: their difference is the noise.
const KINDS: [(&str, &str); 7] = [
    ("an object with the global key", "a"),
    ("another object with the global key", "b"),
    ("an object with its own key", "own"),
    ("an object whose Secret is missing", "broken"),
    ("an unknown object", "unknown"),
    ("a name that no object can have", "No_Name"),
    ("a longer path", "a/b/c"),
];

/// Measures refusals of each kind in turn, and returns their medians.
pub async fn refusals() -> Result<Table> {
    let mut cluster = TestCluster::new().await?;
    for (name, secret) in [
        ("a", None),
        ("b", None),
        ("own", Some("gateway-api")),
        ("broken", Some("none")),
    ] {
        let webhook = secret.map(|name| json!({"secretRef": {"name": name, "key": "apiKey"}}));
        cluster
            .create_named(name, json!({"webhook": webhook.unwrap_or(json!({}))}))
            .await?;
    }
    let hmac = Some(SecretSource::Inline(SECRET.to_owned()));
    cluster
        .start(AuthConfig {
            hmac,
            ..AuthConfig::default()
        })
        .await?;
    let body = super::release("v1");
    let wrong = sign(b"a-wrong-key", &body);
    let mut times = vec![Vec::new(); KINDS.len()];
    for round in 0..ROUNDS {
        for step in 0..KINDS.len() {
            // Another kind is the first one in each round.
            let kind = (round + step) % KINDS.len();
            let url = format!(
                "{}/webhook/{}/{}",
                cluster.base_url()?,
                cluster.namespace,
                KINDS[kind].1
            );
            let started = Instant::now();
            let answer = cluster
                .post(&url, &[(SIGNATURE_HEADER, &wrong)], &body)
                .await?;
            times[kind].push(started.elapsed());
            ensure!(answer.status == 401, "{url}: {answer:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
    let rows = times.iter_mut().zip(KINDS).map(|(times, (kind, _))| {
        times.sort();
        let median = times[times.len() / 2].as_secs_f64() * 1e6;
        Row::new(kind, median, "")
    });
    Ok(Table {
        name: "refusals".into(),
        title: "Refusals".into(),
        text: "Median time of a refusal that reads the API server, by what the path names. The first two rows are of one kind, so their difference is the noise.",
        unit: "µs",
        rows: rows.collect(),
    })
}
