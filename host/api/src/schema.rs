//! Adjustments of the derived schema of the custom resource.

use schemars::transform::transform_subschemas;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// Removes `null` from the type of every optional field.
///
/// An API server drops a null value and applies the default if the schema does not allow null. If the schema allows
/// it, the server keeps the null value and does not apply the default.
pub(super) fn without_null(schema: &mut Schema) {
    transform_subschemas(&mut without_null, schema);
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(inner) = optional(fields) {
        fields.remove("anyOf");
        for (name, value) in inner {
            fields.entry(name).or_insert(value);
        }
    }
}

/// Returns the schema of `T` if `fields` are the schema of an `Option<T>`.
fn optional(fields: &Map<String, Value>) -> Option<Map<String, Value>> {
    let [Value::Object(inner), null] = fields.get("anyOf")?.as_array()?.as_slice() else {
        return None;
    };
    (null == &json!({ "type": "null" })).then(|| inner.clone())
}

/// Returns the schema of a container's resource requirements. The value is passed on unchanged.
pub(super) fn resource_requirements(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "claims": {
                "description": "The names of the pod's resource claims that the container uses.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": { "type": "string" },
                        "request": { "type": "string" },
                    },
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "limits": quantities("The maximum of each resource that the container may use."),
            "requests": quantities("The amount of each resource that the container requests."),
        },
    })
}

fn quantities(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": {
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
            "x-kubernetes-int-or-string": true,
        },
    })
}

/// Returns the schema of a set of plugin names, which are DNS labels.
///
/// The set must not be empty, because an empty set would exclude every plugin.
pub(super) fn detectors(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "The names of the plugins that may detect refs for this object. Without this list, every plugin may.",
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        },
        "x-kubernetes-list-type": "set",
    })
}

/// Returns the schema of a set of addresses and networks. A host name is not an address.
pub(super) fn allowed_sources(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "The addresses from which webhooks for this object are accepted, as IP addresses or in CIDR notation. Without this list, every address is accepted that the receiver accepts.",
        "type": "array",
        "minItems": 1,
        "maxItems": 256,
        "items": {
            "type": "string",
            "minLength": 2,
            "maxLength": 49,
            "pattern": network_pattern(),
        },
        "x-kubernetes-list-type": "set",
    })
}

/// Returns a regular expression for addresses and networks, with the prefix lengths of IPv4 (RFC 4632 §3.1) and IPv6 (RFC
/// 4291 §2.3).
///
/// An API server shows the expression to whoever writes something else. It therefore checks the groups of IPv6 only by
/// their characters, which keeps it short. The receiver parses the text.
fn network_pattern() -> String {
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let v4 = format!(r"({octet}\.){{3}}{octet}(/(3[0-2]|[12]?[0-9]))?");
    let v6 = "[0-9a-fA-F.:]*:[0-9a-fA-F.:]*(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?";
    format!("^({v4}|{v6})$")
}

/// Returns the schema of a list of patterns of refs. Their order has no meaning, because exclusions have precedence.
pub(super) fn ref_patterns(_: &mut SchemaGenerator) -> Schema {
    patterns(
        "The refs that webhooks may request, as patterns in which `*` matches any text without `/` and `**` matches any text. A pattern without `refs/` matches tags and branches. A pattern that starts with `!` excludes refs. Without this list, all tags and branches are accepted, except for the temporary branches of a merge queue.",
    )
}

/// Returns the schema of a list of patterns of events.
pub(super) fn event_patterns(_: &mut SchemaGenerator) -> Schema {
    patterns(
        "The events that are accepted, as the plugins name them, such as `push` or `release.*`. A pattern that starts with `!` excludes events. A webhook without an event is accepted if all patterns exclude. Without this list, all events are accepted.",
    )
}

fn patterns(description: &str) -> Schema {
    json_schema!({
        "description": description,
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
            "pattern": r"^!?[^!\s][^\s]*$",
        },
        "x-kubernetes-list-type": "set",
    })
}

/// Returns the schema of a list of conditions with the limits of Kubernetes. Each type occurs at most once.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    let type_pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "message": { "type": "string", "maxLength": 32768 },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0 },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "type": { "type": "string", "maxLength": 316, "pattern": type_pattern },
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// Returns the rules of a repository with its credentials. They refuse only what can never be resolved. Any credentials for
/// `git://`, which has none, and a token or a GitHub App for ssh are not refused, because objects for the Go operator
/// have them: `RefResolved` reports them.
pub(super) fn git_source_rules() -> Value {
    let url = r"self.repo.matches('^(?i:https?|ssh|git)://|^[^/:]+:/?[^/]')";
    let fits = "!has(self.auth) \
         || !has(self.auth.sshKey) || has(self.auth.token) || has(self.auth.githubApp) \
         || !self.repo.matches('^(?i:https?)://')";
    json!([
        {
            "rule": url,
            "message": "repo must be a URL such as https://github.com/org/repo.git, with the scheme https, http, ssh or git, or have the form user@host:path or host:path",
        },
        {
            "rule": fits,
            "message": "auth.sshKey does not fit repo: use auth.token or auth.githubApp with https and http, or an address such as git@github.com:org/repo.git",
        },
    ])
}

/// Returns the rules of a GitHub App.
pub(super) fn github_app_rules() -> Value {
    json!([{
        "rule": "!has(self.apiBaseURL) || self.apiBaseURL == '' || self.apiBaseURL.matches('^https?://')",
        "message": "apiBaseURL must begin with https:// or http://, such as https://github.example.com/api/v3",
    }])
}
