//! Compiles a schema from its JSON form.

use regex::Regex;
use serde_json::{Map, Value};

use super::rule::Rule;
use super::{Bounds, Kind, ListKind, Schema, Strategy};

/// Keywords of Kubernetes that this server does not implement.
const UNIMPLEMENTED: [&str; 1] = ["x-kubernetes-embedded-resource"];
/// Keywords that are forbidden in a structural schema.
const FORBIDDEN: [&str; 7] = [
    "$ref",
    "$schema",
    "id",
    "definitions",
    "dependencies",
    "patternProperties",
    "additionalItems",
];
/// Keywords without a meaning for an object's content.
const DESCRIPTIVE: [&str; 4] = ["description", "title", "example", "externalDocs"];

/// The reason why a schema did not compile.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// Kubernetes would accept the schema.
    Unimplemented(String),
    /// Kubernetes would also refuse the schema.
    Invalid { path: String, why: String },
}

impl Schema {
    /// Compiles the schema at `path` of its definition.
    pub(crate) fn compile(source: &Value, path: &str) -> Result<Self, Refusal> {
        Compiler {
            inside_value: false,
        }
        .schema(source, path)
    }
}

#[derive(Clone, Copy)]
struct Compiler {
    /// In `allOf`, `anyOf`, `oneOf` and `not`, a schema restricts a value and needs no type.
    inside_value: bool,
}

fn invalid(path: &str, why: impl Into<String>) -> Refusal {
    Refusal::Invalid {
        path: path.to_owned(),
        why: why.into(),
    }
}

impl Compiler {
    fn schema(self, source: &Value, path: &str) -> Result<Schema, Refusal> {
        let Value::Object(source) = source else {
            return Err(invalid(path, "must be an object"));
        };
        let mut schema = Schema::default();
        for (key, value) in source {
            self.keyword(&mut schema, key, value, path)?;
        }
        if source.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            schema.kind = Kind::IntOrString;
            // These alternatives only repeat the type.
            schema.any_of.clear();
        }
        if let Some(keys) = source.get("x-kubernetes-list-map-keys") {
            schema.list = ListKind::Map(texts(keys, path)?);
        } else if matches!(schema.list, ListKind::Map(_)) {
            return Err(invalid(
                &format!("{path}.x-kubernetes-list-map-keys"),
                "must not be empty for a list of type map",
            ));
        }
        if schema.kind == Kind::Any && !schema.preserve_unknown && !self.inside_value {
            return Err(invalid(
                &format!("{path}.type"),
                "must not be empty for specified object fields",
            ));
        }
        Ok(schema)
    }

    fn keyword(
        self,
        schema: &mut Schema,
        key: &str,
        value: &Value,
        path: &str,
    ) -> Result<(), Refusal> {
        let at = format!("{path}.{key}");
        match key {
            "type" => schema.kind = kind(value, &at)?,
            "properties" => {
                for (name, source) in object(value, &at)? {
                    let field = self.schema(source, &format!("{at}[{name}]"))?;
                    schema.properties.insert(name.clone(), field);
                }
            }
            "additionalProperties" => schema.additional = self.additional(value, &at)?,
            "items" => schema.items = Some(Box::new(self.schema(value, &at)?)),
            "required" => schema.required = texts(value, &at)?,
            "default" => schema.default = Some(value.clone()),
            "nullable" => schema.nullable = value == true,
            "enum" => schema.allowed = value.as_array().cloned().unwrap_or_default(),
            "format" => schema.format = value.as_str().map(ToOwned::to_owned),
            "pattern" => schema.pattern = Some(pattern(value, &at)?),
            "allOf" => schema.all_of = restrictions(value, &at)?,
            "anyOf" => schema.any_of = restrictions(value, &at)?,
            "oneOf" => schema.one_of = restrictions(value, &at)?,
            "not" => schema.not = Some(Box::new(Self { inside_value: true }.schema(value, &at)?)),
            "x-kubernetes-preserve-unknown-fields" => schema.preserve_unknown = value == true,
            "x-kubernetes-list-type" => schema.list = list_kind(value, &at)?,
            "x-kubernetes-map-type" => schema.atomic = value == "atomic",
            "x-kubernetes-patch-strategy" if value == "merge" => schema.strategy = Strategy::Merge,
            "x-kubernetes-validations" => schema.rules = rules(value, &at)?,
            "x-kubernetes-int-or-string"
            | "x-kubernetes-list-map-keys"
            | "x-kubernetes-patch-merge-key" => {}
            _ if DESCRIPTIVE.contains(&key) => {}
            _ if FORBIDDEN.contains(&key) => return Err(invalid(&at, "is not supported")),
            _ if UNIMPLEMENTED.contains(&key) => {
                return Err(Refusal::Unimplemented(format!("{key} ({at})")));
            }
            _ if bound(&mut schema.bounds, key, value) => {}
            _ => {
                return Err(Refusal::Unimplemented(format!(
                    "the schema keyword {key} ({at})"
                )));
            }
        }
        Ok(())
    }

    fn additional(self, value: &Value, at: &str) -> Result<Option<Box<Schema>>, Refusal> {
        match value {
            Value::Bool(false) => Ok(None),
            Value::Bool(true) => Ok(Some(Box::new(Schema {
                preserve_unknown: true,
                ..Schema::default()
            }))),
            other => self.schema(other, at).map(|schema| Some(Box::new(schema))),
        }
    }
}

