use alloc::string::String;
use alloc::vec::Vec;

use crate::Malformed;

/// The kinds of JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

/// What an operator configured for the plugin.
pub trait Settings {
    /// The value of one setting; none where it is not configured.
    fn setting(&self, key: &str) -> Option<String>;

    /// The value of a setting without the white space around it, of which a file of settings adds some; none where
    /// nothing is left.
    fn configured(&self, key: &str) -> Option<String> {
        let value = self.setting(key)?;
        let value = value.trim_ascii();
        (!value.is_empty()).then(|| value.into())
    }

    /// The setting that says where in a body something is. An error, for the operator, where it is no JSON pointer.
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

/// One delivery, and the settings under which it is judged. The host answers each question from the body that it parsed
/// once; a plugin copies only what it asks for. Pointers are those of RFC 6901; [`crate::pointer`] makes them where a
/// part is not known beforehand.
pub trait Request: Settings {
    /// The first value of a header, by name in any case. None where it is absent, is not visible ASCII, or carries a
    /// credential or a signature.
    fn header(&self, name: &str) -> Option<String>;

    /// The string at a pointer; none where nothing, or something other than a string, is there.
    fn string_at(&self, pointer: &str) -> Option<String>;

    /// The kind of the value at a pointer; none where there is no value.
    fn kind_at(&self, pointer: &str) -> Option<Kind>;

    /// How many elements the array, or members the object, at a pointer has; none for any other value.
    fn len_at(&self, pointer: &str) -> Option<u32>;

    /// The JSON text of the value at a pointer, as it was sent; none where there is no value.
    fn json_at(&self, pointer: &str) -> Option<String>;

    /// The whole body, byte for byte.
    fn body(&self) -> Vec<u8>;

    /// The string that this format cannot do without. An error, naming the place, where there is none or it is empty.
    fn required(&self, pointer: &str) -> Result<String, Malformed> {
        match self.string_at(pointer) {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(Malformed::at(pointer, "is empty")),
            None if self.kind_at(pointer).is_some() => {
                Err(Malformed::at(pointer, "is not a string"))
            }
            None => Err(Malformed::at(pointer, "is missing")),
        }
    }

    /// Whether `true` is at a pointer.
    fn is_true(&self, pointer: &str) -> bool {
        self.kind_at(pointer) == Some(Kind::Boolean)
            && self.json_at(pointer).as_deref() == Some("true")
    }

    /// The strings at these pointers, without those that are not there.
    fn strings_at(&self, pointers: &[&str]) -> Vec<String> {
        pointers
            .iter()
            .filter_map(|pointer| self.string_at(pointer))
            .collect()
    }
}
