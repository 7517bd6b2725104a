//! Ranges of versions, in the notation of npm and of Helm: comparators that must all match are separated by spaces or
//! commas, and alternatives by `||`.

use std::cmp::Ordering;

use semver::{Comparator, Op, Prerelease, Version, VersionReq};
use stoker_api::detection::{GitRef, RefName};

/// The maximum length of a range in bytes, as in the schema of the custom resource.
const MAX_BYTES: usize = 256;

/// A range of versions. Pre-releases are in it only if a comparator of the alternative has a pre-release.
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
            .any(|range| contains(range, &version))
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

/// Returns whether an alternative contains a version.
///
/// `VersionReq` accepts a pre-release only if a comparator has a pre-release of the same version, so that `>=2.0.0-0`
/// would not contain `2.5.0-rc.1`. A comparator with a pre-release shows that pre-releases are wanted, as with the option
/// `includePrerelease` of npm.
fn contains(range: &VersionReq, version: &Version) -> bool {
    let has_prerelease = |comparator: &Comparator| !comparator.pre.is_empty();
    let comparators = &range.comparators;
    range.matches(version)
        || !version.pre.is_empty()
            && comparators.iter().any(has_prerelease)
            && comparators.iter().all(|bounds| admits(bounds, version))
}

/// Returns whether a pre-release is within the bounds of a comparator. The pre-releases of an upper bound are outside of
/// them: `<3.0.0` does not admit `3.0.0-rc.1`.
fn admits(comparator: &Comparator, version: &Version) -> bool {
    let Comparator { op, major, pre, .. } = comparator;
    let (minor, patch) = (comparator.minor.unwrap_or(0), comparator.patch.unwrap_or(0));
    let is_partial = comparator.patch.is_none();
    let lower = if is_partial {
        before(*major, minor, patch)
    } else {
        Version {
            pre: pre.clone(),
            ..Version::new(*major, minor, patch)
        }
    };
    let next_major = || before(major.saturating_add(1), 0, 0);
    let next_minor = || before(*major, minor.saturating_add(1), 0);
    let after_partial = || match comparator.minor {
        None => next_major(),
        Some(_) => next_minor(),
    };
    let is_from = |bound: &Version| version.cmp_precedence(bound) != Ordering::Less;
    let is_above = |bound: &Version| version.cmp_precedence(bound) == Ordering::Greater;
    match op {
        Op::Exact | Op::Wildcard if is_partial => is_from(&lower) && !is_from(&after_partial()),
        Op::Greater if is_partial => is_from(&after_partial()),
        Op::LessEq if is_partial => !is_from(&after_partial()),
        Op::Greater => is_above(&lower),
        Op::GreaterEq => is_from(&lower),
        Op::LessEq => !is_above(&lower),
        Op::Less if pre.is_empty() => !is_from(&before(*major, minor, patch)),
        Op::Less => !is_from(&lower),
        Op::Tilde => is_from(&lower) && !is_from(&after_partial()),
        Op::Caret => {
            let end = match (major, comparator.minor, comparator.patch) {
                (0, Some(0), Some(patch)) => before(0, 0, patch.saturating_add(1)),
                (0, Some(_), _) => next_minor(),
                _ => next_major(),
            };
            is_from(&lower) && !is_from(&end)
        }
        _ => version.cmp_precedence(&lower) == Ordering::Equal,
    }
}

/// Returns the first pre-release of a version, which precedes all others (Semantic Versioning 2.0.0 §11).
fn before(major: u64, minor: u64, patch: u64) -> Version {
    Version {
        pre: Prerelease::new("0").unwrap_or_default(),
        ..Version::new(major, minor, patch)
    }
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

    /// A range, names that are accepted, and names that are not.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

    fn check(cases: &[Case<'_>]) {
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
    fn a_range_that_names_a_pre_release_accepts_pre_releases() {
        check(&[
            (
                ">=2.0.0-0 <3",
                &["2.0.0-rc.1", "2.0.0", "2.1.0-rc.1"],
                &["3.0.0-rc.1", "3.0.0-0", "1.9.0-rc.1"],
            ),
            (
                ">=2.0.0-0 <3.0.0",
                &["v2.5.0-rc1", "v2.5.0", "2.0.0-0"],
                &["3.0.0-rc.1", "3.0.0", "1.9.9"],
            ),
            (">=2.0.0 <3.0.0", &["2.5.0"], &["v2.5.0-rc1"]),
            (
                ">=2.0.0-0 <2.0.0",
                &["2.0.0-rc.1"],
                &["2.0.0", "1.9.0-rc.1"],
            ),
            (
                ">2.0.0-rc.1 <=2.2.0-rc.2",
                &["2.0.0-rc.2", "2.1.0-0", "2.2.0-rc.2"],
                &["2.0.0-rc.1", "2.2.0-rc.3", "2.2.0"],
            ),
            (
                ">=2.0.0-0 <3.0.0-rc.2",
                &["3.0.0-rc.1", "2.9.0-x"],
                &["3.0.0-rc.2"],
            ),
            (
                "^2.1.0-beta",
                &["2.1.0-beta", "2.9.0-rc.1"],
                &["2.1.0-alpha", "3.0.0-rc.1"],
            ),
            ("^0.2.3-0", &["0.2.9-rc.1"], &["0.3.0-rc.1", "0.2.2-rc.1"]),
            ("^0.0.3-0", &["0.0.3-rc.1"], &["0.0.4-rc.1"]),
            ("~2.1.0-0", &["2.1.9-rc.1"], &["2.2.0-rc.1"]),
            (">=2.0.0-0 2.x", &["2.5.0-rc.1"], &["3.0.0-rc.1"]),
            (">=2.0.0-0 >2.1", &["2.2.0-rc.1"], &["2.1.5-rc.1"]),
            (">=2.0.0-0 <=2.1", &["2.1.5-rc.1"], &["2.2.0-rc.1"]),
            (">=2.0.0-0 ~2.1", &["2.1.0-rc.1"], &["2.2.0-rc.1"]),
            (">=2.0.0-0 ^2", &["2.0.0-rc.1"], &["3.0.0-0"]),
            ("=2.0.0-rc.1", &["2.0.0-rc.1+b"], &["2.0.0-rc.2", "2.0.0"]),
            ("2.0.0-0 - 2.5", &["2.5.9-rc.1"], &["2.6.0-rc.1"]),
            (
                ">=2.0.0-0 || 1.x",
                &["2.5.0-rc.1", "1.5.0"],
                &["1.5.0-rc.1"],
            ),
        ]);
    }

    #[test]
    fn a_range_accepts_the_tags_whose_versions_are_in_it() {
        check(&[
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
        ]);
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
