//! Failures, as the `Status` objects that a client receives.
//!
//! Every refused request is a [`Failure`]. The messages are those of Kubernetes,
//! because clients and people compare them.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::resource::GroupResource;

/// The name of this server in messages about missing features.
const SERVER: &str = "the embedded API server";

/// A refused request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// `Null` if there are no details.
    pub(crate) details: Value,
}

/// One invalid field, with the reason.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A feature of Kubernetes that this server does not implement.
    pub(crate) fn not_implemented(what: impl fmt::Display) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("{SERVER} does not implement {what}"),
        )
    }

    /// An unknown path under `/api` or `/apis`.
    pub(crate) fn no_such_resource(what: impl fmt::Display) -> Self {
        Self::new(
            404,
            "NotFound",
            format!(
                "the server could not find the requested resource: {SERVER} does not implement {what}"
            ),
        )
    }

    pub(crate) fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::about(
            404,
            "NotFound",
            resource,
            name,
            format!("{resource} \"{name}\" not found"),
        )
    }

    pub(crate) fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::about(
            409,
            "AlreadyExists",
            resource,
            name,
            format!("{resource} \"{name}\" already exists"),
        )
    }

    pub(crate) fn conflict(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::about(409, "Conflict", resource, name, message)
    }

    /// The object has changed since the client read it.
    pub(crate) fn modified(resource: &GroupResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn forbidden(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("{resource} \"{name}\" is forbidden: {why}");
        Self::about(403, "Forbidden", resource, name, message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn unsupported_media(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    /// An object with invalid fields.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let lines: Vec<String> = causes.iter().map(ToString::to_string).collect();
        let what = if lines.len() == 1 {
            lines.concat()
        } else {
            format!("[{}]", lines.join(", "))
        };
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let mut failure = Self::new(
            422,
            "Invalid",
            format!("{qualified} \"{name}\" is invalid: {what}"),
        );
        failure.details = details(group, kind, name);
        failure.with_causes(causes)
    }

    pub(crate) fn with_causes(mut self, causes: &[Cause]) -> Self {
        let listed = causes.iter().map(Cause::to_value).collect();
        match &mut self.details {
            Value::Object(details) => {
                details.insert("causes".into(), Value::Array(listed));
            }
            other => *other = json!({ "causes": Value::Array(listed) }),
        }
        self
    }

    fn about(
        code: u16,
        reason: &'static str,
        resource: &GroupResource,
        name: &str,
        message: String,
    ) -> Self {
        let details = details(&resource.group, &resource.plural, name);
        Self {
            details,
            ..Self::new(code, reason, message)
        }
    }

    /// The `Status` object.
    pub(crate) fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

fn details(group: &str, kind: &str, name: &str) -> Value {
    let mut details = Map::new();
    for (key, text) in [("name", name), ("group", group), ("kind", kind)] {
        if !text.is_empty() {
            details.insert(key.into(), text.into());
        }
    }
    Value::Object(details)
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, more: &str) -> Self {
        let message = if more.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {more}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    pub(crate) fn wrong_type(field: impl Into<String>, found: &str, why: &str) -> Self {
        let message = format!("Invalid value: \"{found}\": {why}");
        Self {
            reason: "FieldValueTypeInvalid",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn unsupported(
        field: impl Into<String>,
        value: &Value,
        supported: &[Value],
    ) -> Self {
        let known: Vec<String> = supported.iter().map(ToString::to_string).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            known.join(", ")
        );
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn too_long(field: impl Into<String>, limit: u64) -> Self {
        let message = format!("Too long: may not be more than {limit} bytes");
        Self {
            reason: "FieldValueTooLong",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn too_many(field: impl Into<String>, found: usize, limit: u64) -> Self {
        let message = format!("Too many: {found}: must have at most {limit} items");
        Self {
            reason: "FieldValueTooMany",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value}"),
        }
    }

    pub(crate) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {why}"),
        }
    }

    fn to_value(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.field, self.message)
    }
}

/// The `Status` of a completed deletion.
pub(crate) fn deleted(resource: &GroupResource, name: &str, uid: &str) -> Value {
    let mut status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
    status["details"] = details(&resource.group, &resource.plural, name);
    status["details"]["uid"] = uid.into();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_wrong_fields_are_listed_in_one_message() {
        let causes = [
            Cause::required("spec.a", ""),
            Cause::invalid("spec.b", &json!("x"), "no"),
        ];
        let failure = Failure::invalid("stoker.io", "GatewaySync", "x", &causes);
        assert_eq!(
            failure.message,
            "GatewaySync.stoker.io \"x\" is invalid: [spec.a: Required value, spec.b: Invalid value: \"x\": no]"
        );
        let status = failure.to_value();
        assert_eq!(status["code"], 422);
        assert_eq!(status["details"]["causes"][1]["field"], "spec.b");
        assert_eq!(status["details"]["kind"], "GatewaySync");
    }

    #[test]
    fn core_resources_are_named_without_a_group() {
        let failure = Failure::not_found(&GroupResource::new("", "configmaps"), "x");
        assert_eq!(failure.message, "configmaps \"x\" not found");
        assert_eq!(
            failure.details,
            json!({ "name": "x", "kind": "configmaps" })
        );
    }
}
