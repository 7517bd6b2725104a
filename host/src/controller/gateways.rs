//! Beside the first step: the gateways of an object, which are the running pods that name it, and what their agents report.
//! It only reads.
//!
//! The names and the rules are those of the Go operator. An agent reports its state in the ConfigMap `stoker-status-NAME`
//! of the object, under the name of its pod or of its gateway.

mod conditions;
mod pods;
mod report;
mod skew;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::Api;
use stoker_api::detection::ObjectKey;
use stoker_api::{DiscoveredGateway, GatewayState};
use stoker_api::{messages, names};

use super::Context;
use super::error::{ControllerError, within};

pub(super) use pods::{AgentContainer, GatewayPod, PodFields, PodIndex};
use report::{Report, ReportError, shortened};
pub(super) use skew::Skew;

/// The largest number of gateways in a status. More gateways are counted, and not listed. Those with a problem come first.
const LISTED: usize = 256;
/// The largest number of projects of all gateways together in a status, so that the object stays smaller than the API
/// server's limit of 1.5 MiB.
const LISTED_PROJECTS: usize = 1024;
/// The delay until a failed read or binding is tried again.
const RETRY: Duration = Duration::from_mins(1);

/// A running gateway of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gateway {
    /// The gateway as the status shows it.
    pub(super) shown: DiscoveredGateway,
    /// The profile that its pod names, by which it is looked up. The status shows the beginning of a long name.
    profile: Option<String>,
    /// Whether another gateway of the object has its name.
    shares_name: bool,
    /// The agent in its pod.
    pub(super) agent: AgentContainer,
    /// Whether its agent has reported a state, or the reason why the report is unreadable.
    pub(super) report: Result<bool, ReportError>,
}

/// The gateways of an object, sorted by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Gateways(Vec<Gateway>);

/// What a pass found out about the gateways, and whether it could do what their agents need.
#[derive(Debug)]
pub(super) struct Fleet {
    /// The gateways, or `None` if they are unknown. The status then keeps the gateways of the last pass.
    pub(super) gateways: Option<Gateways>,
    /// Whether the reports could be read.
    reports: Result<(), ControllerError>,
    /// Whether the agents are bound to their role.
    pub(super) binding: Result<(), ControllerError>,
}

impl Fleet {
    /// Returns a fleet of which nothing failed.
    pub(super) fn new(gateways: Option<Gateways>) -> Self {
        Self {
            gateways,
            reports: Ok(()),
            binding: Ok(()),
        }
    }

    /// Adds whether the agents are bound to their role.
    pub(super) fn bound(self, binding: Result<(), ControllerError>) -> Self {
        Self { binding, ..self }
    }

    /// Returns the delay after which the gateways must be checked again, even if nothing changes.
    pub(super) fn next_check(&self, skew: &Skew) -> Option<Duration> {
        let retry = (self.reports.is_err() || self.binding.is_err()).then_some(RETRY);
        [retry, skew.due].into_iter().flatten().min()
    }
}

/// Discovers the gateways of an object.
///
/// A failure does not end the pass: the ref does not depend on the gateways. Nothing is taken away from the gateways
/// while the pods or the reports are unknown.
pub(super) async fn observe<G>(context: &Context<G>, key: &ObjectKey) -> Fleet {
    let Some(pods) = context.pods.of(key).await else {
        return Fleet::new(None);
    };
    match reports(&context.client, key, &pods).await {
        Ok(reports) => Fleet::new(Some(Gateways::discover(key, &pods, &reports))),
        Err(error) => {
            tracing::warn!(
                sync.namespace = key.namespace(),
                sync.name = key.name(),
                reason = error.reason(),
                error = %stoker_report::chain(&error),
                "the reports of the agents could not be read"
            );
            Fleet {
                reports: Err(error),
                ..Fleet::new(None)
            }
        }
    }
}

/// Reads the reports of the agents. Without a running pod, there is nothing to read.
async fn reports(
    client: &Client,
    key: &ObjectKey,
    pods: &[GatewayPod],
) -> Result<BTreeMap<String, String>, ControllerError> {
    if !pods.iter().any(|pod| pod.is_running) {
        return Ok(BTreeMap::new());
    }
    let name = names::reports_map(key.name());
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let found = within("read the reports of the agents", config_maps.get_opt(&name)).await?;
    Ok(found.and_then(|map| map.data).unwrap_or_default())
}

