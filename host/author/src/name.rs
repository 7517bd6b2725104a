//! Names of new plugins.

use super::error::AuthorError;

/// The name of a new plugin: a DNS label, as the host requires, that starts with a letter, as identifiers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginName(String);

impl PluginName {
    /// Parses a name.
    pub fn parse(name: &str) -> Result<Self, AuthorError> {
        let is_inner =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let bytes = name.as_bytes();
        let is_name = matches!(bytes.len(), 1..=63)
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last() != Some(&b'-')
            && bytes.iter().all(is_inner);
        if is_name {
            Ok(Self(name.to_owned()))
        } else {
            Err(AuthorError::Name {
                name: name.to_owned(),
            })
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as an identifier of a programming language: with underscores instead of hyphens.
    #[must_use]
    pub fn identifier(&self) -> String {
        self.0.replace('-', "_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label_that_starts_with_a_letter() {
        let longest = "a".repeat(63);
        for name in ["a", "my-ci", "ci2", longest.as_str()] {
            assert!(PluginName::parse(name).is_ok(), "{name}");
        }
        let longer = "a".repeat(64);
        for name in [
            "", "My", "2ci", "-a", "a-", "a_b", "a.b", "../a", "a b", "ä", &longer,
        ] {
            assert!(PluginName::parse(name).is_err(), "{name}");
        }
        assert_eq!(PluginName::parse("my-ci").unwrap().identifier(), "my_ci");
    }
}
