//! The host keys of ssh servers that an agent without a cluster has seen first.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use stoker_api::detection::RepoUrl;
use stoker_git::{Credentials, GitError, HostKey, Remote};

/// The file in the directory of the agent. Each line has a server and the key that it must have.
const FILE: &str = "host-keys";
/// The largest file, in bytes.
const FILE_BYTES: u64 = 1 << 20;
/// The permissions of the file. The keys are public, and an agent of another user must be able to read them.
const FILE_MODE: u32 = 0o644;

/// The file with the host keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostKeys(PathBuf);

/// The ssh server of a repository cannot be used with the kept host keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostKeyError {
    /// The server shows another key than the kept one.
    #[error("to accept another key, delete the line of {server} in {}", path.display())]
    Changed {
        /// The server.
        server: String,
        /// The file.
        path: PathBuf,
        /// The keys.
        #[source]
        source: Box<GitError>,
    },
    /// The server does not answer as it should. The keys are not the reason.
    #[error(transparent)]
    Git(GitError),
    /// The file cannot be read.
    #[error("cannot read the kept host keys in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot keep the host key in {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl HostKeys {
    /// Returns the keys that are kept in the directory of the agent.
    pub(crate) fn in_directory(state: &Path) -> Self {
        Self(state.join(FILE))
    }

    /// Returns the kept key of the ssh server of a repository.
    pub(crate) fn of(&self, repo: &RepoUrl) -> Result<Option<String>, HostKeyError> {
        let server = repo.ssh_server();
        let text = self.read()?;
        let mut lines = text.lines().map(str::trim);
        // A line without a key permits none.
        let found = lines.find_map(|line| {
            let (name, key) = line.split_once(' ').unwrap_or((line, ""));
            (name == server).then_some(key)
        });
        Ok(found.map(|key| key.trim().to_owned()))
    }

    /// Lets a remote have the kept key only, if no known hosts determine its key.
    pub(crate) fn pin(&self, remote: Remote) -> Result<Remote, HostKeyError> {
        if !needs_pin(&remote) {
            return Ok(remote);
        }
        Ok(match self.of(remote.url())? {
            Some(key) => remote.with_pinned_host_key(&key),
            None => remote,
        })
    }

    /// Keeps the key that the server of a remote has shown, if it is the first one and no known hosts determine it.
    pub(crate) fn keep(&self, remote: &Remote, seen: Option<HostKey>) -> Result<(), HostKeyError> {
        let Some(key) = seen.filter(|_| needs_pin(remote)) else {
            return Ok(());
        };
        if self.of(remote.url())?.is_some() {
            return Ok(());
        }
        let (server, key) = (remote.url().ssh_server(), key.to_string());
        let text = format!("{}{server} {key}\n", self.read()?);
        self.write(&text).map_err(|source| HostKeyError::Write {
            path: self.0.clone(),
            source,
        })?;
        tracing::warn!(
            server,
            key,
            "the first host key of the ssh server is kept, and no other is accepted"
        );
        Ok(())
    }

    /// Adds to the error about another key how to accept it.
    pub(crate) fn explain(&self, remote: &Remote, error: GitError) -> HostKeyError {
        match error {
            GitError::HostKeyChanged { .. } => HostKeyError::Changed {
                server: remote.url().ssh_server(),
                path: self.0.clone(),
                source: error.into(),
            },
            other => HostKeyError::Git(other),
        }
    }

    fn read(&self) -> Result<String, HostKeyError> {
        match stoker_process::read_regular_text(&self.0, FILE_BYTES) {
            Ok(mut text) => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                Ok(text)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(HostKeyError::Read {
                path: self.0.clone(),
                source,
            }),
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let directory = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        let permissions = Permissions::from_mode(FILE_MODE);
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        file.persist(&self.0)?;
        Ok(())
    }
}

/// Returns whether a remote is reached by ssh and no known hosts determine its key.
pub(crate) fn needs_pin(remote: &Remote) -> bool {
    remote.url().url().scheme() == "ssh"
        && !matches!(
            remote.credentials(),
            Credentials::SshKey {
                known_hosts: Some(_),
                ..
            }
        )
}

#[cfg(test)]
mod tests {
    use stoker_git::Sensitive;

    use super::*;

    fn remote(known_hosts: Option<&str>) -> Remote {
        let repo = RepoUrl::parse("ssh://git@git.example:2222/o/r.git").unwrap();
        let credentials = Credentials::SshKey {
            private_key: Sensitive::new("key"),
            known_hosts: known_hosts.map(Into::into),
        };
        Remote::new(repo, credentials)
    }

    #[test]
    fn the_first_key_is_kept_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let keys = HostKeys::in_directory(&state);
        let pinned = || {
            let remote = keys.pin(remote(None)).unwrap();
            remote.pinned_host_key().map(str::to_owned)
        };
        assert_eq!(pinned(), None);
        let first = HostKey::new("ssh-ed25519", "SHA256:one");
        keys.keep(&remote(None), None).unwrap();
        keys.keep(&remote(Some("known")), Some(first.clone()))
            .unwrap();
        assert!(!state.exists());
        keys.keep(&remote(None), Some(first)).unwrap();
        keys.keep(&remote(None), Some(HostKey::new("ssh-rsa", "SHA256:two")))
            .unwrap();
        let text = std::fs::read_to_string(state.join(FILE)).unwrap();
        assert_eq!(text, "git.example:2222 ssh-ed25519 SHA256:one\n");
        let metadata = std::fs::metadata(state.join(FILE)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
        assert_eq!(pinned().as_deref(), Some("ssh-ed25519 SHA256:one"));
        // Known hosts decide alone.
        let known = keys.pin(remote(Some("known"))).unwrap();
        assert_eq!(known.pinned_host_key(), None);
        // The keys of other servers stay.
        std::fs::write(state.join(FILE), "other:22 ssh-rsa SHA256:three").unwrap();
        keys.keep(&remote(None), Some(HostKey::new("ssh-rsa", "SHA256:two")))
            .unwrap();
        let text = std::fs::read_to_string(state.join(FILE)).unwrap();
        assert_eq!(
            text,
            "other:22 ssh-rsa SHA256:three\ngit.example:2222 ssh-rsa SHA256:two\n"
        );
    }

    #[test]
    fn without_the_kept_keys_nothing_is_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let keys = HostKeys::in_directory(directory.path());
        std::fs::write(directory.path().join(FILE), [0xff]).unwrap();
        let error = keys.pin(remote(None)).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot read the kept host keys in "),
            "{error}"
        );
        std::fs::write(directory.path().join(FILE), "git.example:2222 \n").unwrap();
        let pinned = keys.pin(remote(None)).unwrap();
        assert_eq!(pinned.pinned_host_key(), Some(""));
    }

    #[test]
    fn a_changed_key_is_refused_with_the_remedy() {
        let keys = HostKeys::in_directory(Path::new("/s"));
        let error = GitError::HostKeyChanged {
            host: "git.example:2222".to_owned(),
            expected: "one".to_owned(),
            seen: "two".to_owned(),
        };
        let error = keys.explain(&remote(None), error);
        let text = stoker_report::chain(&error).to_string();
        let expected = "to accept another key, delete the line of git.example:2222 in /s/host-keys: the host key of ";
        assert!(text.starts_with(expected), "{text}");
    }
}