impl Gateways {
    /// Returns the gateways of the running pods, with what their agents report. Pure.
    pub(super) fn discover(
        key: &ObjectKey,
        pods: &[GatewayPod],
        reports: &BTreeMap<String, String>,
    ) -> Self {
        let running = pods.iter().filter(|pod| pod.is_running);
        let mut gateways: Vec<_> = running
            .map(|pod| {
                let entry = [&pod.pod_name, &pod.gateway_name]
                    .into_iter()
                    .find_map(|name| reports.get(name))
                    .filter(|entry| !entry.is_empty());
                Gateway::new(key, pod, entry.map(String::as_str))
            })
            .collect();
        let name = |gateway: &Gateway| {
            let DiscoveredGateway { name, pod_name, .. } = &gateway.shown;
            (name.clone(), pod_name.clone())
        };
        gateways.sort_by_key(name);
        for (before, at) in (1..gateways.len()).enumerate() {
            if gateways[before].shown.name == gateways[at].shown.name {
                gateways[before].shares_name = true;
                gateways[at].shares_name = true;
            }
        }
        Self(gateways)
    }

    /// Returns the gateways as the status shows them beside a commit: sorted by name, and without the least important ones
    /// if there are too many.
    pub(super) fn shown(&self, commit: Option<&str>) -> Vec<DiscoveredGateway> {
        let mut listed: Vec<_> = self.0.iter().enumerate().collect();
        listed.sort_by_key(|(place, gateway)| (gateway.rank(commit), *place));
        listed.truncate(LISTED);
        listed.sort_by_key(|(place, _)| *place);
        let mut projects = LISTED_PROJECTS;
        let bounded = listed.into_iter().map(|(_, gateway)| {
            let mut shown = gateway.shown.clone();
            shown.projects_synced.truncate(projects);
            projects -= shown.projects_synced.len();
            shown
        });
        bounded.collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Gateway> {
        self.0.iter()
    }

    /// The number of all gateways.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The number of gateways in a state.
    pub(super) fn count_in(&self, state: GatewayState) -> usize {
        let is_in = |gateway: &&Gateway| gateway.shown.sync_status == Some(state);
        self.0.iter().filter(is_in).count()
    }
}

impl Gateway {
    /// Returns the gateway of a pod. The report of an agent that the pod no longer has is not used.
    fn new(key: &ObjectKey, pod: &GatewayPod, entry: Option<&str>) -> Self {
        let is_missing = pod.agent == AgentContainer::Missing;
        let mut shown = DiscoveredGateway {
            // Everybody who can create a pod chooses these names, and an annotation can have 256 KiB.
            name: shortened(&pod.gateway_name),
            namespace: key.namespace().to_owned(),
            pod_name: pod.pod_name.clone(),
            service_account_name: Some(pod.service_account.clone()),
            profile: pod.profile.as_deref().map(shortened),
            sync_status: Some(if is_missing {
                GatewayState::MissingSidecar
            } else {
                GatewayState::Pending
            }),
            ..DiscoveredGateway::default()
        };
        let report = match entry.filter(|_| !is_missing).map(Report::parse) {
            Some(Ok(report)) => {
                report.apply(&mut shown);
                Ok(true)
            }
            Some(Err(error)) => {
                shown.message = Some(messages::unreadable_report(&error.to_string()));
                Err(error)
            }
            None => Ok(false),
        };
        Self {
            shown,
            profile: pod.profile.clone(),
            shares_name: false,
            agent: pod.agent.clone(),
            report,
        }
    }

    /// Returns the gateway as a message lists it, with the reason why.
    fn listed(&self, why: &str) -> String {
        let DiscoveredGateway { name, pod_name, .. } = &self.shown;
        if self.shares_name {
            messages::gateway_and_why(name, &format!("pod {pod_name}: {why}"))
        } else {
            messages::gateway_and_why(name, why)
        }
    }

    /// Returns the place among the gateways of an object by importance, the lowest first.
    ///
    /// Gateways that are synced at another commit go before all that need no action: who reads the status counts them by
    /// the list ([`GatewaySyncStatus::gateways_at_commit`](stoker_api::GatewaySyncStatus::gateways_at_commit)).
    fn rank(&self, commit: Option<&str>) -> u8 {
        let has_commit = commit.is_none_or(|commit| self.shown.has_commit(commit));
        match self.shown.sync_status {
            Some(GatewayState::MissingSidecar) => 0,
            // The next pass sees in the status that the event was sent.
            _ if self.report.is_err() => 1,
            Some(GatewayState::Error) => 1,
            Some(GatewayState::Synced) if !has_commit => 2,
            None | Some(GatewayState::Pending) => 3,
            Some(GatewayState::Synced) => 4,
        }
    }
}

#[cfg(test)]
mod tests;
