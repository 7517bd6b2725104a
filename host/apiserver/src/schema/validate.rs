//! Validates a value against a schema. Every violation is one [`Cause`].

use serde_json::{Map, Value};

use super::shape::join;
use super::{Kind, ListKind, Schema, type_of};
use crate::status::Cause;

impl Schema {
    /// The violations of `value`, in the order of its fields.
    pub(crate) fn validate(&self, value: &Value) -> Vec<Cause> {
        let mut causes = Vec::new();
        self.check(value, "", &mut causes);
        // As in Kubernetes, rules only see values of the right form.
        if causes.is_empty() {
            self.check_rules(value, "", &mut causes);
        }
        causes
    }

    /// Checks the rules of the field at `path`, and those of the fields in it.
    fn check_rules(&self, value: &Value, path: &str, causes: &mut Vec<Cause>) {
        if value.is_null() {
            return;
        }
        for why in self.rules.iter().filter_map(|rule| rule.broken_by(value)) {
            // An object is too large for a message, which then contains its type.
            let shown = match value {
                Value::Object(_) | Value::Array(_) => Value::from(type_of(value)),
                scalar => scalar.clone(),
            };
            causes.push(Cause::invalid(path, &shown, &why));
        }
        match value {
            Value::Array(list) => {
                for (index, item) in list.iter().enumerate() {
                    if let Some(schema) = &self.items {
                        schema.check_rules(item, &format!("{path}[{index}]"), causes);
                    }
                }
            }
            Value::Object(object) => {
                for (key, value) in object {
                    if let Some(field) = self.field(key) {
                        field.check_rules(value, &join(path, key), causes);
                    }
                }
            }
            _ => {}
        }
    }

