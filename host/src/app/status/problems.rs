//! The problems of an object, and what to do about them. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;
use stoker_api::messages;
use stoker_api::names::{AGENT_CONTAINER, condition, pod_annotation, reason};
use stoker_api::{DiscoveredGateway, GatewayState, GatewaySync, GatewaySyncStatus};

use super::super::unhandled::Unhandled;
use super::cause::Cause;

/// The time within which a controller handles an object, in seconds.
const PATIENCE: i64 = 60;

/// The remedy where the API server does not store the commit.
const NOT_WRITTEN: &str = "correct what the message names, such as a right of Stoker, a quota, the size of the profiles, \
                           or a ConfigMap that is immutable; the log of Stoker has each failure";

/// A problem of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) remedy: String,
    /// Whether nothing is synced until it is solved.
    pub(super) is_blocking: bool,
}

/// An object whose problems are searched.
struct Searched<'a> {
    status: &'a GatewaySyncStatus,
    namespace: String,
    name: String,
    /// The names of the profiles.
    profiles: Vec<&'a str>,
}

/// Returns the problems of an object, the most important first.
pub(super) fn of(object: &GatewaySync, status: &GatewaySyncStatus, now: Timestamp) -> Vec<Problem> {
    let searched = Searched {
        status,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        profiles: object
            .spec
            .sync
            .profiles
            .keys()
            .map(String::as_str)
            .collect(),
    };
    if object.spec.is_paused() {
        return Vec::new();
    }
    [
        unhandled(object, status, now),
        searched.unpublished(),
        searched.unresolved(),
        searched.invalid_profiles(),
        searched.unbound(),
        searched.missing_agents(),
        searched.skewed(),
        searched.agents_not_ready(),
        searched.without_pods(),
        searched.invalid_interval(),
        searched.unverified_host_keys(),
    ]
    .into_iter()
    .flatten()
    .chain(searched.failed_gateways())
    .chain(searched.unconfirmed_gateways(now))
    .collect()
}

fn problem(is_blocking: bool, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem {
        message: message.into(),
        remedy: remedy.into(),
        is_blocking,
    }
}

/// The problem that no controller handles the object.
fn unhandled(object: &GatewaySync, status: &GatewaySyncStatus, now: Timestamp) -> Option<Problem> {
    let requested = object
        .requested_at()
        .and_then(|at| at.parse::<Timestamp>().ok());
    let (since, what) = if object.has_unhandled_request() {
        (requested?, "its last request")
    } else if status.conditions.is_empty() {
        (object.creation_timestamp()?.0, "this object")
    } else {
        return None;
    };
    let message = format!("the controller has not handled {what}");
    (now.as_second() - since.as_second() > PATIENCE)
        .then(|| problem(true, message, Unhandled::of(object).remedy()))
}

