//! The container of the agent and its volumes, as the Go operator injects them.
//!
//! The agents of both projects read these variables, files and ports.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stoker_api::names::{self, AGENT_CONTAINER, pod_annotation, variable};
use stoker_api::{AgentImage, GatewaySync};

use super::inject::Settings;
use super::pod::Pod;

/// The port of the agent's probes.
const PROBES_PORT: u16 = 8082;
/// The port of the agent's metrics.
const METRICS_PORT: u16 = 8083;
/// The file mode of mounted Secrets, 0444: the agent runs with the user of the pod, which is not known.
const READABLE: u16 = 0o444;
/// The names of the volume with the gateway's data, in the order of preference.
const DATA_VOLUMES: [&str; 2] = ["ignition-data", "data"];
/// The directory of the gateway's data if no container mounts it.
const DATA_PATH: &str = "/ignition-data";
/// The directory with the mounted Secrets.
const SECRETS: &str = "/etc/stoker";
/// The pull policy of images whose object sets none.
const PULL_POLICY: &str = "IfNotPresent";

/// An empty directory of the agent.
struct Scratch {
    volume: &'static str,
    path: &'static str,
}

/// The objects that were fetched.
const REPOSITORY: Scratch = Scratch {
    volume: "sync-repo",
    path: "/repo",
};
/// Temporary files. The root of the container is read-only.
const TEMPORARY: Scratch = Scratch {
    volume: "git-tmp",
    path: "/tmp",
};

/// A file of a Secret.
struct SecretFile {
    /// The environment variable with the path of the file.
    variable: &'static str,
    /// The volume, and the directory below [`SECRETS`].
    directory: &'static str,
    secret: String,
    key: String,
    /// Whether the pod starts without the Secret. The kubelet adds the file later.
    is_optional: bool,
}

/// The directory of the gateway's data.
struct Data {
    /// The name of the pod's volume, or `None` if there is none.
    volume: Option<String>,
    path: String,
}

/// The agent of one pod.
pub(super) struct Sidecar<'a> {
    pod: &'a Pod,
    object: &'a GatewaySync,
    settings: &'a Settings,
    taken: BTreeSet<&'a str>,
    data: Data,
    api_key: SecretFile,
    git: Vec<SecretFile>,
}

impl<'a> Sidecar<'a> {
    pub(super) fn new(pod: &'a Pod, object: &'a GatewaySync, settings: &'a Settings) -> Self {
        let api = &object.spec.gateway.api;
        Self {
            pod,
            object,
            settings,
            taken: pod.volumes().collect(),
            data: data(pod),
            api_key: SecretFile {
                variable: variable::API_KEY_FILE,
                directory: "api-key",
                secret: api.secret_name.clone(),
                key: api.secret_key.clone(),
                is_optional: false,
            },
            git: git_files(object),
        }
    }

    /// Returns whether the pod has a volume for the gateway's data.
    pub(super) fn has_data(&self) -> bool {
        self.data.volume.is_some()
    }

