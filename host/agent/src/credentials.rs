//! The credentials for the repository, which are read from files before each fetch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoker_api::detection::RepoUrl;
use stoker_git::{Credentials, Remote, Sensitive};

/// The largest file with credentials, in bytes.
const FILE_BYTES: u64 = 1 << 20;

/// The files with the credentials. If both are set, the ssh key is for ssh, and http and https go without credentials.
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
    /// Returns the remote of a repository with the credentials that the files contain now. The scheme of the URL decides
    /// which of them are used.
    pub fn remote(&self, repo: RepoUrl) -> Result<Remote, CredentialError> {
        let credentials = match (repo.url().scheme(), &self.ssh_key, &self.token) {
            ("ssh", Some(path), _) => {
                let known_hosts = self.known_hosts.as_deref();
                let known_hosts = known_hosts.map(|path| read(path, "the host keys"));
                Credentials::SshKey {
                    private_key: Sensitive::new(&read(path, "the ssh key")?),
                    known_hosts: known_hosts.transpose()?.map(Arc::from),
                }
            }
            ("http" | "https", None, Some(path)) => {
                Credentials::Token(Sensitive::new(read(path, "the token")?.trim()))
            }
            _ => Credentials::Anonymous,
        };
        Ok(Remote::new(repo, credentials))
    }
}

/// Reads a file of a limited size.
fn read(path: &Path, what: &'static str) -> Result<String, CredentialError> {
    stoker_process::read_text(path, FILE_BYTES).map_err(|source| CredentialError::Read {
        path: path.to_owned(),
        what,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(scheme: &str) -> RepoUrl {
        RepoUrl::parse(&format!("{scheme}://git.example/o/r.git")).unwrap()
    }

    #[test]
    fn files_are_read_at_each_call() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let files = CredentialFiles {
            token: Some(path.clone()),
            ..CredentialFiles::default()
        };
        let token = || match files.remote(repo("https")).unwrap().credentials() {
            Credentials::Token(token) => token.expose().to_owned(),
            other => panic!("{other:?}"),
        };
        std::fs::write(&path, " first\n").unwrap();
        assert_eq!(token(), "first");
        std::fs::write(&path, "second").unwrap();
        assert_eq!(token(), "second");
    }

    #[test]
    fn the_scheme_of_the_repository_decides_which_credentials_are_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, name).unwrap();
            Some(path)
        };
        let both = CredentialFiles {
            token: file("token"),
            ssh_key: file("key"),
            known_hosts: file("hosts"),
        };
        let key = CredentialFiles {
            token: None,
            ..both.clone()
        };
        let token = CredentialFiles {
            token: both.token.clone(),
            ..CredentialFiles::default()
        };
        for (files, scheme, expected) in [
            (&both, "ssh", "key hosts"),
            (&both, "https", "none"),
            (&both, "git", "none"),
            (&key, "ssh", "key hosts"),
            (&key, "http", "none"),
            (&token, "ssh", "none"),
            (&token, "http", "token"),
            (&token, "https", "token"),
            (&token, "git", "none"),
        ] {
            let found = match files.remote(repo(scheme)).unwrap().credentials() {
                Credentials::Anonymous => "none".to_owned(),
                Credentials::Token(token) => token.expose().to_owned(),
                Credentials::SshKey {
                    private_key,
                    known_hosts,
                } => format!(
                    "{} {}",
                    private_key.expose(),
                    known_hosts.as_deref().unwrap_or_default()
                ),
            };
            assert_eq!(found, expected, "{scheme}");
        }
    }

    #[test]
    fn no_file_means_no_credentials_and_a_missing_one_is_an_error() {
        let remote = CredentialFiles::default().remote(repo("https")).unwrap();
        assert_eq!(remote.credentials(), &Credentials::Anonymous);
        let files = CredentialFiles {
            token: Some("/nonexistent/token".into()),
            ..CredentialFiles::default()
        };
        let error = files.remote(repo("https")).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot read the file /nonexistent/token with the token"
        );
    }
}
