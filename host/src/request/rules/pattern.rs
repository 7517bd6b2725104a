//! Patterns with wildcards, and lists of them with exclusions.

use regex::{Regex, RegexBuilder};

/// The maximum number of patterns of a list, as in the schema of the custom resource.
const MAX_PATTERNS: usize = 64;
/// The maximum length of a pattern in bytes, as in the schema of the custom resource.
const MAX_BYTES: usize = 256;
/// Characters that are wildcards elsewhere, or that no ref contains (git-check-ref-format(1)).
const NOT_IN_REFS: &[char] = &['[', ']', '{', '}', '\\', '^', '~', ':'];
/// Characters that are wildcards elsewhere. A colon is part of the events of some senders.
const NOT_IN_EVENTS: &[char] = &['[', ']', '{', '}', '\\'];

/// A pattern: `*` matches any text without `/`, `**` matches any text, and `?` matches one character except `/`.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The pattern as it was written, without `!`.
    pub(super) text: String,
    regex: Regex,
}

impl Pattern {
    /// Returns whether the pattern matches a whole text.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// A list of patterns. Those that start with `!` exclude, and have precedence.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// The patterns of which one must match. An empty list includes everything.
    pub(super) includes: Vec<Pattern>,
    /// The patterns of which none may match.
    pub(super) excludes: Vec<Pattern>,
}

impl Patterns {
    /// Parses patterns of refs.
    pub(super) fn of_refs(patterns: &[String]) -> Result<Self, String> {
        Self::parse(patterns, NOT_IN_REFS, false)
    }

    /// Parses patterns of events, which match regardless of the case of letters.
    pub(super) fn of_events(patterns: &[String]) -> Result<Self, String> {
        Self::parse(patterns, NOT_IN_EVENTS, true)
    }

    fn parse(patterns: &[String], forbidden: &[char], ignores_case: bool) -> Result<Self, String> {
        if patterns.len() > MAX_PATTERNS {
            let count = patterns.len();
            return Err(format!("{count} patterns are more than {MAX_PATTERNS}"));
        }
        let mut parsed = Self::default();
        for pattern in patterns {
            let (list, text) = match pattern.strip_prefix('!') {
                Some(text) => (&mut parsed.excludes, text),
                None => (&mut parsed.includes, pattern.as_str()),
            };
            let refuse = |why: &str| format!("the pattern {pattern:?} {why}");
            if text.is_empty() {
                return Err(refuse("is empty"));
            }
            if text.len() > MAX_BYTES {
                return Err(refuse("is too long"));
            }
            let is_forbidden =
                |c: char| c == '!' || c.is_whitespace() || c.is_control() || forbidden.contains(&c);
            // An exclamation mark is part of a pattern only after its start.
            if let Some((_, other)) = text
                .char_indices()
                .find(|&(at, c)| is_forbidden(c) && (c != '!' || at == 0))
            {
                let why = format!("contains {other:?}; the wildcards are *, ** and ?");
                return Err(refuse(&why));
            }
            let regex = RegexBuilder::new(&expression(text))
                .case_insensitive(ignores_case)
                .build()
                .map_err(|_| refuse("is too complex"))?;
            list.push(Pattern {
                text: text.to_owned(),
                regex,
            });
        }
        Ok(parsed)
    }

    /// Returns whether a text is included and not excluded.
    pub(super) fn accept(&self, text: &str) -> bool {
        let matches = |pattern: &Pattern| pattern.matches(text);
        let is_included = self.includes.is_empty() || self.includes.iter().any(matches);
        is_included && !self.excludes.iter().any(matches)
    }
}

/// Returns a pattern as a regular expression for a whole text.
fn expression(pattern: &str) -> String {
    let mut expression = String::from("^");
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '*' => {
                let mut is_deep = false;
                while rest.next_if_eq(&'*').is_some() {
                    is_deep = true;
                }
                expression.push_str(if is_deep { ".*" } else { "[^/]*" });
            }
            '?' => expression.push_str("[^/]"),
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn wildcards_match_whole_texts() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("v*", &["v", "v1", "v1.2.3"], &["v1/2", "xv1", "V1"]),
            ("**", &["v1", "a/b/c"], &[]),
            (
                "release/**",
                &["release/1", "release/1/x"],
                &["release", "release1"],
            ),
            ("rel**-x", &["rel-x", "rel/1/2-x"], &["rel/x"]),
            (
                "v?.?",
                &["v1.2", "vé.ü"],
                &["v1.", "v1/2", "v10.2", "v1.2x"],
            ),
            ("a.b+c", &["a.b+c"], &["axb+c", "a.bbc"]),
            ("main", &["main"], &["main2", "xmain", "main\n"]),
        ];
        for (pattern, matching, others) in cases {
            let patterns = Patterns::of_refs(&list(&[pattern])).unwrap();
            for text in *matching {
                assert!(patterns.accept(text), "{pattern} {text}");
            }
            for text in *others {
                assert!(!patterns.accept(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn exclusions_win_and_events_match_regardless_of_case() {
        let events = Patterns::of_events(&list(&["release.*", "!*.deleted", "repo:push"])).unwrap();
        for (event, is_accepted) in [
            ("release.published", true),
            ("Release.Published", true),
            ("release.deleted", false),
            ("repo:push", true),
            ("push", false),
        ] {
            assert_eq!(events.accept(event), is_accepted, "{event}");
        }
        let others = Patterns::of_events(&list(&["!ping"])).unwrap();
        assert!(others.accept("push") && !others.accept("PING"));
    }

    #[test]
    fn an_invalid_pattern_is_an_error_that_quotes_it() {
        let long = "x".repeat(MAX_BYTES + 1);
        for pattern in [
            "", "!", "!!x", "a b", "v[0-9]", "{a,b}", "a\\*", "a:b", "x\n", &long,
        ] {
            let error = Patterns::of_refs(&list(&[pattern])).unwrap_err();
            assert!(error.contains(&format!("{pattern:?}")), "{error}");
        }
        let many = vec!["x".to_owned(); MAX_PATTERNS + 1];
        assert!(Patterns::of_refs(&many).is_err());
    }
}
