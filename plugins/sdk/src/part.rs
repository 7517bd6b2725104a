//! A part of a delivery that is read like a separate delivery.

use alloc::string::String;
use alloc::vec::Vec;

use crate::json::{self, Json};
use crate::{Kind, Request, Settings, text};

/// The value at a pointer of a delivery, or the JSON text in a string of the delivery. Pointers start at this value.
/// Headers and settings are those of the delivery.
#[derive(Debug)]
pub struct Part<'a, R> {
    request: &'a R,
    at: String,
    json: Option<Json>,
}

impl<'a, R: Request> Part<'a, R> {
    /// Returns the value at a pointer.
    pub fn at(request: &'a R, pointer: &str) -> Self {
        Self {
            request,
            at: pointer.into(),
            json: None,
        }
    }

    /// Returns the value of a JSON text, or `None` if the text is not JSON. Messages name `pointer` as its place.
    pub fn of_text(request: &'a R, pointer: &str, text: String) -> Option<Self> {
        Some(Self {
            request,
            at: pointer.into(),
            json: Some(Json::parse(text)?),
        })
    }
}

impl<R: Request> Settings for Part<'_, R> {
    fn setting(&self, key: &str) -> Option<String> {
        self.request.setting(key)
    }
}

impl<R: Request> Request for Part<'_, R> {
    fn header(&self, name: &str) -> Option<String> {
        self.request.header(name)
    }

    fn string_at(&self, pointer: &str) -> Option<String> {
        match &self.json {
            Some(json) => json::string(json.find(pointer)?),
            None => self.request.string_at(&self.place(pointer)),
        }
    }

    fn kind_at(&self, pointer: &str) -> Option<Kind> {
        match &self.json {
            Some(json) => json::kind(json.find(pointer)?),
            None => self.request.kind_at(&self.place(pointer)),
        }
    }

    fn len_at(&self, pointer: &str) -> Option<u32> {
        match &self.json {
            Some(json) => json::len(json.find(pointer)?),
            None => self.request.len_at(&self.place(pointer)),
        }
    }

    fn json_at(&self, pointer: &str) -> Option<String> {
        match &self.json {
            Some(json) => json.find(pointer).map(String::from),
            None => self.request.json_at(&self.place(pointer)),
        }
    }

    fn body(&self) -> Vec<u8> {
        self.request.body()
    }

    fn place(&self, pointer: &str) -> String {
        text::concat(&[&self.at, pointer])
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::SampleRequest;

    #[test]
    fn both_kinds_of_part_are_read_alike() {
        let body = r#"{"data": {"ref": "v\u0031", "list": [1, true]}, "text": "{\"ref\": \"v\\u0031\", \"list\": [1, true]}"}"#;
        let request = SampleRequest::bytes(body)
            .with_header("X-Event", "push")
            .with_setting("ref", "/ref");
        let text = request.string_at("/text").unwrap();
        let parts = [
            Part::at(&request, "/data"),
            Part::of_text(&request, "/text", text).unwrap(),
        ];
        for part in parts {
            assert_eq!(part.header("x-event").as_deref(), Some("push"));
            assert_eq!(part.setting("ref").as_deref(), Some("/ref"));
            assert_eq!(part.required("/ref").as_deref(), Ok("v1"));
            assert_eq!(part.kind_at("/list"), Some(Kind::Array));
            assert_eq!(part.len_at("/list"), Some(2));
            assert!(part.is_true("/list/1") && !part.is_true("/list/0"));
            assert_eq!(part.kind_at("/none"), None);
        }
        let part = Part::of_text(&request, "/text", "{}".into()).unwrap();
        assert_eq!(part.required("/ref").unwrap_err().0, "/text/ref is missing");
        assert!(Part::of_text(&request, "/text", "{".into()).is_none());
    }
}
