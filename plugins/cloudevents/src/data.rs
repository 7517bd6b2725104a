//! The data of an event, in each form that an event may use.

use alloc::string::String;

use stoker_plugin::{Kind, Malformed, Part, Request, base64, text};

/// The byte order mark of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The reason why data cannot be read.
pub(crate) enum Unreadable {
    /// The media type is not that of JSON.
    NotJson(Malformed),
    /// The data is not of the form that the event states.
    Malformed(Malformed),
}

/// Returns the data of an event. The data is at a pointer or, in binary mode, is the body.
pub(crate) fn of_event<'r, R: Request>(
    request: &'r R,
    event: Option<&str>,
) -> Result<Part<'r, R>, Unreadable> {
    match event {
        Some(at) => structured(request, at),
        None => binary(request),
    }
}

fn binary<R: Request>(request: &R) -> Result<Part<'_, R>, Unreadable> {
    let media_type = request.header("content-type");
    match request.kind_at("") {
        // The host reports the cause.
        None => Err(unreadable(media_type, "the body", "is not JSON")),
        Some(Kind::Text) => Ok(in_string(request, "", media_type.as_deref())),
        Some(_) => Ok(Part::at(request, "")),
    }
}

/// The data is the member `data`, or the member `data_base64` if the data is bytes (CloudEvents, JSON event format,
/// 3.1). In version 0.3, the data is `data` in both cases.
fn structured<'r, R: Request>(request: &'r R, at: &str) -> Result<Part<'r, R>, Unreadable> {
    let member = |name| text::concat(&[at, name]);
    let media_type = || request.string_at(&member("/datacontenttype"));
    let (data, bytes) = (member("/data"), member("/data_base64"));
    if let Some(encoded) = request.string_at(&bytes) {
        return in_base64(request, &bytes, &encoded, media_type());
    }
    let Some(string) = request.string_at(&data) else {
        return Ok(Part::at(request, &data));
    };
    let encoding = request.string_at(&member("/datacontentencoding"));
    if encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64")) {
        return in_base64(request, &data, &string, media_type());
    }
    let media_type = media_type();
    if is_json(media_type.as_deref()) {
        Ok(in_string(request, &data, media_type.as_deref()))
    } else {
        Err(unreadable(media_type, &data, "is not JSON"))
    }
}

/// SDKs write JSON into a string if they receive text.
fn in_string<'r, R: Request>(request: &'r R, place: &str, media_type: Option<&str>) -> Part<'r, R> {
    let json = request
        .string_at(place)
        .filter(|_| is_json(media_type))
        .and_then(|json| Part::of_text(request, place, json));
    json.unwrap_or_else(|| Part::at(request, place))
}

/// SDKs write Base64 if they receive bytes, even if the bytes are JSON.
fn in_base64<'r, R: Request>(
    request: &'r R,
    place: &str,
    encoded: &str,
    media_type: Option<String>,
) -> Result<Part<'r, R>, Unreadable> {
    if !is_json(media_type.as_deref()) {
        return Err(unreadable(media_type, place, "is not JSON"));
    }
    let malformed = |what| Unreadable::Malformed(Malformed::at(place, what));
    let bytes = base64::decode(encoded)
        .ok_or_else(|| malformed("is not padded standard Base64 (RFC 4648 section 4)"))?;
    // The host accepts a byte order mark before a body as well.
    let start = if bytes.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let json = bytes.get(start..).unwrap_or_default();
    core::str::from_utf8(json)
        .ok()
        .map(String::from)
        .and_then(|json| Part::of_text(request, place, json))
        .ok_or_else(|| malformed("encodes no JSON"))
}

fn unreadable(media_type: Option<String>, place: &str, what: &str) -> Unreadable {
    match media_type {
        Some(other) if !is_json(Some(&other)) => Unreadable::NotJson(Malformed(text::concat(&[
            "the data is ",
            &other,
            ", and not JSON",
        ]))),
        _ => Unreadable::Malformed(Malformed::at(place, what)),
    }
}

/// Returns whether a media type is that of JSON. Data without a media type is JSON (CloudEvents, JSON event format,
/// 3.1).
fn is_json(media_type: Option<&str>) -> bool {
    let Some(media_type) = media_type else {
        return true;
    };
    let essence = media_type.split(';').next().unwrap_or_default();
    let Some((_, subtype)) = essence.trim_ascii().split_once('/') else {
        return false;
    };
    let ends_with = |suffix: &str| {
        let start = subtype.len().checked_sub(suffix.len());
        let end = start.and_then(|start| subtype.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    subtype.eq_ignore_ascii_case("json") || ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn media_types_of_json_are_known() {
        for media_type in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            "text/json",
            "application/vnd.github+json",
            " application/cloudevents+JSON ;v=1",
        ] {
            assert!(is_json(Some(media_type)), "{media_type}");
        }
        assert!(is_json(None));
        for media_type in [
            "",
            "json",
            "text/plain",
            "application/xml",
            "application/avro",
            "application/jsonp",
            "application/jsön",
        ] {
            assert!(!is_json(Some(media_type)), "{media_type}");
        }
    }
}
