//! The pods of gateways, by the object that they name. A pod names its object in an annotation, so no selector of the
//! API server finds it: all pods are watched, and a few fields of those that name an object are kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::Deserialize;
use stoker_api::detection::ObjectKey;
use stoker_api::names::{AGENT_CONTAINER, DEFAULT_ACCOUNT, label, pod_annotation};
use tokio::sync::watch;

/// The longest wait of a pass for the first list of the pods.
const PATIENCE: Duration = Duration::from_secs(2);
/// The phase of a pod whose containers run.
const RUNNING: &str = "Running";

/// The fields of a pod that are read from the API server.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = Pod)]
pub(in crate::controller) struct PodFields {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SpecFields,
    #[serde(default)]
    status: StatusFields,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecFields {
    service_account_name: Option<String>,
    init_containers: Vec<Container>,
    containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StatusFields {
    phase: Option<String>,
    init_container_statuses: Vec<ContainerState>,
    container_statuses: Vec<ContainerState>,
}

#[derive(Debug, Clone, Deserialize)]
struct Container {
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerState {
    name: String,
    #[serde(default)]
    ready: bool,
    #[serde(default)]
    restart_count: i32,
    #[serde(default)]
    state: Phase,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Phase {
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Deserialize)]
struct Waiting {
    #[serde(default)]
    reason: String,
}

/// The agent in a pod, as its containers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controller) enum AgentContainer {
    /// The pod has no container with the agent's name, and did not ask for one.
    Unknown,
    /// The pod asks for the agent, and has no init container with its name.
    Missing,
    /// The container exists, and it is not ready.
    NotReady,
    /// The container is not ready, and waits for this reason.
    Waiting(String),
    /// The container is ready.
    Ready,
}

/// A pod that names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controller) struct GatewayPod {
    /// The name of the pod.
    pub(in crate::controller) pod_name: String,
    /// The name of the gateway: that of the annotation, of the label `app.kubernetes.io/name`, or of the pod.
    pub(in crate::controller) gateway_name: String,
    /// The profile that the pod names.
    pub(in crate::controller) profile: Option<String>,
    /// The service account that the pod runs as.
    pub(in crate::controller) service_account: String,
    /// Whether the pod has the phase Running.
    pub(in crate::controller) is_running: bool,
    /// The agent in the pod.
    pub(in crate::controller) agent: AgentContainer,
    /// The version of the pod. Every event of a pod has another version, and so wakes the object, which reads the reports
    /// again. A ConfigMap with reports but without the label of the object is not watched, because that requires a watch
    /// of all ConfigMaps of the cluster. Pods change rarely, and a pass in which nothing has changed writes nothing.
    pub(in crate::controller) version: Option<String>,
}

impl PodFields {
    /// Returns the pod and the object that it names, or `None` if it names no object.
    fn into_gateway_pod(self) -> Option<(ObjectKey, GatewayPod)> {
        let Self {
            metadata,
            spec,
            status,
        } = self;
        let agent = agent(&metadata, &spec, &status);
        let filled = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
        let annotation = |name| filled(metadata.annotations.as_ref()?.get(name));
        let key = ObjectKey::new(
            metadata.namespace.as_deref()?,
            &annotation(pod_annotation::CR_NAME)?,
        );
        let pod_name = metadata.name.clone()?;
        let named = || filled(metadata.labels.as_ref()?.get(label::NAME));
        let pod = GatewayPod {
            gateway_name: annotation(pod_annotation::GATEWAY_NAME)
                .or_else(named)
                .unwrap_or_else(|| pod_name.clone()),
            profile: annotation(pod_annotation::PROFILE),
            service_account: filled(spec.service_account_name.as_ref())
                .unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned()),
            is_running: status.phase.as_deref() == Some(RUNNING),
            agent,
            version: metadata.resource_version.clone(),
            pod_name,
        };
        Some((key.ok()?, pod))
    }
}

fn agent(metadata: &ObjectMeta, spec: &SpecFields, status: &StatusFields) -> AgentContainer {
    let is_wanted = metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(pod_annotation::INJECT))
        .is_some_and(|value| value == "true");
    let has = |containers: &[Container]| containers.iter().any(|one| one.name == AGENT_CONTAINER);
    let containers = if has(&spec.init_containers) {
        &status.init_container_statuses
    } else if is_wanted {
        return AgentContainer::Missing;
    } else if has(&spec.containers) {
        &status.container_statuses
    } else {
        return AgentContainer::Unknown;
    };
    let found = containers
        .iter()
        .find(|state| state.name == AGENT_CONTAINER);
    let Some(state) = found else {
        return AgentContainer::NotReady;
    };
    match &state.state.waiting {
        _ if state.ready => AgentContainer::Ready,
        Some(Waiting { reason }) if !reason.is_empty() => {
            let count = state.restart_count;
            let restarts = if count > 0 {
                format!(", {count} restart(s)")
            } else {
                String::new()
            };
            AgentContainer::Waiting(format!("{reason}{restarts}"))
        }
        _ => AgentContainer::NotReady,
    }
}

