use serde_json::{Value, json};

use super::*;

const IMAGE: &str = "ghcr.io/knorrlabs/stoker-agent:0.9.0";

fn settings() -> Settings {
    Settings {
        agent_image: IMAGE.to_owned(),
    }
}

/// The pod before the injection.
fn pod() -> Value {
    json!({
        "metadata": {
            "annotations": { "stoker.io/inject": "true" },
            "labels": { "app": "gateway" },
        },
        "spec": {
            "initContainers": [{
                "name": "prepare", "image": "busybox:1.37",
                "volumeMounts": [{ "name": "data", "mountPath": "/restore" }],
            }],
            "containers": [{
                "name": "gateway", "image": "gateway:8.3",
                "volumeMounts": [{ "name": "data", "mountPath": "/usr/local/bin/ignition/data" }],
            }],
            "volumes": [{ "name": "data", "emptyDir": {} }],
        },
    })
}

fn object(auth: &Value) -> GatewaySync {
    object_of(json!({
        "git": { "repo": "https://git.example.com/plant.git", "ref": "main", "auth": auth },
        "gateway": { "api": { "secretName": "gw-key" } },
        "sync": { "profiles": {
            "default": { "mappings": [{ "source": "a", "destination": "b" }] },
            "edge": { "mappings": [{ "source": "a", "destination": "b" }] },
        } },
    }))
}

#[expect(clippy::needless_pass_by_value, reason = "called with a literal")]
fn object_of(spec: Value) -> GatewaySync {
    serde_json::from_value(json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
        "metadata": { "name": "cr", "namespace": "plants" },
        "spec": spec,
    }))
    .unwrap()
}

fn decide(pod: &Value, object: &GatewaySync) -> Decision {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    match wanted(&pod) {
        Ok(_) => inject(&pod, object, &settings()).into(),
        Err(unchanged) => Decision::Unchanged(unchanged),
    }
}

/// Returns the pod after the injection, and the warnings.
fn injected(pod: &Value, object: &GatewaySync) -> (Value, Vec<String>) {
    let Decision::Injected(injection) = decide(pod, object) else {
        panic!("no injection")
    };
    let patch: json_patch::Patch = serde_json::from_value(Value::Array(injection.patch)).unwrap();
    let mut pod = pod.clone();
    json_patch::patch(&mut pod, &patch).unwrap();
    (pod, injection.warnings)
}

fn agent(pod: &Value) -> &Value {
    &pod["spec"]["initContainers"][0]
}

fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let variables = agent(pod)["env"].as_array().unwrap();
    let found = variables.iter().find(|variable| variable["name"] == name)?;
    found["value"].as_str()
}

fn ssh() -> Value {
    json!({ "sshKey": { "secretRef": { "name": "git-ssh", "key": "ssh-privatekey" } } })
}

fn ssh_with_known_hosts() -> Value {
    let mut auth = ssh();
    auth["sshKey"]["knownHosts"] =
        json!({ "secretRef": { "name": "git-kh", "key": "known_hosts" } });
    auth
}

fn token() -> Value {
    json!({ "token": { "secretRef": { "name": "git-token-secret", "key": "token" } } })
}

fn github_app() -> Value {
    json!({ "githubApp": {
        "appId": 1, "installationId": 2,
        "privateKeySecretRef": { "name": "app", "key": "pem" },
    } })
}

#[test]
fn a_pod_is_injected_as_by_the_go_operator() {
    let cases = [
        (json!(null), include_str!("../golden/none.yaml")),
        (ssh(), include_str!("../golden/ssh.yaml")),
        (
            ssh_with_known_hosts(),
            include_str!("../golden/ssh-known-hosts.yaml"),
        ),
        (token(), include_str!("../golden/token.yaml")),
        (github_app(), include_str!("../golden/github-app.yaml")),
    ];
    for (auth, golden) in cases {
        let golden: Value = serde_saphyr::from_str(golden).unwrap();
        let (pod, warnings) = injected(&pod(), &object(&auth));
        assert_eq!(pod, golden, "{auth}");
        // The pod is one that the API server reads without a loss.
        let typed: k8s_openapi::api::core::v1::Pod = serde_json::from_value(pod.clone()).unwrap();
        assert_eq!(typed.spec.unwrap().init_containers.unwrap().len(), 2);
        assert_eq!(warnings, [""; 0]);
    }
}

#[test]
fn a_pod_that_does_not_ask_is_unchanged() {
    for value in [json!(null), json!("True"), json!("yes"), json!("")] {
        let mut pod = pod();
        pod["metadata"]["annotations"]["stoker.io/inject"] = value.clone();
        if value.is_null() {
            pod["metadata"]["annotations"] = json!({ "stoker.io/cr-name": "cr" });
        }
        let unchanged = Decision::Unchanged(Unchanged::NotRequested);
        assert_eq!(decide(&pod, &object(&json!(null))), unchanged, "{value}");
    }
}

