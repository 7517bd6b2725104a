//! Patterns of paths: `*`, `?`, `[…]`, `{a,b}` within a part of a path, and `**` for any number of parts.

mod braces;
mod glob;

use braces::globs;
use glob::Glob;

/// The patterns that every profile has: the metadata of git, the gateway's own files, and the sync's own directory.
const ALWAYS: [&str; 6] = [
    "**/.git/**",
    "**/.git",
    "**/.gitkeep",
    "**/.resources/**",
    "**/.resources",
    "**/.sync-staging/**",
];
/// The largest number of characters that the patterns of a profile have together, with their alternatives written out.
/// It bounds their memory to a few MiB.
const MAX_CHARACTERS: usize = 1 << 18;
/// The number of characters of a pattern that is too large which an error shows.
const SHOWN: usize = 80;

/// A pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It cannot be parsed.
    #[error("invalid pattern {0:?}")]
    Invalid(String),
    /// It is too large, alone or with those before it.
    #[error(
        "the patterns are too large: with their alternatives written out, they have more than {MAX_CHARACTERS} \
         characters up to {0:?}"
    )]
    TooLarge(String),
}

/// One pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Vec<Glob>);

impl Pattern {
    /// Parses a pattern. It must match a whole path, case-sensitively. `**` is special only if it is a whole part.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        globs(text, &mut MAX_CHARACTERS.clone()).map(Self)
    }

    /// Returns whether the path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        matches_any(&self.0, &Path::new(path).names())
    }
}

/// The patterns of files that are neither written nor deleted.
#[derive(Debug, Clone)]
pub(crate) struct Excludes {
    /// Those that every profile has come first.
    all: Vec<Glob>,
    always: usize,
}

impl Excludes {
    /// Adds the patterns of a profile to those that always hold. Invalid patterns are returned and have no effect.
    ///
    /// # Errors
    ///
    /// Fails if the patterns are too large. What a pattern protects must not be deleted because of a limit.
    pub(crate) fn new(patterns: &[String]) -> Result<(Self, Vec<PatternError>), PatternError> {
        let mut left = MAX_CHARACTERS;
        let mut all = Vec::new();
        for text in ALWAYS {
            all.append(&mut globs(text, &mut left)?);
        }
        let always = all.len();
        let mut invalid = Vec::new();
        for text in patterns.iter().map(|text| text.trim()) {
            if text.is_empty() {
                continue;
            }
            match globs(text, &mut left) {
                Ok(mut globs) => all.append(&mut globs),
                Err(error @ PatternError::Invalid(_)) => invalid.push(error),
                Err(error @ PatternError::TooLarge(_)) => return Err(error),
            }
        }
        Ok((Self { all, always }, invalid))
    }

    /// Returns whether the path matches a pattern. The directories above it are not considered.
    pub(crate) fn matches(&self, path: &str) -> bool {
        matches_any(&self.all, &Path::new(path).names())
    }

    /// Returns whether the path or a directory above it matches a pattern.
    pub(crate) fn cover(&self, path: &str) -> bool {
        let path = Path::new(path);
        let names = path.names();
        prefixes(&names).any(|names| matches_any(&self.all, names))
    }

    /// Returns whether the destination of a single file is excluded. Of the directories above it, only those that every
    /// profile excludes count: a profile can exclude a directory and write a file in it.
    pub(crate) fn cover_file(&self, path: &str) -> bool {
        let path = Path::new(path);
        let names = path.names();
        let always = &self.all[..self.always];
        prefixes(&names).any(|names| matches_any(always, names)) || matches_any(&self.all, &names)
    }
}

/// The characters of a path.
struct Path(Vec<char>);

impl Path {
    fn new(path: &str) -> Self {
        Self(path.chars().collect())
    }

    /// Returns the names from the root on.
    fn names(&self) -> Vec<&[char]> {
        self.0.split(|c| *c == '/').collect()
    }
}

/// Returns the names of the directories above a path, and those of the path.
fn prefixes<'a, 'b>(names: &'b [&'a [char]]) -> impl Iterator<Item = &'b [&'a [char]]> {
    (1..=names.len()).map(|length| &names[..length])
}

fn matches_any(globs: &[Glob], names: &[&[char]]) -> bool {
    globs.iter().any(|glob| glob.matches(names))
}

#[cfg(test)]
mod tests;
