//! Full ids of commits.

use std::fmt;

use super::ParseError;

/// The full id of a commit: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// The number of digits that are displayed.
    pub const SHORT_DIGITS: usize = 7;

    /// Parses a full id. The digits may be in upper case. An id of zeros is an error, because it stands for "no
    /// commit".
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let why = if let Some(other) = text.chars().find(|c| !c.is_ascii_hexdigit()) {
            format!("{other:?} is not a hexadecimal digit")
        } else if !matches!(text.len(), 40 | 64) {
            format!("it has {} digits, not 40 or 64", text.len())
        } else if text.bytes().all(|byte| byte == b'0') {
            return Err(ParseError::NoCommit);
        } else {
            return Ok(Self(text.to_ascii_lowercase()));
        };
        let text = text.chars().take(64).collect();
        Err(ParseError::CommitFormat { text, why })
    }

    /// Returns all digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first seven digits, for display.
    #[must_use]
    pub fn short(&self) -> &str {
        Self::shorten(&self.0)
    }

    /// Returns the first seven characters of a text that should be the id of a commit, for display.
    #[must_use]
    pub fn shorten(text: &str) -> &str {
        let end = text.char_indices().nth(Self::SHORT_DIGITS);
        end.map_or(text, |(end, _)| &text[..end])
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_both_hash_lengths_in_upper_and_lower_case() {
        assert_eq!(
            CommitId::parse(&"AB".repeat(20)).unwrap().as_str(),
            "ab".repeat(20)
        );
        assert_eq!(
            CommitId::parse(&"0f".repeat(32)).unwrap().short(),
            "0f0f0f0"
        );
    }

    #[test]
    fn errors_name_the_reason() {
        for (text, expected) in [
            (
                "",
                r#""" is not a full commit id: it has 0 digits, not 40 or 64"#,
            ),
            (
                "abc1234",
                r#""abc1234" is not a full commit id: it has 7 digits, not 40 or 64"#,
            ),
            (&"a".repeat(39), "it has 39 digits, not 40 or 64"),
            (&"a".repeat(41), "it has 41 digits, not 40 or 64"),
            (&"a".repeat(65), "it has 65 digits, not 40 or 64"),
            (&"0".repeat(39), "it has 39 digits, not 40 or 64"),
            (&"g".repeat(40), "'g' is not a hexadecimal digit"),
            (&"é".repeat(20), "'é' is not a hexadecimal digit"),
            (
                &format!("{} ", "a".repeat(39)),
                "' ' is not a hexadecimal digit",
            ),
            (
                &"0".repeat(40),
                "a commit id of all zeros means that there is no commit",
            ),
            (
                &"0".repeat(64),
                "a commit id of all zeros means that there is no commit",
            ),
        ] {
            let error = CommitId::parse(text).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
