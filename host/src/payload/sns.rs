//! The envelope of Amazon SNS, in which a published message is a string.

use bytes::Bytes;
use memchr::memmem;

use super::size::Size;
use super::{Document, Kind};

/// The maximum length of a message in bytes (Amazon SNS, "Quotas"). A longer one is not unwrapped.
const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// Returns the message in a notification of Amazon SNS ("HTTP/HTTPS notification JSON format"), if the body is a
/// notification and the message is a JSON object or array. A message may not contain another envelope.
pub(super) fn message(envelope: &Document) -> Option<(Bytes, Document)> {
    let is_notification = envelope.string_at("/Type") == Some("Notification")
        && envelope.kind_at("/TopicArn") == Some(Kind::Text);
    if !is_notification {
        return None;
    }
    let message = envelope.string_at("/Message")?;
    if message.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    let message = Bytes::copy_from_slice(message.as_bytes());
    let document = Document::parse(&message).ok()?;
    matches!(document.kind_at("")?, Kind::Object | Kind::Array).then_some((message, document))
}

/// Returns an upper bound of the memory in bytes that [`message`] takes for a body.
pub(super) fn memory(body: &[u8]) -> usize {
    const MEMBER: &[u8] = b"TopicArn";
    if memmem::find(body, MEMBER).is_some() {
        let length = body.len().min(MAX_MESSAGE_BYTES);
        length + Size::largest(length).memory()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unwrapped(envelope: &serde_json::Value) -> Option<String> {
        let body = Bytes::from(envelope.to_string());
        let (bytes, document) = message(&Document::parse(&body).unwrap())?;
        assert_eq!(document.json_at("").unwrap().as_bytes(), bytes);
        document.json_at("").map(std::borrow::Cow::into_owned)
    }

    fn envelope(message: &str) -> serde_json::Value {
        json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": message})
    }

    #[test]
    fn a_message_that_is_json_is_unwrapped_once() {
        for message in [r#"{"ref":"é\n"}"#, "[1]"] {
            assert_eq!(unwrapped(&envelope(message)).as_deref(), Some(message));
        }
        let twice = envelope(r#"{"ref":"v1"}"#).to_string();
        assert_eq!(unwrapped(&envelope(&twice)), Some(twice));
    }

    #[test]
    fn other_bodies_are_not_unwrapped() {
        for message in ["", "text", "1", "\"{}\"", "{\"a\":"] {
            assert_eq!(unwrapped(&envelope(message)), None, "{message}");
        }
        for (member, value) in [
            ("Type", json!("SubscriptionConfirmation")),
            ("TopicArn", json!(null)),
            ("Message", json!({"ref": "v1"})),
        ] {
            let mut other = envelope(r#"{"ref":"v1"}"#);
            other[member] = value;
            assert_eq!(unwrapped(&other), None, "{member}");
        }
        assert_eq!(unwrapped(&json!([])), None);
    }
}
