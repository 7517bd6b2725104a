//! Which refs may be requested.

use stoker_api::detection::{GitRef, RefName};

use super::pattern::{Pattern, Patterns};

/// The branches that forges make and delete on their own: the merge queues of GitHub, Mergify, Trunk and Graphite.
const QUEUES: [&str; 5] = [
    "gh-readonly-queue/",
    "mergify/merge-queue/",
    "trunk-merge/",
    "gtmq_",
    "graphite-base/",
];

/// The rule of `spec.webhook.refs`.
///
/// Without patterns, and with exclusions only, it accepts tags, branches, bare names and commits. It accepts the
/// branches of a merge queue only by a pattern that contains the prefix of the queue, and refs outside of `refs/tags`
/// and `refs/heads` only by a pattern that starts with `refs/`.
#[derive(Debug)]
pub(super) struct RefRule(Patterns);

/// What a ref may be. A bare name may be a tag or a branch, which only the git server knows.
#[derive(Debug, Clone, Copy)]
enum Reading<'a> {
    Tag(&'a str),
    Branch(&'a str),
    Commit(&'a str),
    /// A ref outside of `refs/tags` and `refs/heads`, with its full name.
    Other(&'a str),
}

impl RefRule {
    /// Parses the patterns of an object. The error says what is wrong with them.
    pub(super) fn parse(patterns: Option<&[String]>) -> Result<Self, String> {
        Patterns::of_refs(patterns.unwrap_or_default()).map(Self)
    }

    /// Checks a ref. The error is the reason why it is not accepted.
    ///
    /// A bare name is accepted if a tag or a branch of this name is included and neither is excluded.
    pub(super) fn check(&self, git_ref: &GitRef) -> Result<(), &'static str> {
        let readings = readings(git_ref);
        let is_excluded = |reading: &Reading<'_>| {
            let excludes = &self.0.excludes;
            excludes
                .iter()
                .any(|pattern| reading.is_matched_by(pattern))
        };
        if readings.iter().any(is_excluded) {
            return Err("spec.webhook.refs excludes it");
        }
        // A name that may be a branch of a queue is handled like one.
        let is_queue = readings.iter().any(|reading| reading.queue().is_some());
        let includes = &self.0.includes;
        if includes.is_empty() {
            return if is_queue {
                Err(
                    "a merge queue made this branch, and no pattern in spec.webhook.refs names the queue",
                )
            } else if matches!(readings[..], [Reading::Other(_)]) {
                Err(
                    "it is neither a tag nor a branch, and no pattern in spec.webhook.refs names it",
                )
            } else {
                Ok(())
            };
        }
        let is_included = |reading: &Reading<'_>| {
            includes.iter().any(|pattern| {
                let names_queue = |queue| pattern.text.contains(queue);
                reading.is_matched_by(pattern) && reading.queue().is_none_or(names_queue)
            })
        };
        let mut candidates = readings
            .iter()
            .filter(|reading| !is_queue || reading.queue().is_some());
        if candidates.any(is_included) {
            Ok(())
        } else {
            Err("no pattern in spec.webhook.refs matches it")
        }
    }
}

impl RefRule {
    /// Returns the full name of a bare name of which only one kind is accepted. The git server may have the name with
    /// another kind, which must not be followed.
    pub(super) fn qualify(&self, git_ref: &GitRef) -> Option<GitRef> {
        let RefName::Bare(name) = git_ref.name() else {
            return None;
        };
        let is_included = |reading: Reading<'_>| {
            let mut includes = self.0.includes.iter();
            includes.any(|pattern| reading.is_matched_by(pattern))
        };
        let full = match (
            is_included(Reading::Tag(name)),
            is_included(Reading::Branch(name)),
        ) {
            (true, false) => format!("refs/tags/{name}"),
            (false, true) => format!("refs/heads/{name}"),
            (true, true) | (false, false) => return None,
        };
        GitRef::parse(&full).ok()
    }
}

/// Returns what a ref may be.
fn readings(git_ref: &GitRef) -> Vec<Reading<'_>> {
    match git_ref.name() {
        RefName::Tag(name) => vec![Reading::Tag(name)],
        RefName::Branch(name) => vec![Reading::Branch(name)],
        RefName::Commit(_) => vec![Reading::Commit(git_ref.as_str())],
        RefName::Other(name) => vec![Reading::Other(name)],
        RefName::Bare(name) => {
            let mut readings = vec![Reading::Tag(name), Reading::Branch(name)];
            readings.extend(name.strip_prefix("tags/").map(Reading::Tag));
            readings.extend(name.strip_prefix("heads/").map(Reading::Branch));
            readings
        }
    }
}