/// The pods by their object and their name.
type Pods = HashMap<ObjectKey, BTreeMap<String, GatewayPod>>;

/// The pods that name an object. The watch of the pods keeps it current.
pub(in crate::controller) struct PodIndex {
    state: Mutex<State>,
    is_listed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    pods: Pods,
    /// The object of each pod, by namespace and name. A pod can name another object later.
    objects: HashMap<(String, String), ObjectKey>,
    /// The part of a new list that has arrived.
    listing: Vec<(ObjectKey, GatewayPod)>,
    /// The objects whose passes did not wait for the first list.
    unserved: HashSet<ObjectKey>,
}

impl PodIndex {
    pub(in crate::controller) fn new() -> Self {
        Self {
            state: Mutex::default(),
            is_listed: watch::Sender::new(false),
        }
    }

    /// Returns the pods that name an object, sorted by their names. `None` if the API server has not listed the pods
    /// yet; the next [`Self::apply`] that completes the list then returns the object.
    pub(in crate::controller) async fn of(&self, key: &ObjectKey) -> Option<Vec<GatewayPod>> {
        let mut is_listed = self.is_listed.subscribe();
        let listed = is_listed.wait_for(|is_listed| *is_listed);
        // The sender exists as long as this index, so an error is a timeout.
        let in_time = tokio::time::timeout(PATIENCE, listed).await.is_ok();
        let mut state = self.state();
        if !in_time && !*self.is_listed.borrow() {
            state.unserved.insert(key.clone());
            return None;
        }
        let pods = state.pods.get(key).into_iter().flat_map(BTreeMap::values);
        Some(pods.cloned().collect())
    }

    /// Applies an event of the watch, and returns the objects whose pods changed in any way.
    pub(in crate::controller) fn apply(&self, event: Event<PodFields>) -> Vec<ObjectKey> {
        let mut state = self.state();
        match event {
            Event::Init => state.listing.clear(),
            Event::InitApply(pod) => state.listing.extend(pod.into_gateway_pod()),
            Event::InitDone => {
                let changed = state.complete_list(!*self.is_listed.borrow());
                // A pass that waits reads the list after the lock is released.
                self.is_listed.send_replace(true);
                return changed;
            }
            Event::Apply(pod) => {
                let Some(place) = place(pod.meta()) else {
                    return Vec::new();
                };
                return state.replace(place, pod.into_gateway_pod());
            }
            Event::Delete(pod) => {
                if let Some(place) = place(pod.meta()) {
                    return state.replace(place, None);
                }
            }
        }
        Vec::new()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Replaces all pods by the new list, and returns the objects whose pods changed. After the first list, these are
    /// the objects whose passes did not wait for it.
    fn complete_list(&mut self, is_first: bool) -> Vec<ObjectKey> {
        let mut pods = Pods::new();
        self.objects.clear();
        for (key, pod) in std::mem::take(&mut self.listing) {
            let place = (key.namespace().to_owned(), pod.pod_name.clone());
            self.objects.insert(place, key.clone());
            pods.entry(key)
                .or_default()
                .insert(pod.pod_name.clone(), pod);
        }
        let before = std::mem::replace(&mut self.pods, pods);
        let keys: HashSet<_> = before.keys().chain(self.pods.keys()).collect();
        let mut changed: HashSet<_> = keys
            .into_iter()
            .filter(|key| !is_first && before.get(key) != self.pods.get(key))
            .cloned()
            .collect();
        changed.extend(self.unserved.drain());
        changed.into_iter().collect()
    }

    /// Replaces one pod, and returns the objects that it named before and that it names now, if anything changed.
    fn replace(
        &mut self,
        place: (String, String),
        pod: Option<(ObjectKey, GatewayPod)>,
    ) -> Vec<ObjectKey> {
        let mut changed = Vec::new();
        let named = pod.as_ref().map(|(key, _)| key.clone());
        if let Some(before) = self
            .objects
            .get(&place)
            .filter(|key| Some(*key) != named.as_ref())
        {
            let before = before.clone();
            if let Some(pods) = self.pods.get_mut(&before) {
                pods.remove(&place.1);
                if pods.is_empty() {
                    self.pods.remove(&before);
                }
            }
            self.objects.remove(&place);
            changed.push(before);
        }
        if let Some((key, pod)) = pod {
            let pods = self.pods.entry(key.clone()).or_default();
            if pods.get(&pod.pod_name) != Some(&pod) {
                pods.insert(pod.pod_name.clone(), pod);
                changed.push(key.clone());
            }
            self.objects.insert(place, key);
        }
        changed
    }
}

/// The namespace and the name of a pod.
fn place(metadata: &ObjectMeta) -> Option<(String, String)> {
    Some((metadata.namespace.clone()?, metadata.name.clone()?))
}

#[cfg(test)]
mod tests;
