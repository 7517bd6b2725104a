use alloc::string::String;
use alloc::vec::Vec;

use crate::Malformed;

/// The places of refs in bodies of any sender: those of the plugins `generic`, `argocd` and `kargo`.
const REFS: [&str; 3] = [
    "/ref",
    "/app/metadata/annotations/git.ref",
    "/freight/commits/0/tag",
];

/// The kinds of JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of JSON")]
pub enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

/// The settings that an operator configured for the plugin.
pub trait Settings {
    /// Returns the value of a setting, or `None` if it is not configured.
    fn setting(&self, key: &str) -> Option<String>;

    /// Returns the trimmed value of a setting, or `None` if it is empty.
    fn configured(&self, key: &str) -> Option<String> {
        let value = self.setting(key)?;
        let value = value.trim_ascii();
        (!value.is_empty()).then(|| value.into())
    }

    /// Returns a setting that is a JSON pointer into the body. Returns an error for the operator if it is not a
    /// pointer.
    fn configured_pointer(&self, key: &str) -> Result<Option<String>, Malformed> {
        match self.configured(key) {
            Some(pointer) if !pointer.starts_with('/') => Err(Malformed::setting(
                key,
                "is not a JSON pointer: it must start with a slash",
            )),
            pointer => Ok(pointer),
        }
    }
}

/// One delivery, and the settings that apply to it. The host parses the body once; a plugin copies only the values that
/// it reads. Pointers are those of RFC 6901; [`crate::pointer`] creates pointers that are partly known only at run
/// time.
pub trait Request: Settings {
    /// Returns the first value of a header. The case of the name does not matter. Returns `None` if the header is
    /// absent, is not visible ASCII, or carries a credential or a signature.
    fn header(&self, name: &str) -> Option<String>;

    /// Returns the string at a pointer. Returns `None` if there is no value, if it is not a string, or if the string
    /// holds a lone surrogate.
    fn string_at(&self, pointer: &str) -> Option<String>;

    /// Returns the kind of the value at a pointer, or `None` if there is no value.
    fn kind_at(&self, pointer: &str) -> Option<Kind>;

    /// Returns the number of elements of an array, or of members of an object. Returns `None` for any other value.
    fn len_at(&self, pointer: &str) -> Option<u32>;

    /// Returns the JSON text of the value at a pointer, as it was sent. Returns `None` if there is no value.
    fn json_at(&self, pointer: &str) -> Option<String>;

    /// Returns the whole body, byte for byte. If the sender put the JSON into a form or into a notification of Amazon
    /// SNS, this is the JSON.
    fn body(&self) -> Vec<u8>;

    /// Returns the name of a JSON pointer for messages.
    fn place(&self, pointer: &str) -> String {
        pointer.into()
    }

    /// Returns a string that this format requires. If there is no string or it is empty, returns an error that names
    /// the place.
    fn required(&self, pointer: &str) -> Result<String, Malformed> {
        let what = match self.string_at(pointer) {
            Some(text) if !text.is_empty() => return Ok(text),
            Some(_) => "is empty",
            None => match self.kind_at(pointer) {
                Some(Kind::Text) => "holds half of a surrogate pair, and is no valid text",
                Some(_) => "is not a string",
                None => "is missing",
            },
        };
        Err(Malformed::at(&self.place(pointer), what))
    }

    /// Returns whether the body has a ref at a place that a plugin reads whoever sends the body. A plugin that finds no ref
    /// at the place of its format leaves such a body to that plugin.
    fn has_ref(&self) -> bool {
        REFS.iter().any(|pointer| self.has_text(pointer))
    }

    /// Returns whether the value at a pointer is a string that is not empty.
    fn has_text(&self, pointer: &str) -> bool {
        self.string_at(pointer).is_some_and(|text| !text.is_empty())
    }

    /// Returns whether the value at a pointer is `true`.
    fn is_true(&self, pointer: &str) -> bool {
        self.kind_at(pointer) == Some(Kind::Boolean)
            && self.json_at(pointer).as_deref() == Some("true")
    }

    /// Returns the strings at these pointers. A pointer without a string is skipped.
    fn strings_at(&self, pointers: &[&str]) -> Vec<String> {
        pointers
            .iter()
            .filter_map(|pointer| self.string_at(pointer))
            .collect()
    }
}