    /// Returns the init container. With `restartPolicy: Always` it keeps running, and the next container starts when
    /// its startup probe has succeeded.
    pub(super) fn container(&self) -> Value {
        let agent = self.object.spec.agent.as_ref();
        let image = agent.and_then(|agent| agent.image.as_ref());
        let resources = agent.and_then(|agent| agent.resources.clone());
        let probe = |path: &str, period: u32, failures: u32| {
            json!({
                "httpGet": { "path": path, "port": PROBES_PORT },
                "periodSeconds": period,
                "failureThreshold": failures,
            })
        };
        json!({
            "name": AGENT_CONTAINER,
            "image": image_reference(image, self.settings),
            "imagePullPolicy": pull_policy(image),
            "command": ["/agent"],
            "restartPolicy": "Always",
            "ports": [{ "name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP" }],
            "env": self.environment(),
            "resources": resources.unwrap_or_else(default_resources),
            "securityContext": {
                "runAsNonRoot": true,
                "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "startupProbe": probe("/startupz", 2, 150),
            "livenessProbe": probe("/healthz", 10, 3),
            "readinessProbe": probe("/readyz", 5, 3),
            "volumeMounts": self.mounts(),
        })
    }

    /// Returns the volumes that the pod gets.
    pub(super) fn volumes(&self) -> Vec<Value> {
        let scratch = [REPOSITORY, TEMPORARY]
            .map(|directory| json!({ "name": self.free_name(directory.volume), "emptyDir": {} }));
        let secrets = std::iter::once(&self.api_key).chain(&self.git);
        let secrets = secrets.map(|file| {
            let mut source = json!({ "secretName": file.secret, "defaultMode": READABLE });
            if file.is_optional {
                source["optional"] = true.into();
            }
            json!({ "name": self.free_name(file.directory), "secret": source })
        });
        scratch.into_iter().chain(secrets).collect()
    }

    fn environment(&self) -> Vec<Value> {
        let gateway = &self.object.spec.gateway;
        let object = self.object.metadata.name.as_deref().unwrap_or_default();
        let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
        let value = |name: &str, value: &str| {
            if value.is_empty() {
                // The API server stores an empty value as none.
                json!({ "name": name })
            } else {
                json!({ "name": name, "value": value })
            }
        };
        let of_pod = |name| self.pod.annotation(name).unwrap_or_default();
        let mut variables = vec![
            field(variable::POD_NAME, "metadata.name"),
            field(variable::POD_NAMESPACE, "metadata.namespace"),
            value(variable::CR_NAME, object),
            field(variable::CR_NAMESPACE, "metadata.namespace"),
            value(variable::GATEWAY_NAME, of_pod(pod_annotation::GATEWAY_NAME)),
            value(variable::PROFILE, of_pod(pod_annotation::PROFILE)),
            value(variable::REPO_PATH, REPOSITORY.path),
            value(variable::DATA_PATH, &self.data.path),
            value(variable::GATEWAY_PORT, &gateway.port.to_string()),
            value(
                variable::GATEWAY_TLS,
                if gateway.tls { "true" } else { "false" },
            ),
        ];
        for file in std::iter::once(&self.api_key).chain(&self.git) {
            let path = format!("{SECRETS}/{}/{}", file.directory, file.key);
            variables.push(value(file.variable, &path));
        }
        // The period of the profile takes precedence over this one.
        variables.push(value(variable::SYNC_PERIOD, "30"));
        variables
    }

    fn mounts(&self) -> Vec<Value> {
        let scratch = |scratch: Scratch| json!({ "name": self.free_name(scratch.volume), "mountPath": scratch.path });
        let secret = |file: &SecretFile| {
            let path = format!("{SECRETS}/{}", file.directory);
            json!({ "name": self.free_name(file.directory), "mountPath": path, "readOnly": true })
        };
        let mut mounts = vec![
            scratch(REPOSITORY),
            secret(&self.api_key),
            scratch(TEMPORARY),
        ];
        mounts.extend(self.git.iter().map(secret));
        if let Some(volume) = &self.data.volume {
            mounts.push(json!({ "name": volume, "mountPath": self.data.path }));
        }
        mounts
    }

    /// Returns a name that no volume of the pod has.
    fn free_name(&self, name: &str) -> String {
        let prefixed = || format!("{AGENT_CONTAINER}-{name}");
        let numbered = (2..).map(|number| format!("{AGENT_CONTAINER}-{name}-{number}"));
        std::iter::once(name.to_owned())
            .chain(std::iter::once_with(prefixed))
            .chain(numbered)
            .find(|name| !self.taken.contains(name.as_str()))
            .unwrap_or_default()
    }
}

/// Returns the files with the credentials for the repository. If there are several kinds, the ssh key takes precedence,
/// and then the token.
fn git_files(object: &GatewaySync) -> Vec<SecretFile> {
    let Some(auth) = &object.spec.git.auth else {
        return Vec::new();
    };
    let file = |variable, directory, secret: &str, key: &str| SecretFile {
        variable,
        directory,
        secret: secret.to_owned(),
        key: key.to_owned(),
        is_optional: false,
    };
    if let Some(ssh) = &auth.ssh_key {
        let key = &ssh.secret_ref;
        let mut files = vec![file(
            variable::GIT_SSH_KEY_FILE,
            "git-credentials",
            &key.name,
            &key.key,
        )];
        if let Some(hosts) = &ssh.known_hosts {
            let hosts = &hosts.secret_ref;
            files.push(file(
                variable::GIT_KNOWN_HOSTS_FILE,
                "known-hosts",
                &hosts.name,
                &hosts.key,
            ));
        }
        return files;
    }
    if let Some(token) = &auth.token {
        let token = &token.secret_ref;
        return vec![file(
            variable::GIT_TOKEN_FILE,
            "git-credentials",
            &token.name,
            &token.key,
        )];
    }
    if auth.github_app.is_some() {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        return vec![SecretFile {
            variable: variable::GIT_TOKEN_FILE,
            directory: "git-token",
            secret: names::token_secret(name),
            key: names::TOKEN_KEY.to_owned(),
            // The controller writes no token during a pause, and the agent reads none.
            is_optional: object.spec.is_paused(),
        }];
    }
    Vec::new()
}

/// Returns the directory of the gateway's data: the volume with one of the known names, at the path where the first
/// container mounts it.
fn data(pod: &Pod) -> Data {
    let has = |name: &&str| pod.volumes().any(|volume| volume == *name);
    let Some(volume) = DATA_VOLUMES.into_iter().find(has) else {
        return Data {
            volume: None,
            path: DATA_PATH.to_owned(),
        };
    };
    let mount = pod.mounts().find(|mount| mount.name == volume);
    Data {
        volume: Some(volume.to_owned()),
        path: mount.map_or_else(|| DATA_PATH.to_owned(), |mount| mount.mount_path.clone()),
    }
}

/// Returns the image of the object, or the default one. A tag without a repository has no effect.
fn image_reference(image: Option<&AgentImage>, settings: &Settings) -> String {
    let set = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    let Some(repository) = set(image.and_then(|image| image.repository.as_ref())) else {
        return settings.agent_image.clone();
    };
    match set(image.and_then(|image| image.tag.as_ref())) {
        Some(tag) => format!("{repository}:{tag}"),
        // A digest already chooses the image.
        None if repository.contains('@') => repository,
        None => format!("{repository}:latest"),
    }
}

fn pull_policy(image: Option<&AgentImage>) -> &str {
    let policy = image.and_then(|image| image.pull_policy.as_deref());
    policy
        .filter(|policy| !policy.is_empty())
        .unwrap_or(PULL_POLICY)
}

fn default_resources() -> Value {
    json!({
        "requests": { "cpu": "50m", "memory": "64Mi" },
        "limits": { "cpu": "200m", "memory": "256Mi" },
    })
}
