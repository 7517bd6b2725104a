//! Determines which ConfigMaps, Secrets and RoleBindings belong to an object. Pure.
//!
//! Only such an object is written or deleted.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use kube::api::ObjectMeta;

use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names::label;

/// A program that writes objects for a `GatewaySync`, and labels them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writer {
    /// The controller, which writes ConfigMaps and Secrets.
    Controller,
    /// An agent, which writes ConfigMaps.
    Agent,
    /// The controller, which writes RoleBindings under another name.
    Operator,
}

impl Writer {
    /// Returns the value of the label for the manager, and the name of the label for the object.
    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Controller => (label::CONTROLLER, label::CR_NAME),
            Self::Agent => (label::AGENT, label::CR_NAME),
            Self::Operator => (label::OPERATOR, label::GATEWAY_SYNC),
        }
    }
}

/// Checks that a ConfigMap or a RoleBinding belongs to the object with this key and UID: the object is its controller,
/// or it has the labels of a writer for an object of this name, and no other controller. What an agent writes may lack
/// these labels, because its name is reserved for the object.
///
/// # Errors
///
/// The error text completes a sentence: `it …`.
pub(super) fn check(
    found: &ObjectMeta,
    key: &ObjectKey,
    uid: Option<&str>,
    writer: Writer,
) -> Result<(), String> {
    let owners = found.owner_references.as_deref().unwrap_or_default();
    let controller = owners.iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if is_gateway_sync(owner) && Some(&*owner.uid) == uid => Ok(()),
        // The object was deleted and created again.
        Some(owner)
            if is_gateway_sync(owner)
                && owner.name == key.name()
                && is_labelled(found, key, writer) =>
        {
            Ok(())
        }
        Some(owner) if is_gateway_sync(owner) && owner.name == key.name() => Err(format!(
            "is controlled by an earlier {} {}",
            owner.kind, owner.name
        )),
        Some(owner) => Err(format!("is controlled by {} {}", owner.kind, owner.name)),
        None if is_labelled(found, key, writer) => Ok(()),
        None => Err("was not created by Stoker".to_owned()),
    }
}

fn is_labelled(found: &ObjectMeta, key: &ObjectKey, writer: Writer) -> bool {
    let (manager, of_object) = writer.labels();
    let label = |name: &str| Some(found.labels.as_ref()?.get(name)?.as_str());
    let (managed_by, object) = (label(label::MANAGED_BY), label(of_object));
    match writer {
        Writer::Agent => {
            managed_by.is_none_or(|name| name == manager)
                && object.is_none_or(|name| name == key.name())
        }
        Writer::Controller | Writer::Operator => {
            managed_by == Some(manager) && object == cr_name(key)
        }
    }
}

/// Returns the labels of what the controller creates for an object.
pub(super) fn labels(key: &ObjectKey) -> BTreeMap<String, String> {
    let writer = (label::MANAGED_BY.to_owned(), label::CONTROLLER.to_owned());
    let name = cr_name(key).map(|name| (label::CR_NAME.to_owned(), name.to_owned()));
    [writer].into_iter().chain(name).collect()
}

/// Returns the value of the label for the object, or `None` if the name is too long for a label.
pub(super) fn cr_name(key: &ObjectKey) -> Option<&str> {
    Some(key.name()).filter(|name| name.len() <= label::MAX_VALUE_BYTES)
}

/// The owner references of what belongs to an object: the one to the object, and those to others.
/// References to an earlier object are removed.
pub(super) fn owners(found: &ObjectMeta, key: &ObjectKey, uid: &str) -> Vec<OwnerReference> {
    let others = found.owner_references.iter().flatten();
    let is_earlier = |owner: &&OwnerReference| is_gateway_sync(owner) && owner.name == key.name();
    let others = others.filter(|owner| !is_earlier(owner)).cloned();
    [reference(key, uid)].into_iter().chain(others).collect()
}

