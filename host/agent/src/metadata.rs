//! What is published for a gateway: the commit, the repository and the profiles.

use std::collections::BTreeMap;

use stoker_api::detection::{CommitId, GitRef, ParseError, RepoUrl};
use stoker_api::names::metadata_key;
use tokio::sync::watch;

/// What the controller says about a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Metadata {
    /// The object is paused: the gateway stays as it is. A commit may not be known yet.
    Paused,
    /// The gateway should run a commit.
    Published(Published),
}

/// What a gateway should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// The commit.
    pub(crate) commit: CommitId,
    /// The ref that led to the commit.
    pub(crate) git_ref: GitRef,
    /// The repository.
    pub(crate) repo: RepoUrl,
    /// Certificates of authorities, in PEM format, that are trusted in addition to those of this machine.
    pub(crate) ca_bundle: Option<String>,
    /// All profiles as one JSON object. The text is compared byte by byte, as the controller writes it.
    pub(crate) profiles: String,
}

/// For what a running fetch is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CancelFor {
    /// For a pause, for another repository and for another commit.
    #[default]
    Commits,
    /// For a pause and for another repository.
    Repositories,
}

/// The reason why nothing usable is published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    /// The controller has not published a commit yet.
    #[error("no commit is published yet")]
    NoCommit,
    /// The commit is not the id of a commit.
    #[error("the published commit is invalid")]
    Commit(#[source] ParseError),
    /// The ref is not one that git accepts.
    #[error("the published ref is invalid")]
    Ref(#[source] ParseError),
    /// The repository has no address, or one that is not supported.
    #[error("the published address of the repository is invalid")]
    Repo(#[source] ParseError),
}

impl Published {
    /// Returns whether a running fetch of this commit is cancelled by what is published now.
    pub(crate) fn is_cancelled_by(&self, now: &Metadata, cancel_for: CancelFor) -> bool {
        match now {
            Metadata::Paused => true,
            Metadata::Published(now) => {
                let is_other = self.commit != now.commit;
                self.repo != now.repo || (is_other && cancel_for == CancelFor::Commits)
            }
        }
    }

    /// Returns whether the files of this commit, which was fetched, are not to be written any more: if the object is
    /// paused now, or if this commit is published with something else, such as another profile.
    ///
    /// The files for another commit are written nevertheless. Otherwise, nothing would be written while commits arrive
    /// faster than they are fetched.
    pub(crate) fn is_withdrawn_by(&self, now: &Metadata) -> bool {
        match now {
            Metadata::Paused => true,
            Metadata::Published(now) => self.commit == now.commit && self != now,
        }
    }
}

impl Metadata {
    /// Parses the data of the ConfigMap that the controller writes. Other keys are ignored, and all others during a
    /// pause.
    ///
    /// A ref that is missing is the commit itself.
    pub(crate) fn parse(data: &BTreeMap<String, String>) -> Result<Self, MetadataError> {
        let text = |key| data.get(key).map_or("", |text: &String| text.trim());
        if text(metadata_key::PAUSED) == "true" {
            return Ok(Self::Paused);
        }
        let commit = match text(metadata_key::COMMIT) {
            "" => return Err(MetadataError::NoCommit),
            commit => CommitId::parse(commit).map_err(MetadataError::Commit)?,
        };
        let git_ref = match text(metadata_key::REF) {
            "" => commit.as_str(),
            git_ref => git_ref,
        };
        Ok(Self::Published(Published {
            git_ref: GitRef::parse(git_ref).map_err(MetadataError::Ref)?,
            repo: RepoUrl::parse(text(metadata_key::GIT_URL)).map_err(MetadataError::Repo)?,
            ca_bundle: Some(text(metadata_key::CA_BUNDLE))
                .filter(|bundle| !bundle.is_empty())
                .map(str::to_owned),
            profiles: data
                .get(metadata_key::PROFILES)
                .cloned()
                .unwrap_or_default(),
            commit,
        }))
    }
}

/// Sends what was found, if it differs from what was sent before.
pub(crate) fn publish(sender: &watch::Sender<Option<Metadata>>, found: Metadata) {
    sender.send_if_modified(|present| {
        let is_new = present.as_ref() != Some(&found);
        *present = Some(found);
        is_new
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        let complete = [
            ("commit", "1fba38c4d5e6f708192a3b4c5d6e7f8091a2b3c4"),
            ("ref", "main"),
            ("gitURL", "https://git.example/o/r.git"),
            ("paused", "false"),
            ("profiles", "{}"),
            ("authType", "none"),
        ];
        let entries = complete.iter().chain(entries);
        entries
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn parse(entries: &[(&str, &str)]) -> Published {
        match Metadata::parse(&data(entries)) {
            Ok(Metadata::Published(published)) => published,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_is_read() {
        let published = parse(&[("caBundle", "PEM\n")]);
        assert_eq!(published.ca_bundle.as_deref(), Some("PEM"));
        assert_eq!(published.commit.short(), "1fba38c");
        assert_eq!(published.git_ref.as_str(), "main");
        assert_eq!(published.repo.url().as_str(), "https://git.example/o/r.git");
        assert_eq!(published.profiles, "{}");
    }

    #[test]
    fn only_the_text_true_pauses() {
        for (text, is_paused) in [
            ("true", true),
            ("false", false),
            ("True", false),
            ("", false),
        ] {
            let metadata = Metadata::parse(&data(&[("paused", text)])).unwrap();
            assert_eq!(metadata == Metadata::Paused, is_paused, "{text:?}");
        }
    }

    #[test]
    fn a_pause_needs_no_commit() {
        for entries in [&[("commit", "")][..], &[("commit", ""), ("gitURL", "")]] {
            let entries = [entries, &[("paused", "true")]].concat();
            assert_eq!(Metadata::parse(&data(&entries)), Ok(Metadata::Paused));
        }
    }

    #[test]
    fn a_sync_ends_early_for_what_makes_it_useless() {
        let before = parse(&[]);
        let other_commit = ("commit", "2fba38c4d5e6f708192a3b4c5d6e7f8091a2b3c4");
        let other_repo = ("gitURL", "https://git.example/o/s.git");
        // Whether a fetch is cancelled, whether it is so after one was cancelled, and whether no files are written.
        for (now, expected) in [
            (&[][..], [false, false, false]),
            (&[("profiles", "{ }")], [false, false, true]),
            (&[("ref", "v1")], [false, false, true]),
            (&[other_repo], [true, true, true]),
            (&[other_commit], [true, false, false]),
            (&[other_commit, other_repo], [true, true, false]),
            (&[("paused", "true")], [true, true, true]),
        ] {
            let metadata = Metadata::parse(&data(now)).unwrap();
            let found = [
                before.is_cancelled_by(&metadata, CancelFor::Commits),
                before.is_cancelled_by(&metadata, CancelFor::Repositories),
                before.is_withdrawn_by(&metadata),
            ];
            assert_eq!(found, expected, "{now:?}");
        }
    }

    #[test]
    fn a_missing_ref_is_the_commit() {
        let published = parse(&[("ref", "")]);
        assert_eq!(published.git_ref.as_str(), published.commit.as_str());
    }

    #[test]
    fn what_is_unusable_is_named() {
        for (key, value, expected) in [
            ("commit", " ", "no commit is published yet"),
            ("commit", "main", "the published commit is invalid"),
            ("ref", "a..b", "the published ref is invalid"),
            (
                "gitURL",
                "",
                "the published address of the repository is invalid",
            ),
        ] {
            let error = Metadata::parse(&data(&[(key, value)])).unwrap_err();
            assert_eq!(error.to_string(), expected, "{key}={value}");
        }
    }
}