    /// Validates the field at `path` of its object.
    pub(crate) fn check(&self, value: &Value, path: &str, causes: &mut Vec<Cause>) {
        if value.is_null() && self.nullable {
            return;
        }
        if !self.has_kind(value) {
            let why = format!(
                "{} must be of type {}: \"{}\"",
                body(path),
                self.kind.name(),
                type_of(value)
            );
            causes.push(Cause::wrong_type(path, type_of(value), &why));
            return;
        }
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            causes.push(Cause::unsupported(path, value, &self.allowed));
        }
        match value {
            Value::String(text) => self.check_text(text, path, causes),
            Value::Number(number) => {
                let why = number
                    .as_f64()
                    .and_then(|number| self.bounds.broken_by(number));
                if let Some(why) = why {
                    causes.push(Cause::invalid(
                        path,
                        value,
                        &format!("{} {why}", body(path)),
                    ));
                }
            }
            Value::Array(list) => self.check_list(list, path, causes),
            Value::Object(object) => self.check_object(object, path, causes),
            _ => {}
        }
        self.check_combined(value, path, causes);
    }

    fn has_kind(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Any => true,
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
            Kind::String => value.is_string(),
            Kind::Integer => is_integer(value),
            Kind::Number => value.is_number(),
            Kind::Boolean => value.is_boolean(),
            Kind::IntOrString => value.is_string() || is_integer(value),
        }
    }

    fn check_text(&self, text: &str, path: &str, causes: &mut Vec<Cause>) {
        let value = || Value::from(text);
        let length = text.chars().count() as u64;
        if let Some(limit) = self.bounds.min_length.filter(|limit| length < *limit) {
            let why = format!("{} should be at least {limit} chars long", body(path));
            causes.push(Cause::invalid(path, &value(), &why));
        }
        if let Some(limit) = self.bounds.max_length.filter(|limit| length > *limit) {
            causes.push(Cause::too_long(path, limit));
        }
        if let Some(pattern) = self
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.is_match(text))
        {
            let why = format!("{} should match '{pattern}'", body(path));
            causes.push(Cause::invalid(path, &value(), &why));
        }
        if let Some(format) = self
            .format
            .as_ref()
            .filter(|name| !super::format::holds(name, text))
        {
            let why = format!("{} must be of type {format}: {:?}", body(path), text);
            causes.push(Cause::invalid(path, &value(), &why));
        }
    }

    fn check_list(&self, list: &[Value], path: &str, causes: &mut Vec<Cause>) {
        let length = list.len() as u64;
        if let Some(limit) = self.bounds.min_items.filter(|limit| length < *limit) {
            let why = format!("{} should have at least {limit} items", body(path));
            causes.push(Cause::invalid(path, &Value::from(list), &why));
        }
        if let Some(limit) = self.bounds.max_items.filter(|limit| length > *limit) {
            causes.push(Cause::too_many(path, list.len(), limit));
        }
        let unique = self.bounds.unique_items || self.list != ListKind::Atomic;
        for (index, item) in list.iter().enumerate() {
            let at = format!("{path}[{index}]");
            if let Some(schema) = &self.items {
                schema.check(item, &at, causes);
            }
            let key = self.item_key(item);
            if unique
                && list[..index]
                    .iter()
                    .any(|other| self.item_key(other) == key)
            {
                causes.push(Cause::duplicate(at, &key));
            }
        }
    }

    /// The identity of an item of this list.
    fn item_key(&self, item: &Value) -> Value {
        let ListKind::Map(keys) = &self.list else {
            return item.clone();
        };
        let named = keys
            .iter()
            .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
        Value::Object(named.collect())
    }

    fn check_object(&self, object: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
        for name in self
            .required
            .iter()
            .filter(|name| !object.contains_key(*name))
        {
            causes.push(Cause::required(join(path, name), ""));
        }
        let count = object.len() as u64;
        if let Some(limit) = self.bounds.min_properties.filter(|limit| count < *limit) {
            let why = format!("{} should have at least {limit} properties", body(path));
            causes.push(Cause::invalid(path, &Value::Object(object.clone()), &why));
        }
        if let Some(limit) = self.bounds.max_properties.filter(|limit| count > *limit) {
            causes.push(Cause::too_many(path, object.len(), limit));
        }
        for (key, value) in object {
            if let Some(field) = self.field(key) {
                field.check(value, &join(path, key), causes);
            }
        }
    }

    fn check_combined(&self, value: &Value, path: &str, causes: &mut Vec<Cause>) {
        let fits = |schema: &Self| schema.validate(value).is_empty();
        let mut complain = |why: &str| {
            let why = format!("{} {why}", quoted(path));
            causes.push(Cause::invalid(path, value, &why));
        };
        if !self.all_of.iter().all(fits) {
            complain("must validate all the schemas (allOf)");
        }
        if !self.any_of.is_empty() && !self.any_of.iter().any(fits) {
            complain("must validate at least one schema (anyOf)");
        }
        if !self.one_of.is_empty() && self.one_of.iter().filter(|one| fits(one)).count() != 1 {
            complain("must validate one and only one schema (oneOf)");
        }
        if self.not.as_deref().is_some_and(fits) {
            complain("must not validate the schema (not)");
        }
    }
}

impl super::Bounds {
    fn broken_by(&self, number: f64) -> Option<String> {
        if let Some(limit) = self.minimum {
            if self.exclusive_minimum && number <= limit {
                return Some(format!("should be greater than {limit}"));
            }
            if number < limit {
                return Some(format!("should be greater than or equal to {limit}"));
            }
        }
        if let Some(limit) = self.maximum {
            if self.exclusive_maximum && number >= limit {
                return Some(format!("should be less than {limit}"));
            }
            if number > limit {
                return Some(format!("should be less than or equal to {limit}"));
            }
        }
        let step = self
            .multiple_of
            .filter(|step| (number / step).fract() != 0.0)?;
        Some(format!("should be a multiple of {step}"))
    }
}

/// Returns whether a number is an integer. JSON has one type of number, so `2.0` is an integer.
fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn body(path: &str) -> String {
    if path.is_empty() {
        "in body".to_owned()
    } else {
        format!("{path} in body")
    }
}

fn quoted(path: &str) -> String {
    format!("\"{path}\"")
}