/// Reads a numeric limit. An error names `key`.
fn bound(bounds: &mut Bounds, key: &str, value: &Value) -> bool {
    let (count, number, flag) = (value.as_u64(), value.as_f64(), value == true);
    match key {
        "minimum" => bounds.minimum = number,
        "maximum" => bounds.maximum = number,
        "exclusiveMinimum" => bounds.exclusive_minimum = flag,
        "exclusiveMaximum" => bounds.exclusive_maximum = flag,
        "multipleOf" => bounds.multiple_of = number,
        "minLength" => bounds.min_length = count,
        "maxLength" => bounds.max_length = count,
        "minItems" => bounds.min_items = count,
        "maxItems" => bounds.max_items = count,
        "uniqueItems" => bounds.unique_items = flag,
        "minProperties" => bounds.min_properties = count,
        "maxProperties" => bounds.max_properties = count,
        _ => return false,
    }
    true
}

fn kind(value: &Value, at: &str) -> Result<Kind, Refusal> {
    Ok(match value.as_str() {
        Some("object") => Kind::Object,
        Some("array") => Kind::Array,
        Some("string") => Kind::String,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        _ => return Err(invalid(at, format!("unsupported type {value}"))),
    })
}

fn list_kind(value: &Value, at: &str) -> Result<ListKind, Refusal> {
    Ok(match value.as_str() {
        Some("atomic") => ListKind::Atomic,
        Some("set") => ListKind::Set,
        Some("map") => ListKind::Map(Vec::new()),
        _ => {
            return Err(invalid(
                at,
                format!(
                    "unsupported value {value}: supported values: \"atomic\", \"map\", \"set\""
                ),
            ));
        }
    })
}

fn pattern(value: &Value, at: &str) -> Result<Regex, Refusal> {
    let text = value.as_str().unwrap_or_default();
    Regex::new(text).map_err(|_| invalid(at, format!("must be a valid regular expression: {text}")))
}

fn restrictions(value: &Value, at: &str) -> Result<Vec<Schema>, Refusal> {
    let compiler = Compiler { inside_value: true };
    let list = value
        .as_array()
        .ok_or_else(|| invalid(at, "must be a list"))?;
    list.iter()
        .enumerate()
        .map(|(index, one)| compiler.schema(one, &format!("{at}[{index}]")))
        .collect()
}

fn rules(value: &Value, at: &str) -> Result<Vec<Rule>, Refusal> {
    let list = value
        .as_array()
        .ok_or_else(|| invalid(at, "must be a list"))?;
    let rules = list.iter().enumerate();
    rules
        .map(|(index, rule)| Rule::compile(rule, &format!("{at}[{index}]")))
        .collect()
}

fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value
        .as_object()
        .ok_or_else(|| invalid(at, "must be an object"))
}

fn texts(value: &Value, at: &str) -> Result<Vec<String>, Refusal> {
    let list = value
        .as_array()
        .ok_or_else(|| invalid(at, "must be a list"))?;
    Ok(list
        .iter()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect())
}