#[test]
fn an_agent_is_injected_once() {
    let (pod, _) = injected(&pod(), &object(&json!(null)));
    let unchanged = Decision::Unchanged(Unchanged::AlreadyInjected);
    assert_eq!(decide(&pod, &object(&json!(null))), unchanged);
}

#[test]
fn a_regular_container_with_the_name_of_the_agent_does_not_count() {
    let mut pod = pod();
    pod["spec"]["containers"][0]["name"] = "stoker-agent".into();
    let (pod, _) = injected(&pod, &object(&json!(null)));
    assert_eq!(agent(&pod)["name"], "stoker-agent");
}

#[test]
fn a_paused_object_does_not_keep_a_pod_from_starting() {
    let mut paused = object(&json!(null));
    paused.spec.paused = Some(true);
    let (with_pause, warnings) = injected(&pod(), &paused);
    assert_eq!(with_pause, injected(&pod(), &object(&json!(null))).0);
    let expected = [
        "GatewaySync 'cr' is paused, so the stoker-agent starts the gateway with the files that are there",
        "a stoker-agent of the Go operator does not observe the pause when it starts: it deploys the commit of the ref",
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn a_pod_without_a_profile_is_warned_of_unless_the_object_has_a_default() {
    let mut object = object(&json!(null));
    let default = object.spec.sync.profiles.remove("default").unwrap();
    let expected = "the pod has no annotation 'stoker.io/profile', and GatewaySync 'cr' has no profile 'default', but [edge]";
    assert_eq!(injected(&pod(), &object).1, [expected]);
    let mut named = pod();
    named["metadata"]["annotations"]["stoker.io/profile"] = "edge".into();
    assert_eq!(injected(&named, &object).1, [""; 0]);
    let profiles = (0..100).map(|number| (format!("line-{number:03}"), default.clone()));
    object.spec.sync.profiles = profiles.collect();
    let warnings = injected(&pod(), &object).1;
    assert!(
        warnings[0]
            .ends_with("line-001, line-002, line-003, line-004, line-005, line-006, line-007, …]"),
        "{warnings:?}"
    );
}

#[test]
fn a_pod_starts_without_the_token_that_is_not_written_during_a_pause() {
    let volume = |is_paused| {
        let mut object = object(&github_app());
        object.spec.paused = Some(is_paused);
        let (pod, _) = injected(&pod(), &object);
        pod["spec"]["volumes"][4].clone()
    };
    let source = json!({ "secretName": "stoker-github-token-cr", "defaultMode": 292 });
    let mut expected = json!({ "name": "git-token", "secret": source });
    assert_eq!(volume(false), expected);
    expected["secret"]["optional"] = true.into();
    assert_eq!(volume(true), expected);
}

#[test]
fn annotations_of_the_pod_reach_the_agent() {
    let mut pod = pod();
    let annotations = &mut pod["metadata"]["annotations"];
    annotations["stoker.io/cr-name"] = "cr".into();
    annotations["stoker.io/profile"] = "edge".into();
    annotations["stoker.io/gateway-name"] = "blue".into();
    let (pod, _) = injected(&pod, &object(&json!(null)));
    assert_eq!(variable(&pod, "PROFILE"), Some("edge"));
    assert_eq!(variable(&pod, "GATEWAY_NAME"), Some("blue"));
    assert_eq!(pod["metadata"]["annotations"]["stoker.io/cr-name"], "cr");
}

#[test]
fn an_unknown_profile_is_refused_and_no_profile_is_not() {
    let mut pod = pod();
    pod["metadata"]["annotations"]["stoker.io/profile"] = "west".into();
    let Decision::Denied(denial) = decide(&pod, &object(&json!(null))) else {
        panic!("not refused")
    };
    assert_eq!(
        denial.to_string(),
        "profile 'west' not found in GatewaySync 'cr'"
    );
    // The object has no profile `default` either. The agent reports that.
    pod["metadata"]["annotations"]["stoker.io/profile"] = "".into();
    injected(&pod, &object(&json!(null)));
}

#[test]
fn the_image_comes_from_the_object_or_the_settings_and_never_from_the_pod() {
    let image = |image: Value| {
        let mut object = object(&json!(null));
        object.spec.agent = serde_json::from_value(json!({ "image": image })).unwrap();
        let mut pod = pod();
        pod["metadata"]["annotations"]["stoker.io/agent-image"] = "evil:1".into();
        let (pod, _) = injected(&pod, &object);
        let text = |field: &str| agent(&pod)[field].as_str().unwrap().to_owned();
        (text("image"), text("imagePullPolicy"))
    };
    let pair = |image: &str, policy: &str| (image.to_owned(), policy.to_owned());
    assert_eq!(image(json!({})), pair(IMAGE, "IfNotPresent"));
    assert_eq!(image(json!({"tag": "v2"})), pair(IMAGE, "IfNotPresent"));
    assert_eq!(
        image(json!({"repository": "r/agent", "pullPolicy": "Always"})),
        pair("r/agent:latest", "Always")
    );
    assert_eq!(
        image(json!({"repository": "r/agent", "tag": "v2", "pullPolicy": ""})),
        pair("r/agent:v2", "IfNotPresent")
    );
    let digest = "r/agent@sha256:aa";
    assert_eq!(
        image(json!({ "repository": digest })),
        pair(digest, "IfNotPresent")
    );
}

#[test]
fn resources_port_and_tls_come_from_the_object() {
    let object = object_of(json!({
        "git": { "repo": "https://git.example.com/plant.git", "ref": "main" },
        "gateway": { "port": 8043, "tls": true, "api": { "secretName": "gw-key", "secretKey": "token" } },
        "sync": { "profiles": {} },
        "agent": { "resources": { "limits": { "memory": "1Gi" } } },
    }));
    let (pod, _) = injected(&pod(), &object);
    assert_eq!(variable(&pod, "GATEWAY_PORT"), Some("8043"));
    assert_eq!(variable(&pod, "GATEWAY_TLS"), Some("true"));
    assert_eq!(
        variable(&pod, "API_KEY_FILE"),
        Some("/etc/stoker/api-key/token")
    );
    assert_eq!(
        agent(&pod)["resources"],
        json!({ "limits": { "memory": "1Gi" } })
    );
}

#[test]
fn volumes_of_the_pod_keep_their_names() {
    let mut pod = pod();
    for name in [
        "sync-repo",
        "git-tmp",
        "api-key",
        "stoker-agent-api-key",
        "git-credentials",
    ] {
        let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
        volumes.push(json!({ "name": name, "emptyDir": {} }));
    }
    let (pod, _) = injected(&pod, &object(&token()));
    let names = |list: &Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let volumes = names(&pod["spec"]["volumes"]);
    assert_eq!(
        volumes[6..],
        [
            "stoker-agent-sync-repo",
            "stoker-agent-git-tmp",
            "stoker-agent-api-key-2",
            "stoker-agent-git-credentials",
        ]
    );
    assert_eq!(
        names(&agent(&pod)["volumeMounts"]),
        [
            "stoker-agent-sync-repo",
            "stoker-agent-api-key-2",
            "stoker-agent-git-tmp",
            "stoker-agent-git-credentials",
            "data",
        ]
    );
    assert_eq!(
        variable(&pod, "API_KEY_FILE"),
        Some("/etc/stoker/api-key/apiKey"),
        "the path is the same"
    );
}

#[test]
fn the_data_volume_is_found_by_its_name() {
    let data = |volumes: Value, mounts: Value| {
        let mut pod = pod();
        pod["spec"]["volumes"] = volumes;
        pod["spec"]["containers"] = json!([
            { "name": "first" },
            { "name": "second", "volumeMounts": mounts },
            { "name": "third", "volumeMounts": [{ "name": "data", "mountPath": "/third" }] },
        ]);
        let (pod, warnings) = injected(&pod, &object(&json!(null)));
        let mounts = agent(&pod)["volumeMounts"].as_array().unwrap();
        let last = mounts.last().unwrap()["name"].as_str().unwrap().to_owned();
        let path = variable(&pod, "DATA_PATH").unwrap().to_owned();
        (last, path, warnings.len())
    };
    let found = |volume: &str, path: &str, warnings| (volume.to_owned(), path.to_owned(), warnings);
    let both = json!([{ "name": "data" }, { "name": "ignition-data" }]);
    let mounted = json!([{ "name": "ignition-data", "mountPath": "/second", "subPath": "x", "readOnly": true }]);
    assert_eq!(
        data(both.clone(), mounted),
        found("ignition-data", "/second", 0)
    );
    assert_eq!(
        data(both, json!([])),
        found("ignition-data", "/ignition-data", 0)
    );
    let one = json!([{ "name": "data" }]);
    assert_eq!(data(one, json!([])), found("data", "/third", 0));
    let other = json!([{ "name": "other" }]);
    assert_eq!(
        data(other, json!([])),
        found("git-tmp", "/ignition-data", 1)
    );
}

#[test]
fn a_pod_without_labels_volumes_and_init_containers_gets_them() {
    let pod = json!({
        "metadata": { "annotations": { "stoker.io/inject": "true" } },
        "spec": { "containers": [{ "name": "gateway" }] },
    });
    let (pod, _) = injected(&pod, &object(&json!(null)));
    assert_eq!(
        pod["metadata"]["labels"],
        json!({ "stoker.io/agent": "true" })
    );
    assert_eq!(pod["spec"]["initContainers"].as_array().unwrap().len(), 1);
    assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 3);
}

#[test]
fn one_credential_is_used_and_mounted() {
    let mut auth = token();
    auth["githubApp"] = github_app()["githubApp"].clone();
    let (of_both, _) = injected(&pod(), &object(&auth));
    assert_eq!(of_both, injected(&pod(), &object(&token())).0);
    auth["sshKey"] = ssh()["sshKey"].clone();
    let (of_all, _) = injected(&pod(), &object(&auth));
    assert_eq!(of_all, injected(&pod(), &object(&ssh())).0);
}
