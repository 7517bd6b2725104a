//! Request bodies: JSON, YAML where Kubernetes accepts it, and a subset of protocol buffers.

use serde_json::Value;

use crate::status::Failure;

mod protobuf;

const ACCEPTED: &str = "application/json, application/yaml";

/// Reads an object. An empty body is null.
pub(crate) fn object(content_type: &str, body: &[u8]) -> Result<Value, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    match content_type.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => serde_json::from_slice(body).map_err(|error| {
            Failure::bad_request(format!(
                "couldn't get version/kind; json parse error: {error}"
            ))
        }),
        "application/yaml" => yaml(body).map_err(|why| {
            Failure::bad_request(format!(
                "couldn't get version/kind; yaml parse error: {why}"
            ))
        }),
        "application/vnd.kubernetes.protobuf" => protobuf::object(body),
        _ => Err(Failure::unsupported_media(ACCEPTED)),
    }
}

/// Reads one YAML document. JSON is a subset of YAML.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_are_json_or_yaml() {
        assert_eq!(
            object("application/json; charset=utf-8", b"{\"a\":1}"),
            Ok(json!({ "a": 1 }))
        );
        assert_eq!(object("", b"  "), Ok(Value::Null));
        assert_eq!(
            object("application/yaml", b"a: [1, x]\nb: 'yes'\n"),
            Ok(json!({ "a": [1, "x"], "b": "yes" }))
        );
        assert_eq!(
            object("application/json", b"{").expect_err("broken").code,
            400
        );
        assert_eq!(
            object("application/cbor", b"x")
                .expect_err("another format")
                .code,
            415
        );
    }
}
