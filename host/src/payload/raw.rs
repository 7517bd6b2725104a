//! The text of one value in a JSON text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::pointer::{self, Tokens};

/// The text of the value that the tokens lead to. `text` was parsed before.
pub(super) fn find<'a>(text: &'a str, tokens: Tokens<'_>) -> Option<&'a str> {
    let mut text = text.trim_matches([' ', '\t', '\n', '\r']);
    for token in tokens {
        text = Child { token }.of(text)?;
    }
    Some(text)
}

/// Picks the text of one child of a container and skips the others.
struct Child<'t> {
    token: Cow<'t, str>,
}

impl Child<'_> {
    fn of<'a>(&self, text: &'a str) -> Option<&'a str> {
        let child = serde_json::Deserializer::from_str(text)
            .deserialize_any(self)
            .ok()??;
        Some(child.get())
    }
}

impl<'de> Visitor<'de> for &Child<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let Some(index) = pointer::index(&self.token) else {
            return Ok(None);
        };
        for _ in 0..index {
            if elements.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = elements.next_element()?;
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = members.next_key_seed(Name(&self.token))? {
            if is_wanted {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares the name of a member with the wanted name.
struct Name<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        // The name is read as bytes, because it may contain a lone surrogate, which is not valid Unicode.
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a member")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<bool, E> {
        Ok(name == self.0.as_bytes())
    }
}
