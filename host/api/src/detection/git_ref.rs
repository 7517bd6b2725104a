//! Names of git refs.

use std::fmt;

use stoker_report::first_unprintable;

use super::{CommitId, ParseError};

/// A git ref in one of three forms: a full name (`refs/tags/v1`), a bare name (`v1`), or a full commit id.
///
/// It is valid by the rules of `git check-ref-format --allow-onelevel`, has at most [`GitRef::MAX_BYTES`] bytes, and
/// does not start with a hyphen, so that no git command reads it as an option. It contains no character that is
/// invisible or changes the direction of writing: git accepts them, but a log or a status with such a ref could show
/// another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitRef(String);

/// The kind of a ref, derived from its text alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefName<'a> {
    /// `refs/tags/NAME`. The value is `NAME`.
    Tag(&'a str),
    /// `refs/heads/NAME`. The value is `NAME`.
    Branch(&'a str),
    /// Any other full name. The value includes `refs/`.
    Other(&'a str),
    /// A full commit id.
    Commit(CommitId),
    /// A bare name, which means the tag of that name or, if there is no such tag, the branch. `heads/x` and `tags/x`
    /// are also bare names.
    Bare(&'a str),
}

impl GitRef {
    /// The maximum length in bytes. It is the longest file name of most file systems, so git servers cannot store a
    /// longer ref.
    pub const MAX_BYTES: usize = 255;

    /// Parses a ref in one of its three forms.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(ParseError::TooLong {
                length: text.len(),
                limit: Self::MAX_BYTES,
            });
        }
        if text.starts_with('-') || gix_validate::reference::name_partial(text.into()).is_err() {
            return Err(ParseError::RefFormat {
                text: text.to_owned(),
            });
        }
        if let Some(character) = first_unprintable(text) {
            return Err(ParseError::Invisible {
                text: text.to_owned(),
                character,
            });
        }
        // Senders write an id of zeros for "no commit".
        if matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte == b'0') {
            return Err(ParseError::NoCommit);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the ref as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the kind of the ref.
    #[must_use]
    pub fn name(&self) -> RefName<'_> {
        if let Some(tag) = self.0.strip_prefix("refs/tags/") {
            RefName::Tag(tag)
        } else if let Some(branch) = self.0.strip_prefix("refs/heads/") {
            RefName::Branch(branch)
        } else if self.0.starts_with("refs/") {
            RefName::Other(&self.0)
        } else if let Ok(commit) = CommitId::parse(&self.0) {
            RefName::Commit(commit)
        } else {
            RefName::Bare(&self.0)
        }
    }

    /// Returns the name for `git clone --branch`, which is the ref without `refs/tags/` or `refs/heads/`.
    #[must_use]
    pub fn short(&self) -> &str {
        match self.name() {
            RefName::Tag(name) | RefName::Branch(name) => name,
            _ => &self.0,
        }
    }

    /// Returns the other spelling of a version: with a leading `v` if it has none, and without it otherwise. Returns
    /// `None` for names that are not versions, and for branches.
    #[must_use]
    pub fn other_spelling(&self) -> Option<Self> {
        let (prefix, name) = match self.name() {
            RefName::Bare(name) => ("", name),
            RefName::Tag(name) => ("refs/tags/", name),
            RefName::Branch(_) | RefName::Commit(_) | RefName::Other(_) => return None,
        };
        let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let other = match name.strip_prefix('v') {
            Some(rest) if is_version(rest) => format!("{prefix}{rest}"),
            None if is_version(name) => format!("{prefix}v{name}"),
            _ => return None,
        };
        Self::parse(&other).ok()
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_the_forms() {
        let commit = "ab".repeat(20);
        let cases = [
            ("refs/tags/v1.0", RefName::Tag("v1.0")),
            ("refs/heads/feature/x", RefName::Branch("feature/x")),
            ("refs/pull/7/head", RefName::Other("refs/pull/7/head")),
            ("v1.0", RefName::Bare("v1.0")),
            (
                commit.as_str(),
                RefName::Commit(CommitId::parse(&commit).unwrap()),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(GitRef::parse(text).unwrap().name(), expected);
        }
    }

    #[test]
    fn refuses_names_that_git_refuses() {
        let long = "x".repeat(256);
        for text in [
            "",
            "-upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "x.lock",
            "/x",
            "x/",
            "x//y",
            "a\nb",
            "a\u{7}",
            "@{",
            "*",
            &long,
            &"0".repeat(40),
            &"0".repeat(64),
        ] {
            assert!(GitRef::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_version_has_another_spelling() {
        for (text, other) in [
            ("v1.2.3", Some("1.2.3")),
            ("1.2.3", Some("v1.2.3")),
            ("refs/tags/v1", Some("refs/tags/1")),
            ("refs/tags/1", Some("refs/tags/v1")),
            ("main", None),
            ("vnext", None),
            ("refs/heads/v1", None),
            ("vv1", None),
            ("0123456789012345678901234567890123456789", None),
        ] {
            let other = other.map(|text| GitRef::parse(text).unwrap());
            let git_ref = GitRef::parse(text).unwrap();
            assert_eq!(git_ref.other_spelling(), other, "{text}");
        }
    }

    #[test]
    fn refuses_characters_that_are_invisible_or_change_the_direction() {
        for character in [
            '\u{80}',
            '\u{85}',
            '\u{9b}',
            '\u{9f}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{fff9}',
            '\u{e0041}',
            '\u{34f}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180b}',
            '\u{2003}',
            '\u{2800}',
            '\u{3164}',
            '\u{fdd0}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fffc}',
            '\u{1d173}',
            '\u{e0100}',
        ] {
            let text = format!("refs/tags/v1{character}x");
            let error = GitRef::parse(&text).unwrap_err();
            assert_eq!(
                error,
                ParseError::Invisible {
                    text: text.clone(),
                    character
                }
            );
            let shown = error.to_string();
            assert!(!shown.contains(character), "{shown}");
        }
        for text in [
            "v1-ü",
            "版本/1",
            "גרסה",
            "v1-🎉",
            "⚡\u{fe0f}-fast",
            "x/♻\u{fe0f}",
        ] {
            assert!(GitRef::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn shortens_tags_and_branches_only() {
        let short = |text| GitRef::parse(text).unwrap().short().to_owned();
        assert_eq!(short("refs/tags/v1"), "v1");
        assert_eq!(short("refs/heads/main"), "main");
        assert_eq!(short("refs/pull/7/head"), "refs/pull/7/head");
    }
}
