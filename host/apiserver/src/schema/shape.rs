//! Prunes an object and sets its defaults.

use serde_json::{Map, Value};

use super::{Kind, Schema};

impl Schema {
    /// Removes the fields that the schema does not declare, and returns their paths, sorted.
    pub(crate) fn prune(&self, value: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        self.prune_at(value, "", &mut unknown);
        unknown.sort();
        unknown
    }

    fn prune_at(&self, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
        match value {
            Value::Object(object) => self.prune_object(object, path, unknown),
            Value::Array(list) => {
                if let Some(items) = &self.items {
                    for (index, item) in list.iter_mut().enumerate() {
                        items.prune_at(item, &format!("{path}[{index}]"), unknown);
                    }
                }
            }
            _ => {}
        }
    }

    fn prune_object(&self, object: &mut Map<String, Value>, path: &str, unknown: &mut Vec<String>) {
        let strict = self.kind == Kind::Object && !self.preserve_unknown;
        object.retain(|key, value| {
            let at = join(path, key);
            match self.field(key) {
                Some(field) => field.prune_at(value, &at, unknown),
                None if strict => {
                    unknown.push(at);
                    return false;
                }
                None => {}
            }
            true
        });
    }

    /// Sets the defaults of missing fields. A null that the schema does not allow counts as missing if
    /// it has a default.
    pub(crate) fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (name, field) in &self.properties {
                    let Some(default) = &field.default else {
                        continue;
                    };
                    let missing = match object.get(name) {
                        None => true,
                        Some(Value::Null) => !field.nullable,
                        Some(_) => false,
                    };
                    if missing {
                        object.insert(name.clone(), default.clone());
                    }
                }
                for (key, value) in object {
                    if let Some(field) = self.field(key) {
                        field.fill(value);
                    }
                }
            }
            Value::Array(list) => {
                if let Some(items) = &self.items {
                    for item in list {
                        items.fill(item);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Appends a step to a path for messages.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