impl Reading<'_> {
    /// Returns whether a pattern matches. One with `refs/` matches the full name. One without matches the names of
    /// tags and of branches, and the ids of commits.
    fn is_matched_by(self, pattern: &Pattern) -> bool {
        let is_full = pattern.text.starts_with("refs/");
        match self {
            Self::Tag(name) if is_full => pattern.matches(&format!("refs/tags/{name}")),
            Self::Branch(name) if is_full => pattern.matches(&format!("refs/heads/{name}")),
            Self::Tag(name) | Self::Branch(name) => pattern.matches(name),
            Self::Commit(id) => pattern.matches(id),
            Self::Other(name) => is_full && pattern.matches(name),
        }
    }

    /// Returns the prefix of the merge queue that a branch belongs to.
    fn queue(self) -> Option<&'static str> {
        let Self::Branch(name) = self else {
            return None;
        };
        QUEUES.into_iter().find(|queue| name.starts_with(queue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(patterns: Option<&[&str]>, git_ref: &str) -> bool {
        let patterns: Option<Vec<_>> =
            patterns.map(|list| list.iter().map(|&text| text.to_owned()).collect());
        let rule = RefRule::parse(patterns.as_deref()).unwrap();
        rule.check(&GitRef::parse(git_ref).unwrap()).is_ok()
    }

    #[test]
    fn a_bare_name_becomes_the_only_kind_that_is_accepted() {
        let qualified = |pattern: &str, git_ref: &str| {
            let rule = RefRule::parse(Some(&[pattern.to_owned()])).unwrap();
            let full = rule.qualify(&GitRef::parse(git_ref).unwrap());
            full.map(|full| full.to_string())
        };
        for (pattern, git_ref, full) in [
            ("refs/tags/*", "dev", Some("refs/tags/dev")),
            ("refs/tags/**", "heads/dev", Some("refs/tags/heads/dev")),
            ("refs/tags/*", "HEAD", Some("refs/tags/HEAD")),
            ("refs/heads/*", "v2.0.0", Some("refs/heads/v2.0.0")),
            ("v*", "v2.0.0", None),
            ("refs/tags/*", "refs/tags/v1", None),
        ] {
            assert_eq!(
                qualified(pattern, git_ref).as_deref(),
                full,
                "{pattern} {git_ref}"
            );
        }
    }

    /// Patterns, refs that are accepted, and refs that are not.
    type Case<'a> = (Option<&'a [&'a str]>, &'a [&'a str], &'a [&'a str]);

    const COMMIT: &str = "abababababababababababababababababababab";
    const QUEUED: &str = "refs/heads/gh-readonly-queue/main/pr-7-a1";
    const MERGIFY: &str = "refs/heads/mergify/merge-queue/1";
    const CASES: &[Case<'_>] = &[
        (
            None,
            &["refs/tags/v1", "refs/heads/a/b", "v1", "heads/x", COMMIT],
            &[
                "refs/changes/01/1/1",
                "refs/pull/1/head",
                "refs/merge-requests/1/head",
                QUEUED,
            ],
        ),
        (
            None,
            &["refs/tags/gh-readonly-queue/x", "refs/heads/mergify/other"],
            &[
                MERGIFY,
                "refs/heads/trunk-merge/main/1",
                "gtmq_spec_1",
                "refs/heads/graphite-base/7",
                "gh-readonly-queue/main/pr-7",
                "heads/gh-readonly-queue/main/pr-7",
            ],
        ),
        (
            Some(&["v*"]),
            &["refs/tags/v1", "refs/heads/v1", "v1"],
            &[
                "refs/heads/main",
                "main",
                "refs/tags/v1/x",
                COMMIT,
                "refs/v1",
            ],
        ),
        (
            Some(&["refs/tags/**"]),
            &["refs/tags/v1", "refs/tags/a/b", "v1"],
            &["refs/heads/v1", COMMIT, "refs/pull/1/head"],
        ),
        (
            Some(&["refs/heads/release-*", "main"]),
            &[
                "refs/heads/release-1",
                "release-1",
                "main",
                "refs/tags/main",
            ],
            &["refs/tags/release-1", "refs/heads/mainly"],
        ),
        (
            Some(&["!refs/heads/dev", "!wip/**"]),
            &["refs/heads/main", "refs/tags/dev", COMMIT],
            &[
                "refs/heads/dev",
                "dev",
                "heads/dev",
                "refs/tags/wip/x",
                QUEUED,
                "refs/pull/1/head",
            ],
        ),
        (
            Some(&["**", "!v1*"]),
            &["refs/tags/v2", "refs/heads/main", COMMIT, "main"],
            &["refs/tags/v1.2", "v1", QUEUED, MERGIFY, "refs/pull/1/head"],
        ),
        (Some(&["ab*"]), &[COMMIT], &["refs/tags/v1"]),
        (
            Some(&["refs/**"]),
            &["refs/pull/1/head", "v1"],
            &[QUEUED, COMMIT],
        ),
        (
            Some(&["refs/changes/**"]),
            &["refs/changes/01/1/1"],
            &["refs/heads/main", "main"],
        ),
        (
            Some(&["gh-readonly-queue/**"]),
            &[QUEUED, "gh-readonly-queue/main/pr-7"],
            &[MERGIFY, "refs/heads/main"],
        ),
        (
            Some(&["refs/heads/mergify/merge-queue/*"]),
            &[MERGIFY],
            &[QUEUED],
        ),
    ];

    #[test]
    fn each_pattern_accepts_the_refs_that_it_names() {
        for (patterns, accepted, others) in CASES {
            for git_ref in *accepted {
                assert!(is_accepted(*patterns, git_ref), "{patterns:?} {git_ref}");
            }
            for git_ref in *others {
                assert!(!is_accepted(*patterns, git_ref), "{patterns:?} {git_ref}");
            }
        }
    }
}
