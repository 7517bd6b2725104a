//! The credentials for the repository, which are read from files before each fetch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoker_api::detection::RepoUrl;
use stoker_git::{Credentials, Remote, Sensitive};

/// The largest file with credentials, in bytes.
const FILE_BYTES: u64 = 1 << 20;

/// The files with the credentials. An ssh key is used in place of a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialFiles {
    /// The file with a token for http and https.
    pub token: Option<PathBuf>,
    /// The file with a private key for ssh.
    pub ssh_key: Option<PathBuf>,
    /// The file with the trusted host keys, in the format of OpenSSH's `known_hosts`.
    pub known_hosts: Option<PathBuf>,
}

/// A file with credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("cannot read the file {} with {what}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What it contains.
        what: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl CredentialFiles {
    /// Returns the remote of a repository with the credentials that the files contain now.
    pub fn remote(&self, repo: RepoUrl) -> Result<Remote, CredentialError> {
        let credentials = if let Some(path) = &self.ssh_key {
            let known_hosts = self.known_hosts.as_deref();
            let known_hosts = known_hosts.map(|path| read(path, "the host keys"));
            Credentials::SshKey {
                private_key: Sensitive::new(&read(path, "the ssh key")?),
                known_hosts: known_hosts.transpose()?.map(Arc::from),
            }
        } else if let Some(path) = &self.token {
            Credentials::Token(Sensitive::new(read(path, "the token")?.trim()))
        } else {
            Credentials::Anonymous
        };
        Ok(Remote::new(repo, credentials))
    }
}

/// Reads a file of a limited size.
fn read(path: &Path, what: &'static str) -> Result<String, CredentialError> {
    let failed = |source| CredentialError::Read {
        path: path.to_owned(),
        what,
        source,
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES {
        let error = format!("it has {length} bytes, and at most {FILE_BYTES} are read");
        return Err(failed(std::io::Error::other(error)));
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo() -> RepoUrl {
        RepoUrl::parse("https://git.example/o/r.git").unwrap()
    }

    #[test]
    fn files_are_read_at_each_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let files = CredentialFiles {
            token: Some(path.clone()),
            ..CredentialFiles::default()
        };
        let token = || match files.remote(repo()).unwrap().credentials() {
            Credentials::Token(token) => token.expose().to_owned(),
            other => panic!("{other:?}"),
        };
        std::fs::write(&path, " first\n").unwrap();
        assert_eq!(token(), "first");
        std::fs::write(&path, "second").unwrap();
        assert_eq!(token(), "second");
    }

    #[test]
    fn an_ssh_key_is_used_in_place_of_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            Some(path)
        };
        let files = CredentialFiles {
            token: file("token"),
            ssh_key: file("key"),
            known_hosts: file("hosts"),
        };
        let remote = files.remote(repo()).unwrap();
        let Credentials::SshKey {
            private_key,
            known_hosts,
        } = remote.credentials()
        else {
            panic!("no key")
        };
        assert_eq!(private_key.expose(), "key");
        assert_eq!(known_hosts.as_deref(), Some("hosts"));
    }

    #[test]
    fn no_file_means_no_credentials_and_a_missing_one_is_an_error() {
        let remote = CredentialFiles::default().remote(repo()).unwrap();
        assert_eq!(remote.credentials(), &Credentials::Anonymous);
        let files = CredentialFiles {
            token: Some("/nonexistent/token".into()),
            ..CredentialFiles::default()
        };
        let error = files.remote(repo()).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot read the file /nonexistent/token with the token"
        );
    }
}
