//! Fourth step: the ConfigMap from which the agents learn what to sync. Writes to the cluster, and only what differs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Map, Value, json};

use super::error::{ControllerError, within};
use super::resolve::Resolved;
use super::{FIELD_MANAGER, profiles};
use crate::api::names::label;
use crate::api::{GatewaySync, GitAuth};
use crate::detection::ObjectKey;

/// Label values are this long at most, and names of objects may be longer.
const LABEL_VALUE_BYTES: usize = 63;

/// What is always written, as the API server names it in `managedFields`: JSON pointers into `fieldsV1`.
pub(super) const FIELDS: [&str; 10] = [
    "/f:metadata/f:labels/f:app.kubernetes.io~1managed-by",
    "/f:metadata/f:ownerReferences",
    "/f:data/f:commit",
    "/f:data/f:ref",
    "/f:data/f:gitURL",
    "/f:data/f:paused",
    "/f:data/f:authType",
    "/f:data/f:profiles",
    "/f:data/f:gatewayPort",
    "/f:data/f:gatewayTLS",
];

/// What the names of all of them begin with; the name of the object follows.
pub(super) const NAME_PREFIX: &str = "stoker-metadata-";

/// The name of the ConfigMap of an object.
pub(super) fn metadata_name(key: &ObjectKey) -> String {
    format!("{NAME_PREFIX}{}", key.name())
}

/// Makes the ConfigMap of an object say what was resolved. It is created if it is not there; one that is keeps what
/// others added to its labels and owners, but no data that is not the object's.
pub(super) async fn publish(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    resolved: &Resolved,
    present: Option<&ConfigMap>,
) -> Result<(), ControllerError> {
    let wanted = config_map(key, sync, resolved)?;
    let name = metadata_name(key);
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), key.namespace());
    let Some(present) = present else {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        within(
            "create the metadata ConfigMap",
            config_maps.create(&params, &wanted),
        )
        .await?;
        return Ok(());
    };
    if let Some(owner) = present
        .owner_references()
        .iter()
        .find(|owner| is_foreign(owner))
    {
        return Err(ControllerError::MetadataTaken {
            name,
            owner: format!("{} {}", owner.kind, owner.name),
        });
    }
    if let Some(patch) = difference(present, &wanted) {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        within(
            "patch the metadata ConfigMap",
            config_maps.patch(&name, &params, &Patch::Merge(&patch)),
        )
        .await?;
    }
    Ok(())
}

/// Whether it is the controller of an object, and of another kind than the ones that this room serves. An owner of the
/// right kind but with another uid is the object before it was deleted and made anew.
fn is_foreign(owner: &OwnerReference) -> bool {
    owner.controller == Some(true) && !is_ours(owner)
}

fn is_ours(owner: &OwnerReference) -> bool {
    owner.kind == GatewaySync::kind(&())
        && owner.api_version.split('/').next() == Some(&*GatewaySync::group(&()))
}

