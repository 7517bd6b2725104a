//! The few objects that `kubectl create` always sends as protocol buffers.
//!
//! This module only reads messages. It reads only the kinds and fields in the tables below, and refuses all others, so
//! that no field is lost silently.

use serde_json::{Map, Value};

use crate::builtin::prepare::base64;
use crate::status::Failure;

/// The first bytes of every message.
const MAGIC: &[u8] = b"k8s\0";
const WIRE_VARINT: u64 = 0;
const WIRE_64: u64 = 1;
const WIRE_BYTES: u64 = 2;
const WIRE_32: u64 = 5;

/// The type of a field.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Bytes,
    Bool,
    Int,
    Time,
    Texts,
    TextMap,
    BytesMap,
    One(&'static [Field]),
    Many(&'static [Field]),
}

type Field = (u64, &'static str, Kind);

const OWNER: &[Field] = &[
    (1, "kind", Kind::Text),
    (3, "name", Kind::Text),
    (4, "uid", Kind::Text),
    (5, "apiVersion", Kind::Text),
    (6, "controller", Kind::Bool),
    (7, "blockOwnerDeletion", Kind::Bool),
];

const META: &[Field] = &[
    (1, "name", Kind::Text),
    (2, "generateName", Kind::Text),
    (3, "namespace", Kind::Text),
    (4, "selfLink", Kind::Text),
    (5, "uid", Kind::Text),
    (6, "resourceVersion", Kind::Text),
    (7, "generation", Kind::Int),
    (8, "creationTimestamp", Kind::Time),
    (9, "deletionTimestamp", Kind::Time),
    (10, "deletionGracePeriodSeconds", Kind::Int),
    (11, "labels", Kind::TextMap),
    (12, "annotations", Kind::TextMap),
    (13, "ownerReferences", Kind::Many(OWNER)),
    (14, "finalizers", Kind::Texts),
];

const REFERENCE: &[Field] = &[
    (1, "kind", Kind::Text),
    (2, "namespace", Kind::Text),
    (3, "name", Kind::Text),
    (4, "uid", Kind::Text),
    (5, "apiVersion", Kind::Text),
    (6, "resourceVersion", Kind::Text),
    (7, "fieldPath", Kind::Text),
];

/// The messages that can be read: API version, kind, fields.
const MESSAGES: &[(&str, &str, &[Field])] = &[
    (
        "v1",
        "ConfigMap",
        &[
            (1, "metadata", Kind::One(META)),
            (2, "data", Kind::TextMap),
            (3, "binaryData", Kind::BytesMap),
            (4, "immutable", Kind::Bool),
        ],
    ),
    (
        "v1",
        "Secret",
        &[
            (1, "metadata", Kind::One(META)),
            (2, "data", Kind::BytesMap),
            (3, "type", Kind::Text),
            (4, "stringData", Kind::TextMap),
            (5, "immutable", Kind::Bool),
        ],
    ),
    (
        "v1",
        "Namespace",
        &[
            (1, "metadata", Kind::One(META)),
            (2, "spec", Kind::One(&[(1, "finalizers", Kind::Texts)])),
            (3, "status", Kind::One(&[(1, "phase", Kind::Text)])),
        ],
    ),
    (
        "v1",
        "ServiceAccount",
        &[
            (1, "metadata", Kind::One(META)),
            (2, "secrets", Kind::Many(REFERENCE)),
            (
                3,
                "imagePullSecrets",
                Kind::Many(&[(1, "name", Kind::Text)]),
            ),
            (4, "automountServiceAccountToken", Kind::Bool),
        ],
    ),
    (
        "",
        "DeleteOptions",
        &[
            (1, "gracePeriodSeconds", Kind::Int),
            (
                2,
                "preconditions",
                Kind::One(&[(1, "uid", Kind::Text), (2, "resourceVersion", Kind::Text)]),
            ),
            (3, "orphanDependents", Kind::Bool),
            (4, "propagationPolicy", Kind::Text),
            (5, "dryRun", Kind::Texts),
        ],
    ),
];

const ENVELOPE: &[Field] = &[
    (
        1,
        "type",
        Kind::One(&[(1, "apiVersion", Kind::Text), (2, "kind", Kind::Text)]),
    ),
    (2, "raw", Kind::Bytes),
    (3, "encoding", Kind::Text),
    (4, "media", Kind::Text),
];

/// Reads an object.
pub(super) fn object(body: &[u8]) -> Result<Value, Failure> {
    let body = body.strip_prefix(MAGIC).ok_or_else(broken)?;
    let envelope = message(body, ENVELOPE, "Unknown")?;
    let (version, kind) = (&envelope["type"]["apiVersion"], &envelope["type"]["kind"]);
    let known = MESSAGES.iter().find(|(known_version, known_kind, _)| {
        *kind == *known_kind && (known_version.is_empty() || *version == *known_version)
    });
    let Some((_, name, fields)) = known else {
        let what = format!(
            "{version} {kind} in application/vnd.kubernetes.protobuf; send application/json"
        );
        return Err(Failure::not_implemented(what));
    };
    let raw = raw(body)?;
    let mut object = message(raw, fields, name)?;
    object["apiVersion"] = version.clone();
    object["kind"] = kind.clone();
    Ok(object)
}

fn broken() -> Failure {
    Failure::bad_request("couldn't get version/kind; protobuf parse error: the message is broken")
}

/// The object's message within the envelope.
fn raw(mut body: &[u8]) -> Result<&[u8], Failure> {
    while !body.is_empty() {
        let (number, content) = next(&mut body)?;
        if let (2, Content::Bytes(bytes)) = (number, content) {
            return Ok(bytes);
        }
    }
    Ok(&[])
}

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads the first field.
fn next<'a>(body: &mut &'a [u8]) -> Result<(u64, Content<'a>), Failure> {
    let tag = varint(body)?;
    let length = match tag & 7 {
        WIRE_VARINT => return Ok((tag >> 3, Content::Number(varint(body)?))),
        WIRE_64 => 8,
        WIRE_BYTES => varint(body)?,
        WIRE_32 => 4,
        _ => return Err(broken()),
    };
    let length = usize::try_from(length).map_err(|_| broken())?;
    let (content, rest) = body.split_at_checked(length).ok_or_else(broken)?;
    *body = rest;
    Ok((tag >> 3, Content::Bytes(content)))
}

fn varint(body: &mut &[u8]) -> Result<u64, Failure> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = body.split_first().ok_or_else(broken)?;
        *body = rest;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Ok(value);
        }
    }
    Err(broken())
}

