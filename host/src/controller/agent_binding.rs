//! Binds the agents of an object to their role. The agents use the service accounts of the pods that name the object.
//!
//! The RoleBinding has the name, the labels and the subjects that the Go operator writes, and one of the Go operator is
//! taken over. A RoleBinding of others with this name keeps its subjects; missing ones are added.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use serde_json::{Map, Value, json};
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names::{DEFAULT_ACCOUNT, label};

use super::error::{ControllerError, within};
use super::owned::{Calls, Owned};
use super::ownership::{self, Writer};
use super::{Context, finalizer, merge_patch};

/// The beginning of the names of the RoleBindings. The name of the object follows.
pub(super) const NAME_PREFIX: &str = "stoker-agent-";
/// The name of the agents' role.
const ROLE: &str = "stoker-agent";
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
const SERVICE_ACCOUNT: &str = "ServiceAccount";

const CALLS: Calls = Calls {
    read: "read the RoleBinding",
    create: "create the RoleBinding",
    patch: "patch the RoleBinding",
};

/// The kind of the role with the rights of the agents. Its name is `stoker-agent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentRole {
    /// A ClusterRole.
    ClusterRole,
    /// A Role in the namespace of the object.
    Role,
}

impl AgentRole {
    fn reference(self) -> RoleRef {
        let kind = match self {
            Self::ClusterRole => "ClusterRole",
            Self::Role => "Role",
        };
        RoleRef {
            api_group: Some(RBAC_GROUP.to_owned()),
            kind: kind.to_owned(),
            name: ROLE.to_owned(),
        }
    }
}

/// The change that a RoleBinding needs.
#[derive(Debug, PartialEq)]
enum Change {
    /// It is up to date.
    None,
    /// It is patched.
    Patch(Value),
    /// It is deleted and created, because a reference to a role cannot be changed.
    Replace,
}

/// Binds the agents of an object to their role, unless the controller has none to bind. A failure is logged, and does not
/// end a pass.
///
/// # Errors
///
/// Fails if the RoleBinding cannot be read or written. It is not written while the pods are unknown; the pass that follows
/// the list of the pods writes it.
pub(super) async fn bind<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<(), ControllerError> {
    let Some(role) = context.agent_role else {
        return Ok(());
    };
    let Some(pods) = context.pods.of(key).await else {
        return Ok(());
    };
    let accounts = pods.iter().map(|pod| pod.service_account.clone()).collect();
    let bound = write(context, key, sync, &wanted(key, sync, role, &accounts)).await;
    if let Err(error) = &bound {
        tracing::warn!(
            sync.namespace = key.namespace(),
            sync.name = key.name(),
            reason = error.reason(),
            error = %stoker_report::chain(error),
            "the agents are not bound to their role"
        );
    }
    bound
}

/// Creates or updates the RoleBinding of an object.
async fn write<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    wanted: &RoleBinding,
) -> Result<(), ControllerError> {
    let writes = &context.role_bindings;
    let written = writes.current(key, sync.uid().as_deref());
    if written.is_some_and(|written| writes.has(&written, wanted)) {
        return Ok(());
    }
    let binding = Owned::new(&context.client, key, wanted.name_any(), &CALLS);
    let create = || writes.write(key, wanted, binding.create(wanted));
    let Some(found) = binding.read().await? else {
        return create().await;
    };
    match change(key, sync, &found, wanted)? {
        Change::None => {
            writes.confirm(key, &found.metadata, wanted);
            Ok(())
        }
        Change::Patch(patch) => writes.write(key, wanted, binding.patch(&patch)).await,
        Change::Replace => {
            let params = finalizer::only(found.metadata);
            let call = binding.api.delete(&binding.name, &params);
            within("delete the RoleBinding", call).await?;
            create().await
        }
    }
}

