//! Patterns of paths: `*`, `?`, `[…]`, `{a,b}` within a part of a path, and `**` for any number of parts.

mod glob;

use glob::{Glob, Names};

/// The patterns that every profile has: the metadata of git, the gateway's own files, and the sync's own folder.
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
        matches_any(&self.0, path)
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

    /// Returns whether the path matches a pattern. The folders above it are not considered.
    pub(crate) fn matches(&self, path: &str) -> bool {
        matches_any(&self.all, path)
    }

    /// Returns whether the path or a folder above it matches a pattern.
    pub(crate) fn cover(&self, path: &str) -> bool {
        folders(path).any(|path| self.matches(path)) || self.matches(path)
    }

    /// Returns whether the destination of a single file is excluded. Of the folders above it, only those that every
    /// profile excludes count: a profile can exclude a folder and write a file in it.
    pub(crate) fn cover_file(&self, path: &str) -> bool {
        let always = &self.all[..self.always];
        folders(path).any(|path| matches_any(always, path)) || self.matches(path)
    }
}

/// Returns the folders above a path.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn matches_any(globs: &[Glob], path: &str) -> bool {
    let characters: Vec<char> = path.chars().collect();
    let names: Names<'_> = characters.split(|c| *c == '/').collect();
    globs.iter().any(|glob| glob.matches(&names))
}

/// Why a pattern cannot be expanded.
enum Refused {
    Invalid,
    TooLarge,
}

/// Parses a pattern, and returns one glob for each of its alternatives. `left` is the number of characters that may
/// still be written out.
fn globs(pattern: &str, left: &mut usize) -> Result<Vec<Glob>, PatternError> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut all = Vec::new();
    let before = *left;
    expand(&characters, left, &mut all).map_err(|refused| match refused {
        Refused::Invalid => {
            *left = before;
            PatternError::Invalid(pattern.to_owned())
        }
        Refused::TooLarge => PatternError::TooLarge(characters.iter().take(SHOWN).collect()),
    })?;
    Ok(all)
}

/// Replaces `{a,b}` by each of its alternatives, and parses them. A brace that closes nothing is a character.
fn expand(pattern: &[char], left: &mut usize, all: &mut Vec<Glob>) -> Result<(), Refused> {
    // Work that has no result counts, too.
    *left = left
        .checked_sub(pattern.len() + 1)
        .ok_or(Refused::TooLarge)?;
    let Some(open) = find(pattern, 0, |c| c == '{').ok_or(Refused::Invalid)? else {
        all.push(Glob::parse(pattern).ok_or(Refused::Invalid)?);
        return Ok(());
    };
    let (ends, after) = alternatives(pattern, open).ok_or(Refused::Invalid)?;
    for ends in ends.windows(2) {
        let one = [
            &pattern[..open],
            &pattern[ends[0] + 1..ends[1]],
            &pattern[after..],
        ]
        .concat();
        expand(&one, left, all)?;
    }
    Ok(())
}

/// Returns the positions of the braces and of the commas between them, and the position after the last brace.
fn alternatives(pattern: &[char], open: usize) -> Option<(Vec<usize>, usize)> {
    let (mut ends, mut depth, mut at) = (vec![open], 1, open + 1);
    while depth > 0 {
        at = find(pattern, at, |c| matches!(c, '{' | '}' | ','))??;
        match pattern[at] {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 1 => ends.push(at),
            _ => {}
        }
        at += 1;
    }
    ends.push(at - 1);
    Some((ends, at))
}