fn message(mut body: &[u8], fields: &[Field], name: &str) -> Result<Value, Failure> {
    let mut object = Map::new();
    while !body.is_empty() {
        let (number, content) = next(&mut body)?;
        let Some((_, field, kind)) = fields.iter().find(|(known, _, _)| *known == number) else {
            let what = format!("field {number} of {name} in application/vnd.kubernetes.protobuf");
            return Err(Failure::not_implemented(what));
        };
        set(&mut object, field, *kind, &content)?;
    }
    Ok(Value::Object(object))
}

fn set(
    object: &mut Map<String, Value>,
    field: &str,
    kind: Kind,
    content: &Content<'_>,
) -> Result<(), Failure> {
    let bytes = match content {
        Content::Bytes(bytes) => *bytes,
        Content::Number(number) => return set_number(object, field, kind, *number),
    };
    match kind {
        Kind::Bool | Kind::Int => return Err(broken()),
        Kind::Text => {
            let text = text(bytes)?;
            if !text.is_empty() {
                object.insert(field.to_owned(), text.into());
            }
        }
        Kind::Bytes => {
            object.insert(field.to_owned(), base64(bytes).into());
        }
        Kind::Time => {
            if let Some(time) = time(bytes)? {
                object.insert(field.to_owned(), time);
            }
        }
        Kind::Texts => push(object, field, text(bytes)?.into()),
        Kind::Many(fields) => push(object, field, message(bytes, fields, field)?),
        Kind::One(fields) => {
            object.insert(field.to_owned(), message(bytes, fields, field)?);
        }
        Kind::TextMap | Kind::BytesMap => {
            let value = if matches!(kind, Kind::TextMap) {
                Kind::Text
            } else {
                Kind::Bytes
            };
            let mut pair = message(bytes, &[(1, "key", Kind::Text), (2, "value", value)], field)?;
            let key = pair["key"].as_str().unwrap_or_default().to_owned();
            let map = object
                .entry(field.to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            map[key] = if pair["value"].is_null() {
                "".into()
            } else {
                pair["value"].take()
            };
        }
    }
    Ok(())
}

fn set_number(
    object: &mut Map<String, Value>,
    field: &str,
    kind: Kind,
    number: u64,
) -> Result<(), Failure> {
    let value: Value = match kind {
        Kind::Bool => (number != 0).into(),
        // A missing integer is zero.
        Kind::Int if number == 0 => return Ok(()),
        Kind::Int => number.cast_signed().into(),
        _ => return Err(broken()),
    };
    object.insert(field.to_owned(), value);
    Ok(())
}

fn push(object: &mut Map<String, Value>, field: &str, value: Value) {
    let list = object
        .entry(field.to_owned())
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

fn text(bytes: &[u8]) -> Result<String, Failure> {
    std::str::from_utf8(bytes)
        .map(ToOwned::to_owned)
        .map_err(|_| broken())
}

/// Reads a time. A message without seconds represents no time.
fn time(bytes: &[u8]) -> Result<Option<Value>, Failure> {
    let parts = message(
        bytes,
        &[(1, "seconds", Kind::Int), (2, "nanos", Kind::Int)],
        "Time",
    )?;
    let Some(seconds) = parts["seconds"].as_i64() else {
        return Ok(None);
    };
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| broken())?;
    Ok(Some(time.to_string().into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![
            number << 3 | 2,
            u8::try_from(content.len()).expect("a short field"),
        ];
        bytes.extend(content);
        bytes
    }

    fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let types = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [
            MAGIC.to_vec(),
            field(1, &types),
            field(2, raw),
            field(3, b""),
            field(4, b""),
        ]
        .concat()
    }

    #[test]
    fn objects_of_the_tables_are_read() {
        let pair = |key: &[u8], value: &[u8]| [field(1, key), field(2, value)].concat();
        let meta = [
            field(1, b"x"),
            field(8, &[]),
            vec![7 << 3, 0],
            field(11, &pair(b"l", b"m")),
            field(14, b"f"),
        ]
        .concat();
        let raw = [
            field(1, &meta),
            field(2, &pair(b"k", b"foo")),
            field(3, b"Opaque"),
        ]
        .concat();
        let object = object(&envelope("v1", "Secret", &raw)).expect("a secret");
        assert_eq!(
            object,
            json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": { "k": "Zm9v" },
            "metadata": { "name": "x", "labels": { "l": "m" }, "finalizers": ["f"] } })
        );
    }

    #[test]
    fn everything_else_is_refused() {
        assert_eq!(
            object(&envelope("v1", "Pod", b"")).expect_err("a pod").code,
            501
        );
        let unknown = field(9, b"x");
        assert_eq!(
            object(&envelope("v1", "ConfigMap", &unknown))
                .expect_err("an unknown field")
                .code,
            501
        );
        for broken in [
            &b"{}"[..],
            b"k8s\0\x0a\xff",
            b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(object(broken).expect_err("a broken message").code, 400);
        }
    }
}
