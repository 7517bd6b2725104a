use std::fmt;

use super::WordError;

/// The full id of a commit: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// Takes a full id in any case. The id of all zeros, which git uses for "no commit", is refused.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let digits =
            matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || text.bytes().all(|byte| byte == b'0') {
            return Err(WordError::CommitFormat {
                text: text.chars().take(64).collect(),
            });
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// All the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..7]
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
    fn takes_both_hash_lengths_in_any_case() {
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
    fn refuses_abbreviations_other_letters_and_the_zero_id() {
        for text in [
            "",
            "abc1234",
            &"g".repeat(40),
            &"0".repeat(40),
            &"a".repeat(41),
        ] {
            assert!(CommitId::parse(text).is_err(), "{text}");
        }
    }
}
