//! Hostile guests: each fails its own request, and affects no other.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use stoker_tests::{Answer, Stage};

const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile.wasm"));

async fn stage() -> Result<Stage> {
    let stage = Stage::with_host().await?;
    stage.git.tag("v1").await?;
    std::fs::write(stage.plugins.path().join("hostile.wasm"), HOSTILE)?;
    stage.until_plugin("hostile", "hostile.wasm").await?;
    Ok(stage)
}

async fn behave(stage: &Stage, behaviour: &str) -> Result<Answer> {
    stage
        .send(&[("x-behaviour", behaviour)], br#"{"ref":"v1"}"#)
        .await
}

/// What the guest does, and words of the error.
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
    let stage = stage().await?;
    for (behaviour, word) in FAULTS {
        let answer = behave(&stage, behaviour).await?;
        // Failures in a row would open its circuit breaker.
        assert_eq!(behave(&stage, "ok").await?.status, 202);
        assert_eq!(answer.status, 500, "{behaviour} {answer:?}");
        let error = answer.body["error"].as_str().unwrap_or_default().to_owned();
        assert!(
            error.contains("hostile") && error.contains(word),
            "{behaviour}: {error}"
        );
        // The next delivery is unaffected.
        assert_eq!(
            stage.send_json(&json!({"ref": "v1"})).await?.status,
            202,
            "after {behaviour}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_invalid_ref_and_what_is_too_long_do_no_harm() -> Result<()> {
    let stage = stage().await?;
    let answer = behave(&stage, "invalid-ref").await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    let answer = behave(&stage, "giant-reason").await?;
    let reason = answer.body["ignored"].as_str().unwrap_or_default();
    let is_sound = reason.len() <= 1100 && !reason.chars().any(char::is_control);
    assert!(answer.status == 500 || is_sound, "{answer:?}");
    assert_eq!(behave(&stage, "log-flood").await?.status / 100, 2);
    let answer = behave(&stage, "many-detections").await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_guest_that_declines_leaves_the_delivery_to_the_next() -> Result<()> {
    let stage = stage().await?;
    let answer = behave(&stage, "not-mine").await?;
    assert_eq!(
        (answer.status, answer.body["plugin"].as_str()),
        (202, Some("generic"))
    );
    assert_eq!(behave(&stage, "ok").await?.body["plugin"], "hostile");
    Ok(())
}

#[tokio::test]
async fn others_are_answered_while_a_guest_loops() -> Result<()> {
    let stage = stage().await?;
    let looping = async {
        for _ in 0..5 {
            behave(&stage, "loop").await?;
        }
        anyhow::Ok(())
    };
    let others = async {
        let mut answered = 0;
        for _ in 0..20 {
            let answer = stage.send_json(&json!({"ref": "main"})).await?;
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
