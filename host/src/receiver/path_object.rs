//! The object that the path of a request names.

use stoker_api::detection::{ObjectKey, ParseError};

/// The number of bytes of a path in the name of an object that does not exist. A name has at most 253 bytes.
const NOWHERE_BYTES: usize = 100;

/// The object that the path of a request names. It may be one that cannot exist.
pub(super) struct PathObject {
    key: ObjectKey,
    /// Whether the path has the form of that of an object.
    is_named: bool,
    /// The reason why no object can have the names, if so. The key is then one that no object has.
    impossible: Option<ParseError>,
}

impl PathObject {
    /// Returns the object of these names, or one that cannot exist for names that no object can have. The API server
    /// is asked for both, so that the answers take as long.
    pub(super) fn new(namespace: &str, name: &str, path: &str) -> Self {
        let why = match ObjectKey::new(namespace, name) {
            Ok(key) => {
                return Self {
                    key,
                    is_named: true,
                    impossible: None,
                };
            }
            Err(why) => why,
        };
        let digits = hex::encode(&path.as_bytes()[..path.len().min(NOWHERE_BYTES)]);
        let key = ObjectKey::new("default", &format!("x-{digits}-x"));
        #[expect(clippy::expect_used, reason = "hexadecimal digits are part of a name")]
        Self {
            key: key.expect("a name of digits and letters"),
            is_named: !namespace.is_empty(),
            impossible: Some(why),
        }
    }

    /// Returns the object.
    pub(super) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Returns whether the path has the form of that of an object.
    pub(super) fn is_named(&self) -> bool {
        self.is_named
    }

    /// Returns whether an object can have the names.
    pub(super) fn is_possible(&self) -> bool {
        self.impossible.is_none()
    }

    /// Returns the reason why no object can have the names, if so.
    pub(super) fn impossible(&self) -> Option<&ParseError> {
        self.impossible.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_length_has_a_key() {
        for path in ["/webhook/", "/webhook/a/b/c", &"/".repeat(10_000)] {
            let object = PathObject::new("", "", path);
            assert!(!object.is_possible() && object.key.name().len() <= 253);
        }
        assert!(PathObject::new("plants", "north", "/webhook/plants/north").is_possible());
    }
}