/// Returns the RoleBinding for an object and the service accounts of its pods.
fn wanted(
    key: &ObjectKey,
    sync: &GatewaySync,
    role: AgentRole,
    accounts: &BTreeSet<String>,
) -> RoleBinding {
    let owner = sync.uid().map(|uid| ownership::reference(key, &uid));
    let mut labels = BTreeMap::from([(label::MANAGED_BY.to_owned(), label::OPERATOR.to_owned())]);
    labels.extend(
        ownership::cr_name(key).map(|name| (label::GATEWAY_SYNC.to_owned(), name.to_owned())),
    );
    // It is bound while no pod names the object.
    let default = || DEFAULT_ACCOUNT.to_owned();
    let is_empty = accounts.is_empty();
    let names = accounts.iter().cloned().chain(is_empty.then(default));
    let subject = |name| Subject {
        api_group: None,
        kind: SERVICE_ACCOUNT.to_owned(),
        name,
        namespace: Some(key.namespace().to_owned()),
    };
    RoleBinding {
        metadata: ObjectMeta {
            name: Some(format!("{NAME_PREFIX}{}", key.name())),
            namespace: Some(key.namespace().to_owned()),
            labels: Some(labels),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        role_ref: role.reference(),
        subjects: Some(names.map(subject).collect()),
    }
}

/// Returns the change that makes a RoleBinding the wanted one. Pure.
///
/// # Errors
///
/// Fails if the RoleBinding belongs to others and does not bind the role of the agents.
fn change(
    key: &ObjectKey,
    sync: &GatewaySync,
    found: &RoleBinding,
    wanted: &RoleBinding,
) -> Result<Change, ControllerError> {
    let uid = sync.uid();
    let owned = ownership::check(&found.metadata, key, uid.as_deref(), Writer::Operator);
    let has_role = is_same_role(&found.role_ref, &wanted.role_ref);
    let is_controlled = found
        .owner_references()
        .iter()
        .any(|owner| owner.controller == Some(true));
    let mut fields = Map::new();
    let patch = match owned {
        Ok(()) if !has_role => return Ok(Change::Replace),
        Ok(()) => {
            if subjects(found) != subjects(wanted) {
                fields.insert("subjects".to_owned(), json!(wanted.subjects));
            }
            merge_patch::of_owned(key, &found.metadata, &wanted.metadata, fields)
        }
        Err(whose) if !has_role || is_controlled => {
            return Err(ControllerError::BindingTaken {
                name: found.name_any(),
                whose,
            });
        }
        Err(_) => {
            let present = subjects(found);
            let missing: Vec<_> = wanted.subjects.iter().flatten().collect();
            let missing: Vec<_> = missing
                .into_iter()
                .filter(|subject| !present.contains(&identity(subject)))
                .collect();
            if !missing.is_empty() {
                let all: Vec<_> = found.subjects.iter().flatten().chain(missing).collect();
                fields.insert("subjects".to_owned(), json!(all));
            }
            merge_patch::of_version(&found.metadata, Map::new(), fields)
        }
    };
    Ok(patch.map_or(Change::None, Change::Patch))
}

fn is_same_role(one: &RoleRef, other: &RoleRef) -> bool {
    (&one.kind, &one.name) == (&other.kind, &other.name)
}

/// What distinguishes a subject from others.
fn identity(subject: &Subject) -> (&str, &str, Option<&str>) {
    (&subject.kind, &subject.name, subject.namespace.as_deref())
}

fn subjects(binding: &RoleBinding) -> BTreeSet<(&str, &str, Option<&str>)> {
    binding.subjects.iter().flatten().map(identity).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::fixture::{GatewaySyncExt as _, key};

    fn wanted_for(accounts: &[&str]) -> RoleBinding {
        let accounts = accounts.iter().map(ToString::to_string).collect();
        wanted(
            &key(),
            &GatewaySync::sample(),
            AgentRole::ClusterRole,
            &accounts,
        )
    }

    fn present(change: impl FnOnce(&mut RoleBinding)) -> RoleBinding {
        let mut binding = wanted_for(&["gw"]);
        binding.metadata.resource_version = Some("7".to_owned());
        change(&mut binding);
        binding
    }

    fn changed(found: &RoleBinding) -> Result<Change, String> {
        let changed = change(&key(), &GatewaySync::sample(), found, &wanted_for(&["gw"]));
        changed.map_err(|error| error.to_string())
    }

    #[test]
    fn the_role_binding_is_that_of_the_go_operator() {
        let expected = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {
                "name": "stoker-agent-plant", "namespace": "edge",
                "labels": {"app.kubernetes.io/managed-by": "stoker-operator", "stoker.io/gatewaysync": "plant"},
                "ownerReferences": [{
                    "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "name": "plant", "uid": "uid-1",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "stoker-agent"},
            "subjects": [
                {"kind": "ServiceAccount", "name": "blue", "namespace": "edge"},
                {"kind": "ServiceAccount", "name": "red", "namespace": "edge"},
            ],
        });
        let binding = serde_json::to_value(wanted_for(&["red", "blue"])).unwrap();
        assert_eq!(binding, expected);
        let default = wanted_for(&[]).subjects.unwrap();
        assert_eq!((default.len(), &*default[0].name), (1, "default"));
    }

    #[test]
    fn an_up_to_date_role_binding_is_not_written() {
        assert_eq!(changed(&present(|_| {})), Ok(Change::None));
        let others = present(|binding| {
            binding.metadata.annotations = Some([("note".to_owned(), "x".to_owned())].into());
            binding
                .metadata
                .labels
                .as_mut()
                .unwrap()
                .insert("team".to_owned(), "edge".to_owned());
        });
        assert_eq!(changed(&others), Ok(Change::None));
    }

    #[test]
    fn subjects_labels_and_owners_are_restored() {
        let other_account = present(|binding| {
            binding.subjects.as_mut().unwrap()[0].name = "old".to_owned();
        });
        let subjects = json!([{"kind": "ServiceAccount", "name": "gw", "namespace": "edge"}]);
        let patch = json!({"metadata": {"resourceVersion": "7"}, "subjects": subjects});
        assert_eq!(changed(&other_account), Ok(Change::Patch(patch)));
        let earlier = present(|binding| {
            binding.metadata.owner_references.as_mut().unwrap()[0].uid = "uid-0".to_owned();
        });
        let Ok(Change::Patch(patch)) = changed(&earlier) else {
            panic!("no patch");
        };
        assert_eq!(patch["metadata"]["ownerReferences"][0]["uid"], "uid-1");
        let unlabelled = present(|binding| binding.metadata.labels = None);
        let Ok(Change::Patch(patch)) = changed(&unlabelled) else {
            panic!("no patch");
        };
        assert_eq!(patch["metadata"]["labels"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn a_reference_to_another_role_is_replaced() {
        let other_role = present(|binding| binding.role_ref.name = "view".to_owned());
        assert_eq!(changed(&other_role), Ok(Change::Replace));
        let other_kind = present(|binding| binding.role_ref.kind = "Role".to_owned());
        assert_eq!(changed(&other_kind), Ok(Change::Replace));
    }

    #[test]
    fn a_role_binding_of_others_only_gets_missing_subjects() {
        let by_hand = |change: fn(&mut RoleBinding)| {
            present(|binding| {
                binding.metadata.labels = None;
                binding.metadata.owner_references = None;
                change(binding);
            })
        };
        assert_eq!(changed(&by_hand(|_| {})), Ok(Change::None));
        let other =
            by_hand(|binding| binding.subjects.as_mut().unwrap()[0].name = "mine".to_owned());
        let patch = json!({"metadata": {"resourceVersion": "7"}, "subjects": [
            {"kind": "ServiceAccount", "name": "mine", "namespace": "edge"},
            {"kind": "ServiceAccount", "name": "gw", "namespace": "edge"},
        ]});
        assert_eq!(changed(&other), Ok(Change::Patch(patch)));
        let taken = by_hand(|binding| binding.role_ref.name = "admin".to_owned());
        let error = changed(&taken).unwrap_err();
        assert!(
            error.contains("RoleBinding stoker-agent-plant exists"),
            "{error}"
        );
        let controlled = present(|binding| {
            let owner = &mut binding.metadata.owner_references.as_mut().unwrap()[0];
            (owner.kind, owner.api_version) = ("Team".to_owned(), "example.org/v1".to_owned());
        });
        assert!(
            changed(&controlled)
                .unwrap_err()
                .contains("is controlled by Team plant")
        );
    }
}