/// The owner reference to an object.
pub(super) fn reference(key: &ObjectKey, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: GatewaySync::api_version(&()).into_owned(),
        kind: GatewaySync::kind(&()).into_owned(),
        name: key.name().to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Returns whether a `GatewaySync` with this name owns an object.
pub(super) fn has_owner(found: &ObjectMeta, key: &ObjectKey) -> bool {
    let mut owners = found.owner_references.iter().flatten();
    owners.any(|owner| is_gateway_sync(owner) && owner.name == key.name())
}

/// Returns whether two lists have the same owner references, in any order.
pub(super) fn is_same(one: &[OwnerReference], other: &[OwnerReference]) -> bool {
    one.len() == other.len() && one.iter().all(|owner| other.contains(owner))
}

fn is_gateway_sync(owner: &OwnerReference) -> bool {
    owner.kind == GatewaySync::kind(&())
        && owner.api_version.split('/').next() == Some(&*GatewaySync::group(&()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::tests::fixture::key;

    fn checked(found: Value) -> Result<(), String> {
        let found: ObjectMeta = serde_json::from_value(found).unwrap();
        check(&found, &key(), Some("uid-1"), Writer::Controller)
    }

    fn owner(kind: &str, name: &str, uid: &str, controller: bool) -> Value {
        let group = if kind == "GatewaySync" {
            "stoker.io/v1alpha1"
        } else {
            "apps/v1"
        };
        json!({"apiVersion": group, "kind": kind, "name": name, "uid": uid, "controller": controller})
    }

    fn labels(writer: &str, name: &str) -> Value {
        json!({"app.kubernetes.io/managed-by": writer, "stoker.io/cr-name": name})
    }

    #[test]
    fn a_config_map_belongs_to_its_controller_or_to_the_object_of_its_labels() {
        let ours = labels("stoker-controller", "plant");
        let earlier = owner("GatewaySync", "plant", "uid-0", true);
        for found in [
            json!({"ownerReferences": [owner("GatewaySync", "plant", "uid-1", true)]}),
            json!({"labels": ours}),
            json!({"labels": ours, "ownerReferences": [owner("Deployment", "x", "u", false)]}),
            json!({"labels": ours, "ownerReferences": [earlier]}),
        ] {
            assert_eq!(checked(found.clone()), Ok(()), "{found}");
        }
        let unknown = "was not created by Stoker";
        for (found, whose) in [
            (json!({}), unknown),
            (json!({"labels": labels("stoker-agent", "plant")}), unknown),
            (
                json!({"labels": labels("stoker-controller", "other")}),
                unknown,
            ),
            (json!({"labels": labels("Helm", "plant")}), unknown),
            (json!({"labels": {"stoker.io/cr-name": "plant"}}), unknown),
            (
                json!({"labels": {"app.kubernetes.io/managed-by": "stoker-controller"}}),
                unknown,
            ),
            (
                json!({"ownerReferences": [owner("GatewaySync", "plant", "uid-1", false)]}),
                unknown,
            ),
            (
                json!({"ownerReferences": [earlier]}),
                "is controlled by an earlier GatewaySync plant",
            ),
            (
                json!({"labels": ours, "ownerReferences": [owner("Deployment", "x", "uid-1", true)]}),
                "is controlled by Deployment x",
            ),
            (
                json!({"labels": ours, "ownerReferences": [owner("GatewaySync", "other", "uid-2", true)]}),
                "is controlled by GatewaySync other",
            ),
        ] {
            assert_eq!(checked(found.clone()), Err(whose.to_owned()), "{found}");
        }
    }

    #[test]
    fn a_config_map_of_agents_belongs_to_the_object_of_its_name_unless_it_is_of_others() {
        let check = |found: Value| {
            let found: ObjectMeta = serde_json::from_value(found).unwrap();
            check(&found, &key(), Some("uid-1"), Writer::Agent)
        };
        let label = json!({"stoker.io/cr-name": "plant"});
        let manager = json!({"app.kubernetes.io/managed-by": "stoker-agent"});
        for own in [
            json!({}),
            label.clone(),
            manager,
            labels("stoker-agent", "plant"),
        ] {
            assert_eq!(check(json!({"labels": own})), Ok(()), "{own}");
        }
        let earlier = owner("GatewaySync", "plant", "uid-0", true);
        assert_eq!(check(json!({"ownerReferences": [earlier]})), Ok(()));
        for foreign in [
            json!({"ownerReferences": [owner("GatewaySync", "other", "uid-2", true)]}),
            json!({"ownerReferences": [owner("Deployment", "x", "u", true)]}),
            json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}),
            json!({"labels": {"stoker.io/cr-name": "other"}}),
            json!({"labels": labels("Helm", "plant")}),
            json!({"labels": labels("stoker-controller", "plant")}),
            json!({"labels": label, "ownerReferences": [owner("Deployment", "x", "u", true)]}),
        ] {
            assert!(check(foreign.clone()).is_err(), "{foreign}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_for_a_label_is_left_out() {
        let key = ObjectKey::new("edge", &"x".repeat(64)).unwrap();
        let check = |found: Value| {
            let found: ObjectMeta = serde_json::from_value(found).unwrap();
            check(&found, &key, Some("uid-1"), Writer::Controller)
        };
        let writer = json!({"app.kubernetes.io/managed-by": "stoker-controller"});
        assert!(check(json!({"labels": writer})).is_ok());
        assert!(check(json!({"labels": labels("stoker-controller", "x")})).is_err());
    }
}
