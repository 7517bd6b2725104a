//! Ranges of versions, in the notation of npm and of Helm: comparators that must all match are separated by spaces or
//! commas, and alternatives by `||`.

use semver::{Version, VersionReq};
use stoker_api::detection::{GitRef, RefName};

/// The maximum length of a range in bytes, as in the schema of the custom resource.
const MAX_BYTES: usize = 256;

/// A range of versions. A pre-release is in it only if a comparator has a pre-release of the same version.
#[derive(Debug)]
pub(super) struct VersionRange {
    text: String,
    alternatives: Vec<VersionReq>,
}

impl VersionRange {
    /// Parses a range. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("{text:?} is not a range of versions: {why}");
        if text.len() > MAX_BYTES {
            return Err(refuse("it is too long"));
        }
        let alternatives = text.split("||").map(|alternative| {
            let comparators = comparators(alternative).map_err(|why| refuse(&why))?;
            let parsed = VersionReq::parse(&comparators.join(","));
            parsed.map_err(|error| refuse(&error.to_string()))
        });
        Ok(Self {
            text: text.to_owned(),
            alternatives: alternatives.collect::<Result<_, _>>()?,
        })
    }

    /// Checks the version of a tag. The error is the reason why it is not accepted.
    pub(super) fn check(&self, git_ref: &GitRef) -> Result<(), String> {
        let (RefName::Tag(name) | RefName::Bare(name)) = git_ref.name() else {
            return Err("spec.webhook.semver accepts tags only".to_owned());
        };
        let Some(version) = version(name) else {
            return Err("it is not a version, which spec.webhook.semver requires".to_owned());
        };
        if self
            .alternatives
            .iter()
            .any(|range| range.matches(&version))
        {
            Ok(())
        } else {
            let range = &self.text;
            Err(format!(
                "it is not in the range {range:?} of spec.webhook.semver"
            ))
        }
    }
}

/// Returns the comparators of an alternative in the notation of `VersionReq`, in which a version without an operator
/// would mean compatible versions.
fn comparators(alternative: &str) -> Result<Vec<String>, String> {
    let is_separator = |c: char| c == ',' || c.is_whitespace();
    let words: Vec<&str> = alternative
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .collect();
    let (mut comparators, mut rest) = (Vec::new(), words.as_slice());
    while let [word, after @ ..] = rest {
        let digits = word.trim_start_matches(['<', '>', '=', '^', '~']);
        let operator = &word[..word.len() - digits.len()];
        rest = after;
        // An operator and its version may be separated.
        let digits = match (digits, after) {
            ("", [next, after @ ..]) => {
                rest = after;
                next
            }
            _ => digits,
        };
        let bound = digits.strip_prefix(['v', 'V']).unwrap_or(digits);
        match rest {
            ["-", last, after @ ..] if operator.is_empty() => {
                let last = last.strip_prefix(['v', 'V']).unwrap_or(last);
                comparators.extend([format!(">={bound}"), format!("<={last}")]);
                rest = after;
            }
            _ if is_any(bound) && operator.is_empty() => comparators.push("*".to_owned()),
            _ if operator.is_empty() => comparators.push(format!("={bound}")),
            _ => comparators.push(format!("{operator}{bound}")),
        }
    }
    if comparators.is_empty() {
        return Err("it is empty".to_owned());
    }
    // `VersionReq` accepts `*` only alone, and every other comparator is narrower.
    if comparators.len() > 1 {
        comparators.retain(|comparator| comparator != "*");
        comparators.dedup();
    }
    Ok(comparators)
}

fn is_any(bound: &str) -> bool {
    matches!(bound, "*" | "x" | "X")
}

/// Returns the version that a name denotes, if any: with an optional `v` before it. Missing parts are zero.
fn version(name: &str) -> Option<Version> {
    let name = name.strip_prefix(['v', 'V']).unwrap_or(name);
    let end = name.find(['-', '+']).unwrap_or(name.len());
    let (core, rest) = name.split_at(end);
    let missing = 2_usize.checked_sub(core.matches('.').count())?;
    let padding = ".0".repeat(missing);
    Version::parse(&format!("{core}{padding}{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_accepts_the_tags_whose_versions_are_in_it() {
        // A range, names that are accepted, and names that are not.
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                ">=2 <3",
                &["v2", "2.0", "v2.9.9", "refs/tags/v2.1.0", "2.1.0+build"],
                &[
                    "v1.9.9",
                    "v3.0.0",
                    "v2.1.0-rc.1",
                    "v3.0.0-rc.1",
                    "main",
                    "latest",
                ],
            ),
            (">=2, <3", &["v2.5"], &["v3"]),
            (">= 2 ,< 3", &["v2.5"], &["v3", "v1"]),
            (">=2,<3", &["v2.5"], &["v3"]),
            ("^2.1", &["v2.1.0", "2.9"], &["v2.0.9", "v3"]),
            ("~2.1", &["v2.1.9"], &["v2.2.0"]),
            ("2.x", &["v2.0.0", "2.7"], &["v1.0.0", "v3.0.0"]),
            ("2.1", &["2.1.5"], &["2.2.0"]),
            ("2.1.3", &["v2.1.3"], &["2.1.4"]),
            (
                ">=1.0.0 <2.0.0 || 3.x",
                &["1.5.0", "3.1.0"],
                &["2.0.0", "4.0.0"],
            ),
            ("1.2 - 2.0", &["1.2.0", "2.0.9"], &["1.1.9", "2.1.0"]),
            ("*", &["1.0.0"], &["1.0.0-rc.1", "x"]),
            (
                ">=2.0.0-0 <3",
                &["2.0.0-rc.1", "2.0.0"],
                &["2.1.0-rc.1", "3.0.0-rc.1"],
            ),
            (">=v1.2", &["V1.2"], &["v1.1"]),
            (">1.2", &["1.3.0"], &["1.2.9"]),
            // A range without versions.
            (">=2 <1", &[], &["v0", "v1", "v2", "v3"]),
            // What looks like a version.
            (
                "*",
                &[],
                &[
                    "1.2.3.4",
                    "release-1.2.3",
                    "01.2.3",
                    "1.2.3rc1",
                    "vv1.2.3",
                    "refs/heads/1.2.3",
                ],
            ),
        ];
        let commit = "1".repeat(40);
        for (text, accepted, others) in cases {
            let range = VersionRange::parse(text).unwrap();
            let is_accepted = |name: &str| range.check(&GitRef::parse(name).unwrap()).is_ok();
            for name in *accepted {
                assert!(is_accepted(name), "{text} {name}");
            }
            for name in *others {
                assert!(!is_accepted(name), "{text} {name}");
            }
            assert!(!is_accepted(&commit), "{text}");
        }
    }

    #[test]
    fn an_invalid_range_is_an_error_that_quotes_it() {
        let long = ">=1 ".repeat(100);
        for text in [
            "",
            " ",
            "||",
            ">=1 ||",
            "foo",
            "latest",
            ">=2 foo",
            ">=2 &&<3",
            "=<2",
            "!=2",
            "~>2.1",
            "^",
            ">= ",
            ">=1.2.3.4",
            "1.2 -",
            "- 2",
            "2-x",
            &long,
        ] {
            let error = VersionRange::parse(text).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
