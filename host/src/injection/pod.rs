//! The fields of a pod that the injection reads.
//!
//! All others keep the form in which they were sent: the answer is a patch. A value that is `null` is absent, as in the
//! API server. Elements of lists without a name are not kept, because millions of `{}` would fill the memory, and the API
//! server refuses the pod.

use std::collections::BTreeMap;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A pod that somebody creates.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Pod {
    #[serde(default, deserialize_with = "filled")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "filled")]
    spec: Spec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
    #[serde(deserialize_with = "filled")]
    annotations: BTreeMap<String, Option<String>>,
    labels: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    init_containers: Option<Named<Container>>,
    #[serde(deserialize_with = "filled")]
    containers: Named<Container>,
    volumes: Option<Named<Volume>>,
}

/// A container of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    /// The name.
    #[serde(deserialize_with = "filled")]
    pub(super) name: String,
    #[serde(deserialize_with = "filled")]
    volume_mounts: Named<Mount>,
}

/// A volume in a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Mount {
    /// The name of the volume.
    #[serde(deserialize_with = "filled")]
    pub(super) name: String,
    /// The path in the container.
    #[serde(deserialize_with = "filled")]
    pub(super) mount_path: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Volume {
    #[serde(deserialize_with = "filled")]
    name: String,
}

/// The elements of a list that have a name.
#[derive(Debug, Clone)]
struct Named<T>(Vec<T>);

/// An element of a list, which needs a name.
trait HasName {
    fn name(&self) -> &str;
}

impl HasName for Container {
    fn name(&self) -> &str {
        &self.name
    }
}

impl HasName for Mount {
    fn name(&self) -> &str {
        &self.name
    }
}

impl HasName for Volume {
    fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: HasName + Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_seq(Elements(PhantomData))
    }
}

/// Visits a list one element after the other, so that those without a name are never in memory together.
struct Elements<T>(PhantomData<T>);

impl<'de, T: HasName + Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = Named<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Named<T>, A::Error> {
        let mut named = Vec::new();
        while let Some(element) = list.next_element::<T>()? {
            if !element.name().is_empty() {
                named.push(element);
            }
        }
        Ok(Named(named))
    }
}

fn filled<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

impl Pod {
    /// Returns the name, or its beginning. A pod of a controller gets its name later.
    pub(super) fn name(&self) -> Option<&str> {
        let Metadata {
            name,
            generate_name,
            ..
        } = &self.metadata;
        name.as_deref().or(generate_name.as_deref())
    }

    /// Returns the namespace that the pod names.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.metadata.namespace.as_deref()
    }

    /// Returns an annotation that is not empty.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        let value = self.metadata.annotations.get(name)?.as_deref();
        value.filter(|value| !value.is_empty())
    }

    /// Returns whether the pod has labels.
    pub(super) fn has_labels(&self) -> bool {
        self.metadata.labels.is_some()
    }

    /// Returns the init containers, or `None` if the pod has no list of them.
    pub(super) fn init_containers(&self) -> Option<&[Container]> {
        let list = self.spec.init_containers.as_ref();
        list.map(|list| &*list.0)
    }

    /// Returns the volumes that the containers mount, in the order of the containers.
    pub(super) fn mounts(&self) -> impl Iterator<Item = &Mount> {
        let containers = self.spec.containers.0.iter();
        containers.flat_map(|container| &container.volume_mounts.0)
    }

    /// Returns whether the pod has a list of volumes.
    pub(super) fn has_volumes(&self) -> bool {
        self.spec.volumes.is_some()
    }

    /// Returns the names of the volumes.
    pub(super) fn volumes(&self) -> impl Iterator<Item = &str> {
        let volumes = self.spec.volumes.iter().flat_map(|list| &list.0);
        volumes.map(|volume| volume.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_fields_that_are_read_need_their_form() {
        let pod = json!({
            "metadata": { "name": "gw-0", "labels": { "tier": 1 }, "generation": "x" },
            "spec": {
                "containers": [{
                    "name": "gateway",
                    "resources": { "limits": { "cpu": 1, "memory": 2.5 } },
                    "ports": "all",
                    "volumeMounts": [{ "name": "data", "mountPath": "/data", "readOnly": "no" }],
                }],
                "initContainers": null,
                "volumes": [{ "name": "data", "emptyDir": [] }],
                "hostNetwork": 1,
            },
            "status": [],
        });
        let pod = Pod::deserialize(pod).unwrap();
        assert_eq!(pod.name(), Some("gw-0"));
        assert!(pod.has_labels());
        assert!(pod.init_containers().is_none());
        assert_eq!(pod.volumes().collect::<Vec<_>>(), ["data"]);
        assert_eq!(pod.mounts().next().unwrap().mount_path, "/data");
    }

    #[test]
    fn null_is_absent() {
        let pods = [
            json!({}),
            json!({ "metadata": null, "spec": null }),
            json!({
                "metadata": { "name": null, "annotations": null, "labels": null },
                "spec": { "containers": null, "volumes": null },
            }),
            json!({ "metadata": { "annotations": { "stoker.io/inject": null } } }),
            json!({ "spec": { "containers": [{ "name": null, "volumeMounts": null }] } }),
        ];
        for pod in pods {
            let pod = Pod::deserialize(pod).unwrap();
            assert_eq!(pod.name(), None);
            assert_eq!(pod.annotation("stoker.io/inject"), None);
            assert!(!pod.has_labels() && !pod.has_volumes());
            assert!(pod.mounts().next().is_none());
        }
    }

    #[test]
    fn elements_without_a_name_are_not_kept() {
        let empty = json!([{}, { "name": null }, { "name": "" }]);
        let pod = json!({ "spec": {
            "containers": [{}, { "name": "gateway", "volumeMounts": empty }],
            "initContainers": empty,
            "volumes": empty,
        } });
        let pod = Pod::deserialize(pod).unwrap();
        assert_eq!(pod.spec.containers.0.len(), 1);
        assert!(pod.mounts().next().is_none() && pod.volumes().next().is_none());
        // The patch appends to the lists that the pod has.
        assert!(pod.init_containers().is_some_and(<[_]>::is_empty) && pod.has_volumes());
    }

    #[test]
    fn the_fields_that_are_read_have_a_type() {
        for pod in [
            json!("pod"),
            json!({ "metadata": { "annotations": { "a": 1 } } }),
            json!({ "spec": { "volumes": {} } }),
            json!({ "spec": { "containers": [{ "name": 1 }] } }),
        ] {
            assert!(Pod::deserialize(&pod).is_err(), "{pod}");
        }
    }
}