impl Searched<'_> {
    /// Returns the message and the reason of a condition that is in a state.
    fn found(&self, type_: &str, state: &str) -> Option<(&str, &str)> {
        let found = self.status.condition(type_)?;
        (found.status == state).then_some((&found.message, &found.reason))
    }

    fn edit(&self, what: &str) -> String {
        let Self {
            namespace, name, ..
        } = self;
        format!("{what}: kubectl edit gatewaysync -n {namespace} {name}")
    }

    fn logs(&self, pod: &str) -> String {
        let Self { namespace, .. } = self;
        format!("read the log of the agent: kubectl logs -n {namespace} {pod} -c {AGENT_CONTAINER}")
    }

    fn gateways(&self, state: GatewayState) -> impl Iterator<Item = &DiscoveredGateway> {
        let gateways = self.status.discovered_gateways.iter();
        gateways.filter(move |one| one.sync_status == Some(state))
    }

    /// The remedy for a Secret that Stoker may not read. Without `rbac.secretNamespaces`, it may read all Secrets unless
    /// somebody wrote the rights by hand.
    fn permit(&self) -> String {
        let Self { namespace, .. } = self;
        format!(
            "add the namespace {namespace} to rbac.secretNamespaces in the Helm values, or, if that is empty, give Stoker \
             the right to read the Secret"
        )
    }

    /// The problems that only the condition Ready reports: a Secret that is missing or may not be read, and a commit that
    /// is not published.
    fn unpublished(&self) -> Option<Problem> {
        let (message, _) = self.found(condition::READY, "False")?;
        if messages::is_about_unreadable_secret(message) {
            return Some(problem(true, message, self.permit()));
        }
        if messages::is_about_secret(message) {
            let namespace = &self.namespace;
            let remedy = format!(
                "create the Secret in the namespace {namespace}, or correct its name in the spec"
            );
            return Some(problem(true, message, remedy));
        }
        let remedy = match messages::taken_kind(message) {
            Some(kind) => {
                format!("delete the {kind}, or create the GatewaySync under another name")
            }
            None => NOT_WRITTEN.to_owned(),
        };
        messages::is_not_published(message).then(|| problem(true, message, remedy))
    }

    fn unresolved(&self) -> Option<Problem> {
        let (message, why) = self.found(condition::REF_RESOLVED, "False")?;
        // Nothing is looked up without the Secret, which is a problem of its own.
        let ready = self.found(condition::READY, "False");
        if ready
            .is_some_and(|(ready, _)| messages::is_about_secret(ready) && !message.ends_with(ready))
        {
            return None;
        }
        let Self {
            namespace, name, ..
        } = self;
        let remedy = if messages::is_about_unreadable_secret(message) {
            self.permit()
        } else if why != reason::REF_RESOLUTION_FAILED {
            self.edit("correct spec.git.auth, or its Secret")
        } else if let Some(remedy) = Cause::of(message).remedy() {
            self.edit(remedy)
        } else {
            format!(
                "push the ref, correct spec.git, or request another ref: stoker sync {namespace}/{name} --ref REF"
            )
        };
        Some(problem(true, message, remedy))
    }

    fn invalid_profiles(&self) -> Option<Problem> {
        let (message, _) = self.found(condition::PROFILES_VALID, "False")?;
        Some(problem(true, message, self.edit("correct spec.sync")))
    }

    fn unbound(&self) -> Option<Problem> {
        let (message, why) = self.found(condition::AGENT_READY, "False")?;
        let remedy = "set rbac.autoBindAgent.enabled in the Helm values, or disable it and bind the agents by hand";
        (why == reason::RBAC_ERROR).then(|| problem(false, message, remedy))
    }

    fn missing_agents(&self) -> Option<Problem> {
        let (message, _) = self.found(condition::SIDECAR_INJECTED, "False")?;
        let pods = self.gateways(GatewayState::MissingSidecar);
        let pods: Vec<_> = pods.map(|one| one.pod_name.as_str()).collect();
        let remedy = format!(
            "create the pods again, so that the agent is injected: kubectl delete pod -n {} {}",
            self.namespace,
            pods.join(" ")
        );
        Some(problem(false, message, remedy))
    }

    fn skewed(&self) -> Option<Problem> {
        let (message, _) = self.found(condition::REF_SKEW, "True")?;
        let commit = self.status.last_sync_commit.as_deref().unwrap_or_default();
        let gateways = &mut self.status.discovered_gateways.iter();
        let first = gateways.find(|one| one.synced_commit.is_some() && !one.has_commit(commit));
        // The message names gateways that the status does not list.
        let pod = first.map_or("POD", |one| &one.pod_name);
        Some(problem(false, message, self.logs(pod)))
    }

    fn agents_not_ready(&self) -> Option<Problem> {
        let (message, why) = self.found(condition::AGENT_READY, "False")?;
        // A missing agent is a problem of its own.
        let is_other =
            why != reason::RBAC_ERROR && self.found(condition::SIDECAR_INJECTED, "False").is_none();
        let gateways = self.status.discovered_gateways.iter();
        // The message names some of the gateways, each followed by the reason.
        let named = gateways.filter(|one| messages::names_gateway(message, &one.name));
        let pods: Vec<_> = std::iter::once(self.namespace.as_str())
            .chain(named.map(|one| one.pod_name.as_str()))
            .collect();
        let remedy = format!(
            "look at the pods and their events: kubectl describe pod -n {}",
            pods.join(" ")
        );
        is_other.then(|| problem(false, message, remedy))
    }

    fn invalid_interval(&self) -> Option<Problem> {
        let (message, _) = self.found(condition::POLLING_INTERVAL_VALID, "False")?;
        Some(problem(
            false,
            message,
            self.edit("write a duration such as 60s or 5m"),
        ))
    }

    fn unverified_host_keys(&self) -> Option<Problem> {
        let (message, _) = self.found(condition::SSH_HOST_KEY_VERIFICATION, "False")?;
        let remedy =
            self.edit("add the host keys of the git server as spec.git.auth.sshKey.knownHosts");
        Some(problem(false, message, remedy))
    }

    fn failed_gateways(&self) -> impl Iterator<Item = Problem> {
        let gateways = self.status.discovered_gateways.iter();
        gateways.filter_map(|gateway| {
            let message = gateway.failure()?;
            let remedy = if messages::is_about_missing_profile(&message) {
                self.other_profile(&gateway.pod_name)
            } else {
                self.logs(&gateway.pod_name)
            };
            Some(problem(false, message, remedy))
        })
    }

    fn other_profile(&self, pod: &str) -> String {
        format!(
            "the object has the profiles {}: name one of them in the annotation {} of the pod {pod}, in its template, or add \
             the profile to spec.sync.profiles",
            self.profiles.join(", "),
            pod_annotation::PROFILE,
        )
    }

    /// The gateways that have the files and have not confirmed them.
    fn unconfirmed_gateways(&self, now: Timestamp) -> impl Iterator<Item = Problem> {
        self.gateways(GatewayState::Pending)
            .filter_map(move |gateway| {
                let since = gateway.last_sync_time.as_ref()?.0.as_second();
                if gateway.synced_commit.is_none() || now.as_second() - since <= PATIENCE {
                    return None;
                }
                let why = gateway.message.as_deref();
                let why = why.unwrap_or("it has not started yet, or the sync waits");
                let message = format!(
                    "gateway {} has not confirmed the files: {why}",
                    gateway.name
                );
                Some(problem(false, message, self.logs(&gateway.pod_name)))
            })
    }

    /// The problem that nothing follows the object.
    fn without_pods(&self) -> Option<Problem> {
        let found = self.status.condition(condition::ALL_GATEWAYS_SYNCED)?;
        let is_alone = messages::gateway_counts(&found.message) == Some((0, 0));
        let Self {
            namespace, name, ..
        } = self;
        let message = format!(
            "no running pod in the namespace {namespace} has the annotation {}: {name}",
            pod_annotation::CR_NAME
        );
        let remedy = "add the annotation to the template of the gateway's pod";
        is_alone.then(|| problem(false, message, remedy))
    }
}
