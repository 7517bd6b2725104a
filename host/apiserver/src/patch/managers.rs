//! `metadata.managedFields`: the owners of fields, and how writes change them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fields::{self, FieldSet, Fields};
use crate::time;

/// The identity of a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) apply: bool,
    pub(crate) api_version: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

/// A manager with the fields it owns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owned {
    pub(crate) manager: Manager,
    pub(crate) fields: FieldSet,
    time: Value,
}

/// All owners of an object's fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Owners(pub(crate) Vec<Owned>);

impl Owners {
    /// Reads the owners from an object.
    pub(crate) fn of(object: &Value) -> Self {
        let entries = object["metadata"]["managedFields"].as_array();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let read = |entry: &Value| Owned {
            manager: Manager {
                name: text(&entry["manager"]),
                apply: entry["operation"] == "Apply",
                api_version: text(&entry["apiVersion"]),
                subresource: text(&entry["subresource"]),
            },
            fields: fields::parse(&entry["fieldsV1"]),
            time: entry["time"].clone(),
        };
        // A client removes all owners with one empty entry.
        let known = |entry: &&Value| entry["operation"].is_string();
        Self(
            entries
                .into_iter()
                .flatten()
                .filter(known)
                .map(read)
                .collect(),
        )
    }

    /// Writes the owners to an object.
    pub(crate) fn write(&self, object: &mut Value) {
        let Some(metadata) = object["metadata"].as_object_mut() else {
            return;
        };
        if self.0.is_empty() {
            metadata.remove("managedFields");
            return;
        }
        metadata.insert(
            "managedFields".into(),
            self.0.iter().map(Owned::to_value).collect(),
        );
    }

    /// The fields that a manager owns.
    pub(crate) fn fields_of(&self, manager: &Manager) -> FieldSet {
        self.0
            .iter()
            .find(|one| one.manager == *manager)
            .map(|one| one.fields.clone())
            .unwrap_or_default()
    }

    /// The fields that other managers own.
    pub(crate) fn fields_of_others(&self, manager: &Manager) -> FieldSet {
        let others = self.0.iter().filter(|one| one.manager != *manager);
        others.flat_map(|one| one.fields.iter().cloned()).collect()
    }

    /// Records an update: the writer becomes the only owner of the changed fields.
    pub(crate) fn updated(&mut self, manager: &Manager, before: &Fields, after: &Fields) {
        let changed = fields::changed(before, after);
        let present = fields::set_of(after);
        self.take_from_others(manager, &changed, &present);
        let mut own = self.fields_of(manager);
        own.extend(changed);
        own.retain(|path| present.contains(path));
        self.set(manager, own);
    }

    /// Records an apply: the writer owns exactly the fields that it sent.
    pub(crate) fn applied(
        &mut self,
        manager: &Manager,
        own: FieldSet,
        changed: &FieldSet,
        present: &FieldSet,
    ) {
        self.take_from_others(manager, changed, present);
        self.set(manager, own);
    }

    fn take_from_others(&mut self, manager: &Manager, changed: &FieldSet, present: &FieldSet) {
        for other in self.0.iter_mut().filter(|one| one.manager != *manager) {
            other
                .fields
                .retain(|path| present.contains(path) && !changed.contains(path));
        }
        self.0
            .retain(|one| one.manager == *manager || !one.fields.is_empty());
    }

    fn set(&mut self, manager: &Manager, own: FieldSet) {
        match self.0.iter_mut().find(|one| one.manager == *manager) {
            Some(entry) if entry.fields != own => {
                entry.fields = own;
                entry.time = time::now().into();
            }
            Some(_) => {}
            None => {
                let time = time::now().into();
                self.0.push(Owned {
                    manager: manager.clone(),
                    fields: own,
                    time,
                });
            }
        }
        self.0.retain(|one| !one.fields.is_empty());
    }

    /// The other owners of the fields that an apply would change, with these fields.
    pub(crate) fn conflicts<'a>(
        &'a self,
        manager: &Manager,
        changed: &'a FieldSet,
    ) -> Vec<(&'a Owned, BTreeSet<&'a fields::Path>)> {
        let others = self.0.iter().filter(|one| one.manager != *manager);
        let both = others.map(|one| {
            (
                one,
                one.fields.intersection(changed).collect::<BTreeSet<_>>(),
            )
        });
        both.filter(|(_, fields)| !fields.is_empty()).collect()
    }
}

impl Owned {
    fn to_value(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager.name,
            "operation": if self.manager.apply { "Apply" } else { "Update" },
            "apiVersion": self.manager.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields::to_value(&self.fields),
        });
        if !self.manager.subresource.is_empty() {
            entry["subresource"] = self.manager.subresource.clone().into();
        }
        entry
    }

    /// The name of the owner in a conflict's message.
    pub(crate) fn shown(&self) -> String {
        let Manager {
            name,
            apply,
            api_version,
            subresource,
        } = &self.manager;
        let through = if subresource.is_empty() {
            String::new()
        } else {
            format!(" with subresource {subresource:?}")
        };
        let using = if *apply {
            String::new()
        } else {
            format!(" using {api_version}")
        };
        let since = self
            .time
            .as_str()
            .filter(|_| !apply)
            .map(|time| format!(" at {time}"));
        format!("{name:?}{through}{using}{}", since.unwrap_or_default())
    }
}
