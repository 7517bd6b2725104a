//! What the webhook decides about a pod.

use serde_json::{Value, json};
use stoker_api::GatewaySync;
use stoker_api::names::{AGENT_CONTAINER, DEFAULT_PROFILE, pod_annotation, pod_label};
use stoker_report::escape;

use super::container::Sidecar;
use super::pod::{Container, Pod};

/// The value of an annotation or label that is on.
const ON: &str = "true";

/// The maximum length of the names of profiles in a warning.
const MAX_NAMES_BYTES: usize = 80;

/// The settings of the injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The image of agents whose object names none.
    pub agent_image: String,
}

/// What happens to a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The pod is created as it was sent.
    Unchanged(Unchanged),
    /// The pod gets the agent.
    Injected(Injection),
    /// The pod is not created.
    Denied(Denial),
}

impl From<Result<Injection, Denial>> for Decision {
    fn from(injected: Result<Injection, Denial>) -> Self {
        injected.map_or_else(Self::Denied, Self::Injected)
    }
}

/// The reason why a pod is created as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// The pod does not ask for the agent.
    #[error("injection not requested")]
    NotRequested,
    /// The pod has an agent.
    #[error("already injected")]
    AlreadyInjected,
}

/// The reason why a pod is not created. The texts are those of the Go operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The pod names no object, and its namespace has none.
    #[error("no GatewaySync CR found in namespace '{namespace}'")]
    NoObject {
        /// The namespace of the pod.
        namespace: String,
    },
    /// The pod names no object, and its namespace has several.
    #[error(
        "multiple GatewaySync CRs in namespace '{namespace}': [{}] — set annotation 'stoker.io/cr-name' explicitly",
        names.join(", ")
    )]
    SeveralObjects {
        /// The namespace of the pod.
        namespace: String,
        /// The names of the objects, in alphabetical order.
        names: Vec<String>,
    },
    /// The object that the pod names does not exist.
    #[error("GatewaySync '{name}' not found in namespace '{namespace}'")]
    ObjectMissing {
        /// The name of the object.
        name: String,
        /// The namespace of the pod.
        namespace: String,
    },
    /// The profile that the pod names does not exist.
    #[error("profile '{profile}' not found in GatewaySync '{object}'")]
    ProfileMissing {
        /// The name of the profile.
        profile: String,
        /// The name of the object.
        object: String,
    },
}

/// The change of a pod that gets the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// The operations of a JSON patch (RFC 6902) for the pod.
    pub patch: Vec<Value>,
    /// What the creator of the pod should know.
    pub warnings: Vec<String>,
}

/// The object that a pod follows, in the namespace of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// The object with this name.
    Named(&'a str),
    /// The only object of the namespace.
    Only,
}

/// Returns the object that a pod follows, or why the pod gets no agent.
pub(super) fn wanted(pod: &Pod) -> Result<Wanted<'_>, Unchanged> {
    if pod.annotation(pod_annotation::INJECT) != Some(ON) {
        return Err(Unchanged::NotRequested);
    }
    let is_agent = |container: &Container| container.name == AGENT_CONTAINER;
    let containers = pod.init_containers().unwrap_or_default();
    if containers.iter().any(is_agent) {
        return Err(Unchanged::AlreadyInjected);
    }
    let named = pod.annotation(pod_annotation::CR_NAME);
    Ok(named.map_or(Wanted::Only, Wanted::Named))
}

