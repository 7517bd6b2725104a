//! Resources, and the registry that finds one by its path.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::schema::Schema;
use crate::table::Column;

/// A resource without its version, by which objects are stored and named in messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupResource {
    pub(crate) group: String,
    pub(crate) plural: String,
}

impl GroupResource {
    pub(crate) fn new(group: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.plural)?;
        if self.group.is_empty() {
            Ok(())
        } else {
            write!(out, ".{}", self.group)
        }
    }
}

/// One served resource in one version.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) name: GroupResource,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Whether a custom resource definition defines it.
    pub(crate) custom: bool,
    /// Whether `status` has a path of its own.
    pub(crate) status: bool,
    pub(crate) rules: Rules,
    pub(crate) schema: Schema,
    /// The source of the schema, for `OpenAPI` documents.
    pub(crate) source: Value,
    pub(crate) columns: Vec<Column>,
    pub(crate) view: View,
    /// Paths that a field selector may use.
    pub(crate) selectable: Vec<&'static str>,
}

/// The difference between a resource's objects and the stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// None.
    Plain,
    /// Events in the newer form, stored in the older one.
    Events,
}

/// Rules of writes that differ between resources.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// Changes outside of metadata and status increment `metadata.generation`.
    pub(crate) generation: bool,
    /// A replacement may omit the resource version.
    pub(crate) unconditional: bool,
    /// A replacement creates an object that does not exist.
    pub(crate) upsert: bool,
}

impl Resource {
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.name.group, &self.version)
    }

    /// The name under which the objects are stored. It differs for a second view of the same objects.
    pub(crate) fn stored_as(&self) -> GroupResource {
        if self.view == View::Events {
            GroupResource::new("", "events")
        } else {
            self.name.clone()
        }
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.name.group == group && self.name.plural == plural
    }
}

/// The verbs of every resource.
pub(crate) const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// `group/version`, or only the version for the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// All resources.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    resources: BTreeMap<(String, String, String), Arc<Resource>>,
}

impl Registry {
    pub(crate) fn add(&mut self, resource: Resource) {
        let key = (
            resource.name.group.clone(),
            resource.version.clone(),
            resource.name.plural.clone(),
        );
        self.resources.insert(key, Arc::new(resource));
    }

    /// Stops serving a resource in all its versions.
    pub(crate) fn remove(&mut self, name: &GroupResource) {
        self.resources.retain(|_, resource| resource.name != *name);
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        self.resources.get(&key).cloned()
    }

    /// Any version of a stored resource.
    pub(crate) fn any(&self, name: &GroupResource) -> Option<&Arc<Resource>> {
        self.all().find(|one| one.name == *name)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    pub(crate) fn of_version(&self, group: &str, version: &str) -> Vec<&Arc<Resource>> {
        self.all()
            .filter(|one| one.name.group == group && one.version == version)
            .collect()
    }

    /// The groups and their versions. The core group and the preferred versions are first.
    pub(crate) fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for resource in self.all() {
            let (group, version) = (&resource.name.group, &resource.version);
            match groups.iter_mut().find(|(name, _)| name == group) {
                Some((_, versions)) if versions.contains(version) => {}
                Some((_, versions)) => versions.push(version.clone()),
                None => groups.push((group.clone(), vec![version.clone()])),
            }
        }
        for (_, versions) in &mut groups {
            versions.sort_by_key(|version| priority(version));
        }
        groups
    }
}

/// Stable versions come before betas, betas before alphas, and newer ones before older ones.
fn priority(version: &str) -> (u8, std::cmp::Reverse<u64>, std::cmp::Reverse<u64>) {
    let rest = version.strip_prefix('v').unwrap_or_default();
    let split = |word: &str| {
        let (major, minor) = rest.split_once(word)?;
        Some((major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?))
    };
    let (rank, (major, minor)) = if let Ok(major) = rest.parse::<u64>() {
        (0, (major, 0))
    } else if let Some(found) = split("beta") {
        (1, found)
    } else if let Some(found) = split("alpha") {
        (2, found)
    } else {
        (3, (0, 0))
    };
    (rank, std::cmp::Reverse(major), std::cmp::Reverse(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_version_is_the_most_mature_one() {
        let mut versions = ["v1alpha1", "v1", "v2beta1", "v1beta2", "v2", "other"];
        versions.sort_by_key(|version| priority(version));
        assert_eq!(
            versions,
            ["v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "other"]
        );
    }
}
