//! JSON in a field of a form (`application/x-www-form-urlencoded`), as GitHub sends it by default.
//!
//! The decoding is strict: each `%` must be followed by two hexadecimal digits. Libraries for forms accept other texts
//! too, and replace bytes that are not UTF-8, so a sender's mistake would change the JSON.

use bytes::Bytes;

use super::PayloadError;

/// The media type of a form.
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
/// The name of the field with the JSON (GitHub, "Creating webhooks").
const FIELD: &[u8] = b"payload";

/// The number of bytes that are decoded at a time.
const PART_BYTES: usize = 1 << 10;

/// The text in the field of a form, which is not decoded yet.
#[derive(Debug, Clone, Copy)]
pub struct Field<'b>(&'b [u8]);

impl Field<'_> {
    /// Decodes the text, and passes it on in parts, so that it takes no memory.
    ///
    /// # Errors
    ///
    /// Returns the index of a `%` without two hexadecimal digits. What is before it has been passed on.
    pub fn decode_parts(&self, mut pass: impl FnMut(&[u8])) -> Result<(), usize> {
        let Self(text) = *self;
        let (mut part, mut length) = ([0; PART_BYTES], 0);
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let mut octet = [byte];
            match byte {
                b'+' => octet = *b" ",
                b'%' => {
                    let digits = text.get(at + 1..at + 3).ok_or(at)?;
                    hex::decode_to_slice(digits, &mut octet).map_err(|_| at)?;
                    at += 2;
                }
                _ => {}
            }
            [part[length]] = octet;
            (at, length) = (at + 1, length + 1);
            if length == part.len() {
                pass(&part);
                length = 0;
            }
        }
        pass(&part[..length]);
        Ok(())
    }

    /// Decodes the text.
    ///
    /// # Errors
    ///
    /// Returns the index of a `%` without two hexadecimal digits.
    pub fn decode(&self) -> Result<Vec<u8>, usize> {
        let mut decoded = Vec::with_capacity(self.0.len());
        self.decode_parts(|part| decoded.extend_from_slice(part))?;
        Ok(decoded)
    }

    /// Returns whether this is the decoded text. A longer text is not decoded.
    fn is(&self, text: &[u8]) -> bool {
        self.0.len() <= 3 * text.len() && self.decode().is_ok_and(|decoded| decoded == text)
    }
}

/// Returns the JSON text in the field of a form, or `None` if the body is not a form.
pub(super) fn content(
    body: &[u8],
    media_type: Option<&str>,
) -> Result<Option<Bytes>, PayloadError> {
    let Some(field) = field(body, media_type)? else {
        return Ok(None);
    };
    let start = field.0.as_ptr().addr() - body.as_ptr().addr();
    let decoded = field.decode();
    let decoded = decoded.map_err(|at| PayloadError::FormEncoding { at: start + at + 1 });
    decoded.map(|text| Some(text.into()))
}

/// Returns the field with the JSON text of a form, or `None` if the body is not a form.
///
/// A body is a form by its media type. Without a media type, it is a form if it starts with the field. JSON that is
/// sent with the media type of a form is not a form.
pub(super) fn field<'b>(
    body: &'b [u8],
    media_type: Option<&str>,
) -> Result<Option<Field<'b>>, PayloadError> {
    let is_form = match media_type {
        Some(media_type) => media_type == MEDIA_TYPE && !is_other(body),
        None => value(body).is_some_and(|(name, _)| name == FIELD),
    };
    if !is_form {
        return Ok(None);
    }
    let mut fields = body.split(|&byte| byte == b'&').filter_map(|field| {
        let (name, value) = value(field)?;
        Field(name).is(FIELD).then_some(Field(value))
    });
    let field = fields.next().ok_or(PayloadError::FormWithoutPayload)?;
    if fields.next().is_some() {
        return Err(PayloadError::FormWithSeveral);
    }
    Ok(Some(field))
}

/// Returns whether the body has another format: JSON, or one that has no field, such as compressed bytes.
fn is_other(body: &[u8]) -> bool {
    let start = body.trim_ascii_start().first();
    matches!(start, Some(b'{' | b'[' | b'"')) || value(body).is_none() || !body.is_ascii()
}

