//! Writes the reports of the agent. Each write is a merge patch of the agent's own key, so that the agents of one object
//! do not contend.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Error};
use serde_json::json;
use stoker_api::names::{self, label};
use stoker_process::retry_delay;
use tokio::sync::watch;

use super::{Cluster, ClusterError, FIELD_MANAGER, within};
use crate::report::Report;

/// The waits after failed writes: they double up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// The time limit of a write.
const WRITE_TIME: Duration = Duration::from_secs(15);
/// The time limit to read the report of an earlier agent. The agent does not sync before.
const READ_TIME: Duration = Duration::from_secs(5);

/// The task that writes the latest report.
pub(crate) struct Reports {
    cluster: Cluster,
    /// The key of the agent's entry.
    name: String,
}

impl Reports {
    pub(crate) fn new(cluster: Cluster, name: String) -> Self {
        Self { cluster, name }
    }

    /// Writes each new report until the sender is dropped, and then the last one. A write that fails is tried again,
    /// with the report that is the latest then.
    pub(crate) async fn run(self, mut reports: watch::Receiver<Option<Report>>) {
        while reports.changed().await.is_ok() {
            for failures in 1.. {
                let report = reports.borrow_and_update().clone();
                match within(WRITE_TIME, self.write(report.as_ref())).await {
                    Ok(()) => break,
                    Err(error) => tracing::warn!(
                        error = %stoker_report::chain(&error),
                        "the report of the agent is not written"
                    ),
                }
                tokio::time::sleep(retry_delay(FIRST_RETRY, LONGEST_RETRY, failures)).await;
            }
        }
    }

    async fn write(&self, report: Option<&Report>) -> Result<(), Error> {
        let Some(report) = report else {
            return Ok(());
        };
        let entry = report.to_json().map_err(Error::SerdeError)?;
        let data = BTreeMap::from([(self.name.clone(), entry)]);
        match self.patch(&data).await {
            Err(Error::Api(status)) if status.is_not_found() => {}
            outcome => return outcome,
        }
        match self.create(&data).await {
            Err(Error::Api(status)) if status.is_already_exists() => self.patch(&data).await,
            outcome => outcome,
        }
    }

    async fn patch(&self, data: &BTreeMap<String, String>) -> Result<(), Error> {
        let patch = Patch::Merge(json!({"data": data}));
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = names::reports_map(&self.cluster.object);
        maps(&self.cluster)
            .patch_metadata(&name, &params, &patch)
            .await
            .map(drop)
    }

    async fn create(&self, data: &BTreeMap<String, String>) -> Result<(), Error> {
        let object = &self.cluster.object;
        let labels = [(label::MANAGED_BY, label::AGENT), (label::CR_NAME, object)];
        let labels = labels
            .into_iter()
            .filter(|(_, value)| value.len() <= label::MAX_VALUE_BYTES);
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(names::reports_map(&self.cluster.object)),
                labels: Some(
                    labels
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .collect(),
                ),
                ..ObjectMeta::default()
            },
            data: Some(data.clone()),
            ..ConfigMap::default()
        };
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        maps(&self.cluster).create(&params, &map).await.map(drop)
    }
}

/// Reads the report that an earlier agent of this gateway has written last.
pub(crate) async fn last_report(cluster: &Cluster, name: &str) -> Result<Report, ClusterError> {
    let (maps, map) = (maps(cluster), names::reports_map(&cluster.object));
    let found = within(READ_TIME, maps.get_opt(&map)).await?;
    let data = found.and_then(|map| map.data).unwrap_or_default();
    Ok(data
        .get(name)
        .map(|text| Report::parse(text))
        .unwrap_or_default())
}

/// Returns the key of the agent's entry: the name of the gateway, or that of the pod if no key can have the gateway's
/// name.
pub(crate) fn entry_name<'a>(gateway: &'a str, pod: &'a str) -> &'a str {
    let is_key = |name: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        !name.is_empty() && name.len() <= 253 && name.chars().all(is_allowed)
    };
    if is_key(gateway) { gateway } else { pod }
}

fn maps(cluster: &Cluster) -> Api<ConfigMap> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_whose_name_no_key_can_have_reports_under_the_name_of_its_pod() {
        for (gateway, expected) in [
            ("blue", "blue"),
            ("A_b-1.x", "A_b-1.x"),
            ("line 1", "gw-0"),
            ("ä", "gw-0"),
            ("", "gw-0"),
        ] {
            assert_eq!(entry_name(gateway, "gw-0"), expected);
        }
    }
}
