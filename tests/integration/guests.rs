//! Hostile guests. Each of them fails its own request and affects no other request.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use stoker_tests::{Answer, TestCluster};

const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile.wasm"));

async fn cluster() -> Result<TestCluster> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v1").await?;
    std::fs::write(cluster.plugins.path().join("hostile.wasm"), HOSTILE)?;
    cluster.until_plugin("hostile", "hostile.wasm").await?;
    Ok(cluster)
}

async fn behave(cluster: &TestCluster, behaviour: &str) -> Result<Answer> {
    cluster
        .send(&[("x-behaviour", behaviour)], br#"{"ref":"v1"}"#)
        .await
}

/// The behaviour of the guest, and words of the error.
const FAULTS: [(&str, &str); 8] = [
    ("loop", "did not answer within"),
    ("host-call-loop", "did not answer within"),
    ("memory-copy", "did not answer within"),
    ("allocate", "bytes of memory"),
    ("recurse", "trap"),
    ("panic", "trap"),
    ("giant-result", "handed over more than"),
    ("giant-argument", "handed over more than"),
];

#[tokio::test]
async fn each_fault_costs_its_own_request_an_error() -> Result<()> {
    let cluster = cluster().await?;
    for (behaviour, word) in FAULTS {
        let answer = behave(&cluster, behaviour).await?;
        // Consecutive failures would open the circuit breaker of the guest.
        assert_eq!(behave(&cluster, "ok").await?.status, 202);
        assert_eq!(answer.status, 500, "{behaviour} {answer:?}");
        let error = answer.body["error"].as_str().unwrap_or_default().to_owned();
        // On a busy machine, the time may end before the guest has reached its other limit.
        let is_expected = error.contains(word) || error.contains("did not answer within");
        assert!(
            error.contains("hostile") && is_expected,
            "{behaviour}: {error}"
        );
        // The next delivery is unaffected.
        assert_eq!(
            cluster.send_json(&json!({"ref": "v1"})).await?.status,
            202,
            "after {behaviour}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_invalid_ref_and_what_is_too_long_do_no_harm() -> Result<()> {
    let cluster = cluster().await?;
    let answer = behave(&cluster, "invalid-ref").await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    let answer = behave(&cluster, "giant-reason").await?;
    let reason = answer.body["ignored"].as_str().unwrap_or_default();
    let is_sound = reason.len() <= 1100 && !reason.chars().any(char::is_control);
    assert!(answer.status == 500 || is_sound, "{answer:?}");
    assert_eq!(behave(&cluster, "log-flood").await?.status / 100, 2);
    // The object follows none of the many refs.
    let answer = behave(&cluster, "many-detections").await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["accepted"], false);
    Ok(())
}

#[tokio::test]
async fn a_guest_that_declines_leaves_the_delivery_to_the_next() -> Result<()> {
    let cluster = cluster().await?;
    let answer = behave(&cluster, "not-mine").await?;
    assert_eq!(
        (answer.status, answer.body["plugin"].as_str()),
        (202, Some("generic"))
    );
    assert_eq!(behave(&cluster, "ok").await?.body["plugin"], "hostile");
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_not_json_is_for_a_guest_that_can_use_it() -> Result<()> {
    let cluster = cluster().await?;
    for (behaviour, status, reason) in [
        ("ok", 202, "requested"),
        ("panic", 500, "plugin-failed"),
        ("not-mine", 400, "not-json"),
        ("unknown", 400, "malformed"),
    ] {
        let headers = [("x-behaviour", behaviour)];
        let answer = cluster.send(&headers, b"<release tag='v1'/>").await?;
        assert_eq!(
            (answer.status, answer.body["reason"].as_str()),
            (status, Some(reason)),
            "{behaviour} {answer:?}"
        );
        let plugin = (behaviour != "not-mine").then_some("hostile");
        assert_eq!(answer.body["plugin"].as_str(), plugin, "{behaviour}");
    }
    Ok(())
}

#[tokio::test]
async fn others_are_answered_while_a_guest_loops() -> Result<()> {
    let cluster = cluster().await?;
    let looping = async {
        for _ in 0..5 {
            behave(&cluster, "loop").await?;
        }
        anyhow::Ok(())
    };
    let others = async {
        let mut answered = 0;
        for _ in 0..20 {
            let answer = cluster.send_json(&json!({"ref": "main"})).await?;
            anyhow::ensure!(answer.status == 202, "{answer:?}");
            answered += 1;
        }
        anyhow::Ok(answered)
    };
    let both = async { tokio::try_join!(looping, others) };
    let ((), answered) = tokio::time::timeout(Duration::from_secs(20), both).await??;
    assert_eq!(answered, 20);
    Ok(())
}
