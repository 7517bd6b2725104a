//! What the agent reads from its environment: a cluster, or a machine without one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stoker_api::detection::{CommitId, RepoUrl};

use crate::cluster::{Cluster, ClusterError};
use crate::host_keys::{HostKeyError, HostKeys};

/// The environment of the agent.
#[derive(Clone)]
pub(crate) enum Environment {
    /// A pod of a cluster.
    Cluster(Cluster),
    /// A machine.
    Machine(Machine),
}

/// A machine without a cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    /// The labels that templates can use.
    pub(crate) labels: BTreeMap<String, String>,
    /// How deletions are confirmed.
    pub(crate) confirmation: Confirmation,
    /// The host keys of the ssh servers.
    pub(crate) host_keys: HostKeys,
}

/// How deletions are confirmed where there is no object to annotate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Confirmation {
    /// They are not.
    #[default]
    None,
    /// They are, for every commit.
    Given,
    /// They are for the commit whose id is the content of this file.
    File(PathBuf),
}

/// The host key that a server must have cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinnedKeyError {
    /// The object with the key cannot be read.
    #[error("cannot read the host key that the controller saw")]
    Cluster(#[from] ClusterError),
    /// The file with the key cannot be read.
    #[error(transparent)]
    File(#[from] HostKeyError),
}

impl Environment {
    /// Returns the labels of the gateway.
    pub(crate) async fn labels(&self) -> Result<BTreeMap<String, String>, ClusterError> {
        match self {
            Self::Cluster(cluster) => cluster.labels().await,
            Self::Machine(machine) => Ok(machine.labels.clone()),
        }
    }

    /// Returns whether a person has confirmed the deletions of a commit. What cannot be read is no confirmation.
    pub(crate) async fn is_confirmed(&self, commit: &CommitId) -> bool {
        let confirmed = match self {
            Self::Cluster(cluster) => match cluster.confirmed_deletions().await {
                Ok(confirmed) => confirmed,
                Err(error) => {
                    tracing::warn!(error = %stoker_report::chain(&error), "the confirmation of deletions cannot be read");
                    None
                }
            },
            Self::Machine(machine) => match &machine.confirmation {
                Confirmation::None => None,
                Confirmation::Given => return true,
                Confirmation::File(path) => std::fs::read_to_string(path).ok(),
            },
        };
        confirmed.is_some_and(|text| text.trim().eq_ignore_ascii_case(commit.as_str()))
    }

    /// Tells a person how to confirm the deletions of a commit.
    pub(crate) fn how_to_confirm(&self, commit: &CommitId) -> String {
        match self {
            Self::Cluster(cluster) => format!(
                "to confirm, run: kubectl -n {} annotate --overwrite gatewaysync {} {}={commit}",
                cluster.namespace,
                cluster.object,
                stoker_api::names::annotation::CONFIRM_DELETES,
            ),
            Self::Machine(Machine {
                confirmation: Confirmation::File(path),
                ..
            }) => format!("to confirm, write {commit} into {}", path.display()),
            Self::Machine(_) => "to confirm, add --confirm-deletes".to_owned(),
        }
    }

    /// Returns the only host key that the repository's ssh server may have, if one is known.
    pub(crate) async fn pinned_host_key(
        &self,
        repo: &RepoUrl,
    ) -> Result<Option<String>, PinnedKeyError> {
        match self {
            Self::Cluster(cluster) => Ok(cluster.pinned_host_key(repo).await?),
            Self::Machine(machine) => Ok(machine.host_keys.of(repo)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_confirmed_commit_may_delete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confirm-deletes");
        let machine = |confirmation| {
            Environment::Machine(Machine {
                confirmation,
                ..Machine::default()
            })
        };
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        assert!(!machine(Confirmation::None).is_confirmed(&commit).await);
        assert!(machine(Confirmation::Given).is_confirmed(&commit).await);
        let file = machine(Confirmation::File(path.clone()));
        assert!(!file.is_confirmed(&commit).await);
        for (text, is_confirmed) in [
            (format!("{commit}\n"), true),
            (commit.as_str().to_uppercase(), true),
            ("b".repeat(40), false),
            ("aaaaaaa".to_owned(), false),
            (String::new(), false),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(file.is_confirmed(&commit).await, is_confirmed, "{text:?}");
        }
    }
}
