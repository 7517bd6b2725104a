//! Patterns of paths: `*`, `?`, `[…]`, `{a,b}` within a part of a path, and `**` for any number of parts.

use std::iter::{Copied, Peekable};
use std::slice::Iter;

use regex::RegexSet;

/// The patterns that every profile has: the metadata of git, the gateway's own files, and the sync's own folder.
const ALWAYS: [&str; 6] = [
    "**/.git/**",
    "**/.git",
    "**/.gitkeep",
    "**/.resources/**",
    "**/.resources",
    "**/.sync-staging/**",
];
/// The largest number of alternatives in one pattern.
const MAX_ALTERNATIVES: usize = 256;
/// The largest number of characters in one pattern.
const MAX_LENGTH: usize = 4096;

/// A pattern cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pattern {0:?}")]
pub(crate) struct PatternError(String);

/// One pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(RegexSet);

impl Pattern {
    /// Parses a pattern. It must match a whole path, case-sensitively. `**` is special only if it is a whole part.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let set = expressions(text).and_then(|all| RegexSet::new(all).ok());
        set.map(Self).ok_or_else(|| PatternError(text.to_owned()))
    }

    /// Returns whether the path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// The patterns of files that are neither written nor deleted.
#[derive(Debug, Clone)]
pub(crate) struct Excludes {
    all: RegexSet,
    /// Those that every profile has.
    always: RegexSet,
}

impl Excludes {
    /// Adds the patterns of a profile to those that always hold. Invalid patterns are returned and have no effect.
    pub(crate) fn new(patterns: &[String]) -> (Self, Vec<PatternError>) {
        let mut all = Vec::new();
        let mut invalid = Vec::new();
        for text in patterns.iter().map(|text| text.trim()).chain(ALWAYS) {
            if text.is_empty() {
                continue;
            }
            match expressions(text).filter(|all| RegexSet::new(all).is_ok()) {
                Some(expressions) => all.extend(expressions),
                None => invalid.push(PatternError(text.to_owned())),
            }
        }
        all.sort_unstable();
        all.dedup();
        let (set, too_large) = match RegexSet::new(&all) {
            Ok(set) => (set, None),
            Err(_) => (
                built_in(),
                Some(PatternError("all patterns together".to_owned())),
            ),
        };
        invalid.extend(too_large);
        let always = built_in();
        (Self { all: set, always }, invalid)
    }

    /// Returns whether the path matches a pattern. The folders above it are not considered.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.all.is_match(path)
    }

    /// Returns whether the path or a folder above it matches a pattern.
    pub(crate) fn cover(&self, path: &str) -> bool {
        folders(path).any(|path| self.matches(path)) || self.matches(path)
    }

    /// Returns whether the destination of a single file is excluded. Of the folders above it, only those that every
    /// profile excludes count: a profile can exclude a folder and write a file in it.
    pub(crate) fn cover_file(&self, path: &str) -> bool {
        folders(path).any(|path| self.always.is_match(path)) || self.matches(path)
    }
}

/// Returns the folders above a path.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn built_in() -> RegexSet {
    let all: Vec<String> = ALWAYS
        .iter()
        .filter_map(|text| expressions(text))
        .flatten()
        .collect();
    RegexSet::new(all).unwrap_or_else(|_| RegexSet::empty())
}

/// Translates a pattern to regular expressions, one for each of its alternatives.
fn expressions(pattern: &str) -> Option<Vec<String>> {
    if pattern.len() > MAX_LENGTH {
        return None;
    }
    let characters: Vec<char> = pattern.chars().collect();
    let mut expanded = Vec::new();
    expand(&characters, &mut expanded)?;
    expanded.iter().map(|one| expression(one)).collect()
}

/// Replaces `{a,b}` by each of its alternatives.
fn expand(pattern: &[char], all: &mut Vec<Vec<char>>) -> Option<()> {
    let Some(open) = find(pattern, 0, |c| c == '{' || c == '}')? else {
        all.push(pattern.to_vec());
        return (all.len() <= MAX_ALTERNATIVES).then_some(());
    };
    if pattern[open] == '}' {
        return None;
    }
    let (mut commas, mut depth, mut at) = (vec![open], 1, open + 1);
    while depth > 0 {
        at = find(pattern, at, |c| matches!(c, '{' | '}' | ','))??;
        match pattern[at] {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 1 => commas.push(at),
            _ => {}
        }
        at += 1;
    }
    let close = at - 1;
    commas.push(close);
    for ends in commas.windows(2) {
        let one = [
            &pattern[..open],
            &pattern[ends[0] + 1..ends[1]],
            &pattern[at..],
        ]
        .concat();
        expand(&one, all)?;
    }
    Some(())
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
            '[' => at = class_end(pattern, at)?,
            other if is_wanted(other) => return Some(Some(at)),
            _ => at += 1,
        }
    }
    Some(None)
}