/// Finds a character outside classes and escapes. Returns `None` if a class or an escape does not end.
#[expect(
    clippy::option_option,
    reason = "the outer one is the validity, the inner one the result"
)]
fn find(pattern: &[char], from: usize, is_wanted: impl Fn(char) -> bool) -> Option<Option<usize>> {
    let mut at = from;
    while at < pattern.len() {
        match pattern[at] {
            '\\' => {
                pattern.get(at + 1)?;
                at += 2;
            }
            '[' => at = glob::class_end(pattern, at)?,
            other if is_wanted(other) => return Some(Some(at)),
            _ => at += 1,
        }
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("**/.git/**", ".git", true),
            ("**/.git/", "p/.git", false),
            ("**/.git/**", "a/.github/x", false),
            ("a/**/", "a", true),
            ("a/**", "a", true),
            ("a/*", "a", false),
            ("a/**", "ab", false),
            ("a/**/c", "a/c", true),
            ("a/*/c", "a/b/b/c", false),
            ("*.tmp", "a/b.tmp", false),
            ("**/*.tmp", "b.tmp", true),
            ("**.tmp", "a/b.tmp", false),
            ("**.tmp", "b.tmp", true),
            ("a**b", "a/b", false),
            ("*", ".hidden", true),
            ("*", "a/b", false),
            ("{a,b/**}/x", "b/c/x", true),
            ("[!a].json", "b.json", true),
            ("a?c", "a/c", false),
            ("???", "äöü", true),
            ("./a", "a", false),
            ("dir", "dir/file", false),
            ("dir/", "dir", false),
            ("A.json", "a.json", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("**/a/**/b/**", "x/a/b", true),
            ("[[:alpha:]]", "a", false),
            ("{a..c}", "b", false),
            ("!(a)", "b", false),
            // Not in the specification: what follows from its rules.
            ("**", "a/b", true),
            ("**", "a", true),
            ("**/**", "a/b", true),
            ("a/**/**/c", "a/c", true),
            ("a/**/c", "a/x/y/c", true),
            ("a/**/c", "axc", false),
            ("[^a]", "a", false),
            ("[^a]", "/", false),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", false),
            ("[\\]]", "]", true),
            ("{a,{b,c}}.json", "c.json", true),
            ("{,a}b", "b", true),
            ("a.b", "axb", false),
            ("x{1,2}/y", "x2/y", true),
            ("**/{x,y}/**", "p/y/q", true),
            ("**", "", true),
            ("**/", "a", false),
            ("a/**/**/", "a", true),
            ("a/**/", "a/b", false),
            ("**/a/**/", "x/a", true),
            ("*a*b*c", "xaxbxbxc", true),
            ("*a*b*c", "xaxcxbx", false),
            ("**/a/**/b/**/c", "a/a/x/b/b/c/c", true),
            ("**/a/**/b/**/c", "a/c/b", false),
            ("p[/]x", "p/x", false),
            ("p[^a]x", "p/x", false),
            ("[^/]*", "ab", true),
            ("[^/a]*", "ab", false),
            ("[z-a]", "z", true),
            ("[z-a]", "a", false),
            ("[!z-a]", "b", true),
            ("[{]x}", "{x}", true),
            ("[{,}]x", ",x", true),
            ("a}", "a}", true),
            ("{a}}", "a}", true),
            ("a\\/b", "a/b", true),
            ("\\*\\*/a", "x/a", false),
            ("\\*\\*/a", "**/a", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn invalid_patterns_are_recognised() {
        for pattern in ["[", "{a", "[]a]", "a\\", "[a", "{a,[}", "a[/"] {
            let error = Pattern::parse(pattern).unwrap_err();
            assert_eq!(error, PatternError::Invalid(pattern.to_owned()));
        }
    }

    #[test]
    fn some_paths_are_always_excluded() {
        let (excludes, invalid) = Excludes::new(&[]).unwrap();
        assert!(invalid.is_empty());
        for path in [
            ".git",
            "a/.git",
            "a/.git/x/y",
            "a/.gitkeep",
            ".resources",
            "a/.resources/b",
            ".sync-staging",
        ] {
            assert!(excludes.cover(path), "{path}");
        }
        for path in [
            "a",
            ".github/x",
            "a/.gitignore",
            "resources",
            "a/.resources2",
        ] {
            assert!(!excludes.cover(path), "{path}");
        }
    }

    #[test]
    fn an_invalid_pattern_has_no_effect() {
        let patterns = [" **/*.tmp ", "", "[", "**/*.tmp", "logs/"].map(str::to_owned);
        let (excludes, invalid) = Excludes::new(&patterns).unwrap();
        assert_eq!(invalid, [PatternError::Invalid("[".to_owned())]);
        assert!(excludes.cover("a/b.tmp") && !excludes.cover("logs/x"));
    }

    #[test]
    fn a_folder_covers_what_is_below_it() {
        let (excludes, _) = Excludes::new(&["a/cache".to_owned()]).unwrap();
        assert!(excludes.cover("a/cache/b/c") && !excludes.cover("a/cached"));
        assert!(!excludes.cover_file("a/cache/b/c") && excludes.cover_file("a/cache"));
        assert!(excludes.cover_file("a/.resources/b/c"));
    }

    #[test]
    fn many_patterns_and_alternatives_have_an_effect() {
        let many = |number| -> Vec<String> {
            let names = (0..number).map(|i| format!("**/dir{i}/*_?{i}*/[a-z]*.{{bak,tmp}}"));
            names.collect()
        };
        let (excludes, invalid) = Excludes::new(&many(2000)).unwrap();
        assert_eq!(invalid, []);
        assert!(excludes.matches("a/dir1999/x_y1999z/b.tmp"));
        assert!(!excludes.matches("a/dir1999/x_y1999z/B.tmp"));
        let names: Vec<String> = (0..5000).map(|i| format!("p{i}")).collect();
        let one = format!("projects/{{{}}}/**", names.join(","));
        assert!(Pattern::parse(&one).unwrap().matches("projects/p4999/x"));
    }

    #[test]
    fn too_large_patterns_are_an_error_and_not_without_effect() {
        let braces = "{a,b}".repeat(40);
        let empty = "{,}".repeat(40);
        let deep = format!("{}a{}", "{".repeat(5000), "}".repeat(5000));
        let long = "a".repeat(MAX_CHARACTERS);
        for pattern in [braces, empty, deep, long] {
            let error = Excludes::new(std::slice::from_ref(&pattern)).unwrap_err();
            assert_eq!(error, PatternError::TooLarge(pattern[..SHOWN].to_owned()));
            assert!(Pattern::parse(&pattern).is_err());
        }
        let together: Vec<String> = (0..3)
            .map(|i| format!("{i}{}", "a".repeat(100_000)))
            .collect();
        assert!(Excludes::new(&together[..2]).is_ok());
        assert!(Excludes::new(&together).is_err());
    }
}