/// Returns the name and the value of the first field of a text.
fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&byte| byte == b'=')?;
    Some((&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::form_urlencoded;

    use super::*;

    #[test]
    fn the_field_is_decoded() {
        for (body, json) in [
            ("payload=%7B%22a%22%3A1%7D", r#"{"a":1}"#),
            ("payload=%7b%22a%22%3a+1%7d", r#"{"a": 1}"#),
            (
                "a=b&payload=%7B%22a%22%3A%22%2B%25%26%22%7D&c",
                r#"{"a":"+%&"}"#,
            ),
            ("pay%6Coad={\"a\":\"=\"}", r#"{"a":"="}"#),
            ("a=%zz&payload=1&b=%", "1"),
            ("payload=", ""),
        ] {
            let decoded = |media_type| content(body.as_bytes(), media_type).unwrap();
            let json = Some(Bytes::from(json));
            assert_eq!(decoded(Some(MEDIA_TYPE)), json, "{body}");
            if body.starts_with("payload=") {
                assert_eq!(decoded(None), json, "{body}");
            }
        }
    }

    #[test]
    fn a_long_text_is_decoded_in_parts() {
        for length in [
            0,
            1,
            PART_BYTES - 1,
            PART_BYTES,
            PART_BYTES + 1,
            5 * PART_BYTES,
        ] {
            let encoded = "%61+b".repeat(length);
            let mut parts = Vec::new();
            let field = Field(encoded.as_bytes());
            field
                .decode_parts(|part| parts.push(part.to_vec()))
                .unwrap();
            assert_eq!(parts.concat(), "a b".repeat(length).into_bytes());
            assert!(parts.iter().all(|part| part.len() <= PART_BYTES));
        }
    }

    #[test]
    fn a_form_without_one_decodable_field_is_refused() {
        let refused = |body: &str| content(body.as_bytes(), Some(MEDIA_TYPE)).unwrap_err();
        for body in ["a=b", "Payload=1", "=", "a=payload=1", "payload&a="] {
            let error = refused(body);
            assert!(matches!(error, PayloadError::FormWithoutPayload), "{body}");
        }
        let error = refused("payload=1&a=b&payload=1");
        assert!(matches!(error, PayloadError::FormWithSeveral));
        for body in ["x=1&payload=%7", "x=1&payload=%", "x=1&payload=%+7"] {
            let error = refused(body);
            assert!(
                matches!(error, PayloadError::FormEncoding { at: 13 }),
                "{body}"
            );
        }
    }

    #[test]
    fn other_bodies_stay_as_they_are() {
        let json = br#"{"a":"x&payload=1"}"#;
        for (body, media_type) in [
            (&json[..], Some(MEDIA_TYPE)),
            (b" [\"payload=1\"]", Some(MEDIA_TYPE)),
            (b"", Some(MEDIA_TYPE)),
            (b"\x1f\x8b=\xff", Some(MEDIA_TYPE)),
            (b"payload=1", Some("application/json")),
            (b"ref=v1&payload=1", None),
        ] {
            assert_eq!(content(body, media_type).unwrap(), None);
        }
    }

    proptest! {
        #[test]
        fn an_encoded_text_is_decoded(text in "\\PC*", before in "[a-z]{0,5}", after: bool) {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair(&before, &text).append_pair("payload", &text);
            if after {
                form.append_pair("other", "payload");
            }
            let form = form.finish();
            let decoded = content(form.as_bytes(), Some(MEDIA_TYPE)).unwrap();
            prop_assert_eq!(decoded, Some(Bytes::from(text)));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(body in prop::collection::vec(any::<u8>(), 0..64), is_typed: bool) {
            let content = content(&body, is_typed.then_some(MEDIA_TYPE));
            let length = content.ok().flatten().map_or(0, |content| content.len());
            prop_assert!(length <= body.len());
        }

        #[test]
        fn any_form_is_decoded_or_refused(
            parts in prop::collection::vec(prop::sample::select(vec!["payload", "=", "&", "%", "2", "B", "+", "a", "%7B", "%ff"]), 0..16),
        ) {
            let body = parts.concat();
            let content = content(body.as_bytes(), Some(MEDIA_TYPE));
            // A library that accepts more finds the same text.
            if let Ok(Some(content)) = content {
                // It also takes a name without a value for a field.
                let mut fields = form_urlencoded::parse(body.as_bytes()).filter(|(name, _)| name == "payload");
                let content = String::from_utf8_lossy(&content);
                prop_assert!(fields.any(|(_, value)| value == content), "{} {}", body, content);
            }
        }
    }
}