fn config_map(
    key: &ObjectKey,
    sync: &GatewaySync,
    resolved: &Resolved,
) -> Result<ConfigMap, ControllerError> {
    let owner = sync.controller_owner_ref(&()).map(|owner| OwnerReference {
        block_owner_deletion: Some(true),
        ..owner
    });
    let mut labels = BTreeMap::from([(label::MANAGED_BY.to_owned(), label::CONTROLLER.to_owned())]);
    if key.name().len() <= LABEL_VALUE_BYTES {
        labels.insert(label::CR_NAME.to_owned(), key.name().to_owned());
    }
    Ok(ConfigMap {
        metadata: ObjectMeta {
            name: Some(metadata_name(key)),
            namespace: Some(key.namespace().to_owned()),
            labels: Some(labels),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(data(sync, resolved)?),
        ..ConfigMap::default()
    })
}

fn data(
    sync: &GatewaySync,
    resolved: &Resolved,
) -> Result<BTreeMap<String, String>, ControllerError> {
    let spec = &sync.spec;
    let entries = [
        ("commit", resolved.found.commit.to_string()),
        ("ref", resolved.git_ref.short().to_owned()),
        ("gitURL", spec.git.repo.clone()),
        ("paused", spec.is_paused().to_string()),
        ("authType", auth_type(spec.git.auth.as_ref()).to_owned()),
        ("profiles", profiles::to_json(&spec.sync)?),
        ("gatewayPort", spec.gateway.port.to_string()),
        ("gatewayTLS", spec.gateway.tls.to_string()),
    ];
    Ok(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

/// How the agents sign in at the repository.
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

/// The merge patch that makes the one like the other, if it is not; it holds only for the version that was read.
fn difference(present: &ConfigMap, wanted: &ConfigMap) -> Option<Value> {
    let mut patch = Map::new();
    let mut metadata = Map::new();
    let data = changes(present.data.as_ref(), wanted.data.as_ref(), true);
    if !data.is_empty() {
        patch.insert("data".to_owned(), data.into());
    }
    let labels = changes(
        present.metadata.labels.as_ref(),
        wanted.metadata.labels.as_ref(),
        false,
    );
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), labels.into());
    }
    let owners: Vec<_> = wanted
        .owner_references()
        .iter()
        .chain(
            present
                .owner_references()
                .iter()
                .filter(|owner| !is_ours(owner)),
        )
        .cloned()
        .collect();
    if !same_owners(present.owner_references(), &owners) {
        metadata.insert("ownerReferences".to_owned(), json!(owners));
    }
    if patch.is_empty() && metadata.is_empty() {
        return None;
    }
    metadata.insert(
        "resourceVersion".to_owned(),
        json!(present.metadata.resource_version),
    );
    patch.insert("metadata".to_owned(), metadata.into());
    Some(patch.into())
}

fn changes(
    present: Option<&BTreeMap<String, String>>,
    wanted: Option<&BTreeMap<String, String>>,
    removes: bool,
) -> Map<String, Value> {
    let empty = BTreeMap::new();
    let (before, after) = (present.unwrap_or(&empty), wanted.unwrap_or(&empty));
    let mut changes = Map::new();
    for name in before
        .keys()
        .filter(|name| removes && !after.contains_key(*name))
    {
        changes.insert(name.clone(), Value::Null);
    }
    for (name, value) in after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
    {
        changes.insert(name.clone(), json!(value));
    }
    changes
}

fn same_owners(one: &[OwnerReference], other: &[OwnerReference]) -> bool {
    one.len() == other.len() && one.iter().all(|owner| other.contains(owner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::fixture::{GatewaySyncExt as _, resolved};

    fn key() -> ObjectKey {
        ObjectKey::new("edge", "plant").unwrap()
    }

    fn wanted() -> ConfigMap {
        config_map(&key(), &GatewaySync::sample(), &resolved("refs/tags/v1")).unwrap()
    }

    fn present() -> ConfigMap {
        let mut present = wanted();
        present.metadata.resource_version = Some("7".to_owned());
        present
    }

    #[test]
    fn says_everything_that_agents_read() {
        let wanted = wanted();
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
    fn names_each_field_that_it_writes() {
        let wanted = wanted();
        let mut fields = vec!["/f:metadata/f:ownerReferences".to_owned()];
        // The name of the object is not a label where it is too long.
        let labels = wanted
            .labels()
            .keys()
            .filter(|name| *name != label::CR_NAME);
        fields.extend(
            labels.map(|name| format!("/f:metadata/f:labels/f:{}", name.replace('/', "~1"))),
        );
        let data = wanted.data.as_ref().unwrap().keys();
        fields.extend(data.map(|name| format!("/f:data/f:{name}")));
        fields.sort_unstable();
        let mut named = FIELDS.map(str::to_owned);
        named.sort_unstable();
        assert_eq!(fields, named);
    }

    #[test]
    fn leaves_out_a_label_that_would_be_too_long() {
        let key = ObjectKey::new("edge", &"x".repeat(64)).unwrap();
        let map = config_map(&key, &GatewaySync::sample(), &resolved("main")).unwrap();
        assert_eq!(map.labels().len(), 1);
    }

    #[test]
    fn writes_nothing_where_nothing_differs() {
        let mut present = present();
        present
            .labels_mut()
            .insert("team".to_owned(), "edge".to_owned());
        present
            .annotations_mut()
            .insert("note".to_owned(), "x".to_owned());
        assert_eq!(difference(&present, &wanted()), None);
    }

    #[test]
    fn replaces_the_data_and_repairs_labels_and_owner() {
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
        let patch = difference(&present, &wanted()).unwrap();
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
    fn credentials_have_one_order_of_precedence() {
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