/// Returns the position after a class `[…]`. An empty class is invalid.
fn class_end(pattern: &[char], open: usize) -> Option<usize> {
    let mut at = open + 1;
    if matches!(pattern.get(at), Some('!' | '^')) {
        at += 1;
    }
    let first = at;
    loop {
        match pattern.get(at)? {
            ']' if at > first => return Some(at + 1),
            ']' => return None,
            '\\' => {
                pattern.get(at + 1)?;
                at += 2;
            }
            _ => at += 1,
        }
    }
}

/// Translates a pattern without alternatives.
fn expression(pattern: &[char]) -> Option<String> {
    let is_deep = |part: &[char]| part == ['*', '*'];
    let mut parts: Vec<&[char]> = pattern.split(|c| *c == '/').collect();
    // Several `**` in a row mean the same as one.
    parts.dedup_by(|next, part| is_deep(next) && is_deep(part));
    let mut text = String::from("(?s)^");
    let last = parts.len() - 1;
    for (index, part) in parts.iter().enumerate() {
        let is_start = index == 0;
        if is_deep(part) {
            match (is_start, index == last) {
                (true, true) => text.push_str(".*"),
                // The part before has written no slash.
                (false, true) => text.push_str("(?:/.*)?"),
                // `a/**/` also matches `a`.
                (false, false) if index + 1 == last && parts[last].is_empty() => {
                    text.push_str("(?:/(?:.*/)?)?");
                    break;
                }
                (true, false) => text.push_str("(?:.*/)?"),
                (false, false) => text.push_str("/(?:.*/)?"),
            }
        } else {
            let after_deep = !is_start && is_deep(parts[index - 1]);
            if !is_start && !after_deep {
                text.push('/');
            }
            part_expression(part, &mut text)?;
        }
    }
    text.push('$');
    Some(text)
}

fn part_expression(part: &[char], text: &mut String) -> Option<()> {
    let mut at = 0;
    while at < part.len() {
        match part[at] {
            '*' => {
                text.push_str("[^/]*");
                at += 1;
            }
            '?' => {
                text.push_str("[^/]");
                at += 1;
            }
            '[' => {
                let end = class_end(part, at)?;
                class(&part[at + 1..end - 1], text);
                at = end;
            }
            '\\' => {
                push_literal(*part.get(at + 1)?, text);
                at += 2;
            }
            other => {
                push_literal(other, text);
                at += 1;
            }
        }
    }
    Some(())
}

/// Translates the inside of a class. A class never matches a slash.
fn class(inside: &[char], text: &mut String) {
    let (is_negated, inside) = match inside.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        _ => (false, inside),
    };
    let mut ranges = Vec::new();
    let mut characters = inside.iter().copied().peekable();
    let next = |characters: &mut Peekable<Copied<Iter<'_, char>>>| {
        let first = characters.next()?;
        if first == '\\' {
            characters.next()
        } else {
            Some(first)
        }
    };
    while let Some(first) = next(&mut characters) {
        let is_range = characters.peek() == Some(&'-') && characters.clone().nth(1).is_some();
        if !is_range {
            ranges.push((first, first));
            continue;
        }
        characters.next();
        if let Some(last) = next(&mut characters).filter(|last| first <= *last) {
            ranges.push((first, last));
        }
    }
    if ranges.is_empty() {
        text.push_str(if is_negated { "[^/]" } else { "[^\\s\\S]" });
        return;
    }
    text.push_str(if is_negated { "[^/" } else { "[" });
    for (first, last) in ranges {
        push_literal(first, text);
        text.push('-');
        push_literal(last, text);
    }
    text.push_str(if is_negated { "]" } else { "&&[^/]]" });
}

fn push_literal(character: char, text: &mut String) {
    text.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
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
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn invalid_patterns_are_recognised() {
        let many = "{a,b}".repeat(9);
        let long = "a".repeat(5000);
        for pattern in ["[", "{a", "[]a]", "a\\", "a}", "[a", "{a,[}", &many, &long] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn some_paths_are_always_excluded() {
        let (excludes, invalid) = Excludes::new(&[]);
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
        let (excludes, invalid) = Excludes::new(&patterns);
        assert_eq!(invalid, [PatternError("[".to_owned())]);
        assert!(excludes.cover("a/b.tmp") && !excludes.cover("logs/x"));
    }

    #[test]
    fn a_folder_covers_what_is_below_it() {
        let (excludes, _) = Excludes::new(&["a/cache".to_owned()]);
        assert!(excludes.cover("a/cache/b/c") && !excludes.cover("a/cached"));
        assert!(!excludes.cover_file("a/cache/b/c") && excludes.cover_file("a/cache"));
        assert!(excludes.cover_file("a/.resources/b/c"));
    }
}