/// Returns the change of a pod that [`wanted`] an agent, by the object that it follows.
///
/// A paused object does not keep a pod from starting: the agent reads the pause from its ConfigMap.
pub(super) fn inject(
    pod: &Pod,
    object: &GatewaySync,
    settings: &Settings,
) -> Result<Injection, Denial> {
    let name = object.metadata.name.clone().unwrap_or_default();
    if let Some(profile) = pod.annotation(pod_annotation::PROFILE)
        && !object.spec.sync.profiles.contains_key(profile)
    {
        return Err(Denial::ProfileMissing {
            profile: profile.to_owned(),
            object: name,
        });
    }
    let sidecar = Sidecar::new(pod, object, settings);
    let mut patch = metadata(pod, &name);
    insert_first(
        &mut patch,
        "/spec/initContainers",
        pod.init_containers().is_some(),
        &sidecar.container(),
    );
    append(
        &mut patch,
        "/spec/volumes",
        pod.has_volumes(),
        sidecar.volumes(),
    );
    Ok(Injection {
        patch,
        warnings: warnings(pod, &name, object, &sidecar),
    })
}

/// Returns what the creator of the pod should know. The API server may cut a warning after 256 characters.
fn warnings(pod: &Pod, name: &str, object: &GatewaySync, sidecar: &Sidecar<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(missing_profile(pod, name, object));
    if !sidecar.has_data() {
        warnings.push(
            "the pod has no volume 'ignition-data' or 'data', so the stoker-agent cannot write the files of the gateway"
                .to_owned(),
        );
    }
    if object.spec.is_paused() {
        warnings.push(format!(
            "GatewaySync '{name}' is paused, so the stoker-agent starts the gateway with the files that are there"
        ));
        // The webhook does not know which agent an image contains.
        warnings.push(
            "a stoker-agent of the Go operator does not observe the pause when it starts: it deploys the commit of the ref"
                .to_owned(),
        );
    }
    warnings
}

/// Returns the warning about a pod that names no profile, if the object has no profile for it. It may get one later.
fn missing_profile(pod: &Pod, name: &str, object: &GatewaySync) -> Option<String> {
    let profiles = &object.spec.sync.profiles;
    if pod.annotation(pod_annotation::PROFILE).is_some() || profiles.contains_key(DEFAULT_PROFILE) {
        return None;
    }
    let mut names = String::new();
    for profile in profiles.keys() {
        if names.len() + profile.len() > MAX_NAMES_BYTES {
            names.push_str(", …");
            break;
        }
        let comma = if names.is_empty() { "" } else { ", " };
        names.push_str(comma);
        names.push_str(&escape(profile));
    }
    Some(format!(
        "the pod has no annotation 'stoker.io/profile', and GatewaySync '{name}' has no profile 'default', but [{names}]"
    ))
}

/// Returns the operations that mark the pod. It has annotations, because one of them asked for the agent.
fn metadata(pod: &Pod, object: &str) -> Vec<Value> {
    let mut patch = Vec::new();
    let mut set = |directory: &str, name: &str, value: &str| {
        let pointer = format!("/metadata/{directory}/{}", name.replace('/', "~1"));
        patch.push(json!({ "op": "add", "path": pointer, "value": value }));
    };
    if pod.annotation(pod_annotation::CR_NAME).is_none() {
        set("annotations", pod_annotation::CR_NAME, object);
    }
    set("annotations", pod_annotation::INJECTED, ON);
    if pod.has_labels() {
        set("labels", pod_label::AGENT, ON);
    } else {
        let labels = json!({ pod_label::AGENT: ON });
        patch.push(json!({ "op": "add", "path": "/metadata/labels", "value": labels }));
    }
    patch
}

/// Adds an operation that puts an item before all others of a list.
fn insert_first(patch: &mut Vec<Value>, list: &str, exists: bool, item: &Value) {
    patch.push(if exists {
        json!({ "op": "add", "path": format!("{list}/0"), "value": item })
    } else {
        json!({ "op": "add", "path": list, "value": [item] })
    });
}

/// Adds operations that put items after all others of a list.
fn append(patch: &mut Vec<Value>, list: &str, exists: bool, items: Vec<Value>) {
    if !exists {
        patch.push(json!({ "op": "add", "path": list, "value": items }));
        return;
    }
    let end = format!("{list}/-");
    for item in items {
        patch.push(json!({ "op": "add", "path": end, "value": item }));
    }
}

#[cfg(test)]
mod tests;
