//! The known faults of the webhook receiver of the Go operator, which Stoker does not repeat. Each has a test, with the
//! number of the fault in its name.

mod deployment;
mod meaning;
mod requests;
mod state;

use anyhow::Result;
use serde_json::Value;
use stoker_tests::{Answer, TestCluster};

/// A delivery of a sender: its headers and its body.
type Delivery<'a> = (&'a [(&'a str, &'a str)], Value);

async fn deliver(cluster: &TestCluster, (headers, body): Delivery<'_>) -> Result<Answer> {
    cluster.send(headers, &serde_json::to_vec(&body)?).await
}

/// Returns the requested ref of the object.
async fn requested(cluster: &TestCluster) -> Result<Option<String>> {
    let object = cluster.object().await?;
    Ok(object.requested_ref().map(str::to_owned))
}

/// Sends deliveries that request nothing, and checks the status of each answer.
async fn assert_ignored(cluster: &TestCluster, deliveries: &[Delivery<'_>]) -> Result<()> {
    for delivery in deliveries {
        let answer = deliver(cluster, delivery.clone()).await?;
        assert_eq!(answer.status, 200, "{delivery:?} {:?}", answer.body);
        assert!(answer.body["ignored"].is_string(), "{delivery:?}");
    }
    assert_eq!(requested(cluster).await?, None);
    Ok(())
}

/// Sends deliveries that each request a ref.
async fn assert_requested(
    cluster: &TestCluster,
    deliveries: &[(Delivery<'_>, &str)],
) -> Result<()> {
    for (delivery, git_ref) in deliveries {
        let answer = deliver(cluster, delivery.clone()).await?;
        assert_eq!(answer.status, 202, "{delivery:?} {:?}", answer.body);
        assert_eq!(requested(cluster).await?.as_deref(), Some(*git_ref));
    }
    Ok(())
}

#[test]
fn every_fault_has_a_test() {
    let sources = [
        include_str!("go_operator/deployment.rs"),
        include_str!("go_operator/meaning.rs"),
        include_str!("go_operator/requests.rs"),
        include_str!("go_operator/state.rs"),
    ];
    let names = sources
        .iter()
        .flat_map(|text| text.split("fn fault_").skip(1));
    let numbers = names.filter_map(|name| name.get(..2)?.parse::<u32>().ok());
    let numbers: std::collections::BTreeSet<_> = numbers.collect();
    assert_eq!(numbers, (1..=27).collect());
}
