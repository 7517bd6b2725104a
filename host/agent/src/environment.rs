//! What the agent reads from its environment: a cluster, or a machine without one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stoker_api::detection::CommitId;
use stoker_git::{GitError, Remote};

use crate::cluster::{Cluster, ClusterError};
use crate::host_keys::{HostKeyError, HostKeys, needs_pin};

/// The maximum size of the file that confirms deletions. It has the id of a commit.
const CONFIRMATION_BYTES: u64 = 4 << 10;

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
                Confirmation::File(path) => {
                    stoker_process::read_regular_text(path, CONFIRMATION_BYTES).ok()
                }
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

    /// Lets an ssh remote have only the host key that the controller or this machine saw, if one is known and no known
    /// hosts determine the key.
    pub(crate) async fn pin(&self, remote: Remote) -> Result<Remote, PinnedKeyError> {
        match self {
            Self::Cluster(cluster) if needs_pin(&remote) => {
                let key = cluster.pinned_host_key(remote.url()).await?;
                Ok(match key {
                    Some(key) => remote.with_pinned_host_key(&key),
                    None => remote,
                })
            }
            Self::Cluster(_) => Ok(remote),
            Self::Machine(machine) => Ok(machine.host_keys.pin(remote)?),
        }
    }

    /// Adds to the error about another host key how to accept it, if this is decided here.
    pub(crate) fn explain(&self, remote: &Remote, error: GitError) -> HostKeyError {
        match self {
            Self::Cluster(_) => HostKeyError::Git(error),
            Self::Machine(machine) => machine.host_keys.explain(remote, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_confirmed_commit_may_delete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("confirm-deletes");
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

    #[test]
    fn a_machine_tells_where_to_accept_another_host_key() {
        let repo = stoker_api::detection::RepoUrl::parse("ssh://git@git.example/o/r.git").unwrap();
        let machine = Environment::Machine(Machine {
            host_keys: HostKeys::in_directory(std::path::Path::new("/s")),
            ..Machine::default()
        });
        let error = GitError::HostKeyChanged {
            host: "git.example:22".to_owned(),
            expected: "one".to_owned(),
            seen: "two".to_owned(),
        };
        let text = machine.explain(&Remote::anonymous(repo), error).to_string();
        let expected = "to accept another key, delete the line of git.example:22 in /s/host-keys";
        assert_eq!(text, expected);
    }
}
