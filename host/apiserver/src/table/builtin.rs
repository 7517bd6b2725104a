//! The columns of built-in kinds.

use serde_json::{Value, json};

use super::{Column, age};

impl Column {
    pub(crate) fn of_config_maps() -> Vec<Self> {
        let count = |object: &Value| json!(len(&object["data"]) + len(&object["binaryData"]));
        vec![
            Self::name(),
            Self::computed("Data", "string", 0, count),
            Self::age(),
        ]
    }

    pub(crate) fn of_secrets() -> Vec<Self> {
        vec![
            Self::name(),
            Self::computed("Type", "string", 0, |object| object["type"].clone()),
            Self::computed("Data", "string", 0, |object| json!(len(&object["data"]))),
            Self::age(),
        ]
    }

    pub(crate) fn of_namespaces() -> Vec<Self> {
        let phase = |object: &Value| object["status"]["phase"].clone();
        vec![
            Self::name(),
            Self::computed("Status", "string", 0, phase),
            Self::age(),
        ]
    }

    pub(crate) fn of_service_accounts() -> Vec<Self> {
        let count = |object: &Value| json!(object["secrets"].as_array().map_or(0, Vec::len));
        vec![
            Self::name(),
            Self::computed("Secrets", "string", 0, count),
            Self::age(),
        ]
    }

    pub(crate) fn of_pods() -> Vec<Self> {
        let phase = |object: &Value| object["status"]["phase"].clone();
        vec![
            Self::name(),
            Self::computed("Status", "string", 0, phase),
            Self::age(),
        ]
    }

    pub(crate) fn of_role_bindings() -> Vec<Self> {
        let role = |object: &Value| {
            let text = |name: &str| object["roleRef"][name].as_str().unwrap_or_default();
            json!(format!("{}/{}", text("kind"), text("name")))
        };
        vec![
            Self::name(),
            Self::computed("Role", "string", 0, role),
            Self::age(),
        ]
    }

    pub(crate) fn of_leases() -> Vec<Self> {
        let holder = |object: &Value| object["spec"]["holderIdentity"].clone();
        vec![
            Self::name(),
            Self::computed("Holder", "string", 0, holder),
            Self::age(),
        ]
    }

    pub(crate) fn of_webhooks() -> Vec<Self> {
        let count = |object: &Value| object["webhooks"].as_array().map_or(0, Vec::len).into();
        vec![
            Self::name(),
            Self::computed("Webhooks", "integer", 0, count),
            Self::age(),
        ]
    }

    pub(crate) fn of_definitions() -> Vec<Self> {
        let created = |object: &Value| object["metadata"]["creationTimestamp"].clone();
        vec![
            Self::name(),
            Self::computed("Created At", "date", 0, created),
        ]
    }

    pub(crate) fn of_events() -> Vec<Self> {
        let path = |object: &Value| object["involvedObject"]["fieldPath"].clone();
        let message = |object: &Value| {
            object["message"]
                .as_str()
                .map_or(Value::Null, |text| text.trim().into())
        };
        vec![
            Self::computed("Last Seen", "string", 0, |object| event_age(object, &LAST)),
            Self::computed("Type", "string", 0, |object| object["type"].clone()),
            Self::computed("Reason", "string", 0, |object| object["reason"].clone()),
            Self::computed("Object", "string", 0, event_object),
            Self::computed("Subobject", "string", 1, path),
            Self::computed("Source", "string", 1, event_source),
            Self::computed("Message", "string", 0, message),
            Self::computed("First Seen", "string", 1, |object| {
                event_age(object, &FIRST)
            }),
            Self::computed("Count", "string", 1, event_count),
            Self {
                priority: 1,
                ..Self::name()
            },
        ]
    }
}

/// The fields with the time at which an event was first or last seen, in order of preference.
const FIRST: [&str; 2] = ["/firstTimestamp", "/eventTime"];
const LAST: [&str; 4] = [
    "/series/lastObservedTime",
    "/lastTimestamp",
    "/firstTimestamp",
    "/eventTime",
];

fn len(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

fn event_age(event: &Value, places: &[&str]) -> Value {
    let time = places
        .iter()
        .find_map(|place| event.pointer(place).filter(|time| time.is_string()));
    time.map_or_else(|| "<unknown>".into(), age)
}

fn event_object(event: &Value) -> Value {
    let about = &event["involvedObject"];
    let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
    let name = about["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        kind.into()
    } else {
        format!("{kind}/{name}").into()
    }
}

fn event_source(event: &Value) -> Value {
    let component = event["source"]["component"].as_str().unwrap_or_default();
    let reporter = event["reportingComponent"].as_str().unwrap_or_default();
    let who = if component.is_empty() {
        reporter
    } else {
        component
    };
    let host = event["source"]["host"].as_str().unwrap_or_default();
    if host.is_empty() {
        who.into()
    } else {
        format!("{who}, {host}").into()
    }
}

fn event_count(event: &Value) -> Value {
    let series = &event["series"]["count"];
    let count = if series.is_null() {
        &event["count"]
    } else {
        series
    };
    json!(count.as_i64().unwrap_or(1).max(1))
}
