use std::fmt;

use super::{CommitId, WordError};

/// A git ref as somebody wrote it: a full name (`refs/tags/v1`), a bare one (`v1`), or a full commit id.
///
/// Valid by the rules of `git check-ref-format --allow-onelevel`, no longer than [`GitRef::MAX_BYTES`], and without a
/// leading hyphen, which a git command line would take for an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitRef(String);

/// What a ref names, as far as its text tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefName<'a> {
    /// `refs/tags/NAME`.
    Tag(&'a str),
    /// `refs/heads/NAME`.
    Branch(&'a str),
    /// Any other full name, `refs/` included.
    Other(&'a str),
    /// A full commit id.
    Commit(CommitId),
    /// A bare name: a tag, else a branch, of that name. `heads/x` and `tags/x` are bare names too.
    Bare(&'a str),
}

impl GitRef {
    /// The longest ref that is accepted: most file systems take no longer name, so no server holds one.
    pub const MAX_BYTES: usize = 255;

    /// Takes a ref in any of its three forms.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        if text.is_empty() {
            return Err(WordError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(WordError::TooLong {
                length: text.len(),
                limit: Self::MAX_BYTES,
            });
        }
        if text.starts_with('-') || gix_validate::reference::name_partial(text.into()).is_err() {
            return Err(WordError::RefFormat {
                text: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it names.
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

    /// The name that `git clone --branch` takes: without `refs/tags/` or `refs/heads/`.
    #[must_use]
    pub fn short(&self) -> &str {
        match self.name() {
            RefName::Tag(name) | RefName::Branch(name) => name,
            _ => &self.0,
        }
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
    fn tells_the_forms_apart() {
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
    fn refuses_what_git_refuses() {
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
        ] {
            assert!(GitRef::parse(text).is_err(), "{text:?}");
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
