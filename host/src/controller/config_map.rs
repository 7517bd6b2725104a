//! The content of the ConfigMap for the agents, and the patch that updates it. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use serde_json::{Value, json};
use stoker_api::detection::ObjectKey;
use stoker_api::names::{self, metadata_key};
use stoker_api::{GatewaySync, GitAuth};

use super::error::ControllerError;
use super::resolve::ResolutionSuccess;
use super::{merge_patch, ownership, profiles};

/// Returns the ConfigMap for an object and its commit.
pub(super) fn wanted(
    key: &ObjectKey,
    sync: &GatewaySync,
    resolved: &ResolutionSuccess,
) -> Result<ConfigMap, ControllerError> {
    let mut wanted = without_commit(key, sync)?;
    let found = &resolved.found;
    let commit = found.commit.as_str();
    // The agents of the Go operator clone it, and fetch it later, which is possible only by a short name or by an id.
    let git_ref = found.short_name.as_deref().unwrap_or(commit);
    let commit = [(metadata_key::COMMIT, commit), (metadata_key::REF, git_ref)];
    let commit = commit.map(|(name, value)| (name.to_owned(), value.to_owned()));
    wanted.data.get_or_insert_default().extend(commit);
    Ok(wanted)
}

/// Returns the ConfigMap for an object of which no commit is known. The agents of both projects wait for one, and those
/// of Stoker observe a pause meanwhile.
pub(super) fn without_commit(
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<ConfigMap, ControllerError> {
    Ok(ConfigMap {
        metadata: metadata(key, sync),
        data: Some(data(sync)?),
        ..ConfigMap::default()
    })
}

fn metadata(key: &ObjectKey, sync: &GatewaySync) -> ObjectMeta {
    let owner = sync.uid().map(|uid| ownership::reference(key, &uid));
    ObjectMeta {
        name: Some(names::metadata_map(key.name())),
        namespace: Some(key.namespace().to_owned()),
        labels: Some(ownership::labels(key)),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

fn data(sync: &GatewaySync) -> Result<BTreeMap<String, String>, ControllerError> {
    let spec = &sync.spec;
    let entries = [
        (metadata_key::GIT_URL, spec.git.repo.clone()),
        (metadata_key::PAUSED, spec.is_paused().to_string()),
        (
            metadata_key::AUTH_TYPE,
            auth_type(spec.git.auth.as_ref()).to_owned(),
        ),
        (metadata_key::PROFILES, profiles::to_json(&spec.sync)?),
        (metadata_key::GATEWAY_PORT, spec.gateway.port.to_string()),
        (metadata_key::GATEWAY_TLS, spec.gateway.tls.to_string()),
    ];
    let bundle = spec.git.ca_bundle();
    let bundle = bundle.map(|bundle| (metadata_key::CA_BUNDLE, bundle.to_owned()));
    let entries = entries.into_iter().chain(bundle);
    Ok(entries
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// Returns whether agents that follow a ConfigMap do what the object asks for now, apart from a pause. One without a commit
/// lets them do nothing.
pub(super) fn is_current(present: &ConfigMap, sync: &GatewaySync) -> Result<bool, ControllerError> {
    let empty = BTreeMap::new();
    let present = present.data.as_ref().unwrap_or(&empty);
    let Some(commit) = present.get(metadata_key::COMMIT) else {
        return Ok(true);
    };
    let status = sync.status.as_ref();
    let is_of_ref = status.is_some_and(|status| {
        status.last_sync_commit.as_ref() == Some(commit)
            && status.last_sync_ref.as_deref() == Some(sync.effective_ref())
    });
    let others = [
        metadata_key::COMMIT,
        metadata_key::REF,
        metadata_key::PAUSED,
    ];
    let is_said = |name: &&String| !others.contains(&name.as_str());
    let wanted = data(sync)?;
    let is_same = |name: &String| present.get(name) == wanted.get(name);
    let mut names = present.keys().chain(wanted.keys()).filter(is_said);
    Ok(is_of_ref && names.all(is_same))
}

/// Returns the kind of credentials with which the agents fetch from the repository. If there are several kinds, the
/// first one in this order applies.
pub(super) fn auth_type(auth: Option<&GitAuth>) -> &'static str {
    match auth {
        Some(GitAuth {
            ssh_key: Some(_), ..
        }) => "ssh",
        Some(GitAuth { token: Some(_), .. }) => "token",
        Some(GitAuth {
            github_app: Some(_),
            ..
        }) => "githubApp",
        _ => "none",
    }
}

/// Returns the merge patch that updates a ConfigMap, or `None` if the ConfigMap is up to date.
///
/// Labels, annotations and owner references of others stay, and keys of others are removed from the data. The patch
/// applies only to the version that was read.
pub(super) fn difference(
    key: &ObjectKey,
    present: &ConfigMap,
    wanted: &ConfigMap,
) -> Option<Value> {
    let data = merge_patch::replacement(present.data.as_ref(), wanted.data.as_ref());
    let fields = merge_patch::field("data", data);
    merge_patch::of_owned(key, &present.metadata, &wanted.metadata, fields)
}

/// Returns the merge patch that restores the metadata of a ConfigMap and tells the agents whether they stop syncing, or
/// `None` if neither is necessary. The rest of the data stays. Without `is_paused`, all of it does.
pub(super) fn pause(
    key: &ObjectKey,
    sync: &GatewaySync,
    present: &ConfigMap,
    is_paused: Option<bool>,
) -> Option<Value> {
    let data = present.data.as_ref();
    let told = data.and_then(|data| data.get(metadata_key::PAUSED));
    let is_told = told.is_some_and(|text| text == "true");
    let told = is_paused.filter(|is_paused| *is_paused != is_told);
    let told = told.map(|is_paused| {
        (
            metadata_key::PAUSED.to_owned(),
            json!(is_paused.to_string()),
        )
    });
    let fields = merge_patch::field("data", told.into_iter().collect());
    merge_patch::of_owned(key, &present.metadata, &metadata(key, sync), fields)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;
    use crate::controller::tests::fixture::{GatewaySyncExt as _, key, resolved};

    fn sample() -> ConfigMap {
        wanted(&key(), &GatewaySync::sample(), &resolved("refs/tags/v1")).unwrap()
    }

    fn present() -> ConfigMap {
        let mut present = sample();
        present.metadata.resource_version = Some("7".to_owned());
        present
    }

    #[test]
    fn the_config_map_contains_everything_that_agents_read() {
        let wanted = sample();
        let data = wanted.data.as_ref().unwrap();
        let lines: Vec<_> = data
            .iter()
            .filter(|(name, _)| *name != "profiles")
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let expected = [
            "authType=none",
            &format!("commit={}", "a".repeat(40)),
            "gatewayPort=8088",
            "gatewayTLS=false",
            "gitURL=https://git.example/o/r.git",
            "paused=false",
            "ref=v1",
        ];
        assert_eq!(lines, expected);
        assert!(data["profiles"].starts_with(r#"{"p":{"mappings":["#));
        let metadata = json!({
            "name": "stoker-metadata-plant",
            "namespace": "edge",
            "labels": {"stoker.io/cr-name": "plant", "app.kubernetes.io/managed-by": "stoker-controller"},
            "ownerReferences": [{
                "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "name": "plant", "uid": "uid-1",
                "controller": true, "blockOwnerDeletion": true,
            }],
        });
        assert_eq!(serde_json::to_value(&wanted.metadata).unwrap(), metadata);
    }

    #[test]
    fn a_ca_bundle_is_published_if_it_is_set() {
        for (bundle, expected) in [("PEM\n", Some("PEM")), (" ", None)] {
            let sync = GatewaySync::sample()
                .with(|sync| sync.spec.git.ca_bundle = Some(bundle.to_owned()));
            let map = wanted(&key(), &sync, &resolved("main")).unwrap();
            let published = map.data.as_ref().unwrap().get("caBundle");
            assert_eq!(published.map(String::as_str), expected);
        }
    }

    #[test]
    fn a_label_that_would_be_too_long_is_omitted() {
        let key = ObjectKey::new("edge", &"x".repeat(64)).unwrap();
        let map = wanted(&key, &GatewaySync::sample(), &resolved("main")).unwrap();
        assert_eq!(map.labels().len(), 1);
    }

    #[test]
    fn an_up_to_date_config_map_is_not_written() {
        let mut present = present();
        present
            .labels_mut()
            .insert("team".to_owned(), "edge".to_owned());
        present
            .annotations_mut()
            .insert("note".to_owned(), "x".to_owned());
        assert_eq!(difference(&key(), &present, &sample()), None);
    }

    #[test]
    fn data_labels_and_owners_are_restored() {
        let mut present = present();
        let data = present.data.as_mut().unwrap();
        data.insert("commit".to_owned(), "old".to_owned());
        data.insert("stray".to_owned(), "x".to_owned());
        present.labels_mut().clear();
        let mut before = present.metadata.owner_references.take().unwrap().remove(0);
        before.uid = "uid-0".to_owned();
        let other = OwnerReference {
            kind: "Team".to_owned(),
            name: "edge".to_owned(),
            ..OwnerReference::default()
        };
        present.metadata.owner_references = Some(vec![before, other]);
        let patch = difference(&key(), &present, &sample()).unwrap();
        assert_eq!(
            patch["data"],
            json!({"commit": "a".repeat(40), "stray": null})
        );
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["metadata"]["labels"].as_object().unwrap().len(), 2);
        let owners: Vec<_> = patch["metadata"]["ownerReferences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| o["uid"].clone())
            .collect();
        assert_eq!(owners, ["uid-1", ""]);
    }

    #[test]
    fn credentials_have_an_order_of_precedence() {
        let secret = json!({"name": "s", "key": "k"});
        let app = json!({"appId": 1, "installationId": 2, "privateKeySecretRef": secret});
        let cases = [
            (json!({}), "none"),
            (json!({"githubApp": app}), "githubApp"),
            (
                json!({"githubApp": app, "token": {"secretRef": secret}}),
                "token",
            ),
            (
                json!({"githubApp": app, "token": {"secretRef": secret}, "sshKey": {"secretRef": secret}}),
                "ssh",
            ),
        ];
        assert_eq!(auth_type(None), "none");
        for (auth, expected) in cases {
            assert_eq!(
                auth_type(serde_json::from_value(auth).ok().as_ref()),
                expected
            );
        }
    }
}
