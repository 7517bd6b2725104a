//! Secrets from the environment, from files, and from Secrets of the cluster.

mod store;

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub use store::{SecretCache, SecretData, SecretStore, StoreError, StoredSecret, Wanted};

/// The maximum number of values of a secret, the previous ones included. Each costs one HMAC per delivery.
const MAX_VALUES: usize = 8;
/// The maximum size of a file in bytes, as that of a Secret of the cluster.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The text after the name of a file or a key for the previous value of a secret.
const PREVIOUS: &str = "-previous";

/// The source of a secret.
#[derive(Clone)]
pub enum SecretSource {
    /// The text itself, from the environment. A variable that is set but empty is an error: it does not switch the
    /// authentication off.
    Inline(String),
    /// A file, as Kubernetes mounts it. A file with `-previous` after its name has the secret's previous values.
    File(PathBuf),
}

/// A secret as it is now. While it is rotated, several values are valid. Each line of its text is a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<String>);

/// The reason why a configured secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It has no characters other than white space.
    #[error("the secret is empty")]
    Empty,
    /// It is in a Secret of the cluster, which was not read yet.
    #[error("the Secret was not read yet")]
    Unread,
    /// It has more values than are compared.
    #[error("the secret has more than {MAX_VALUES} lines")]
    TooMany,
    /// The file does not exist, or reading it is not permitted.
    #[error("cannot read {}: {kind}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        kind: ErrorKind,
    },
    /// The file is a named pipe or a device, for which the receiver would have to wait.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("the text in {} is not UTF-8", path.display())]
    FileNotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// The Secret of the cluster was not read.
    #[error("cannot read the Secret {name}")]
    Stored {
        /// The namespace and name of the Secret.
        name: String,
        /// What is wrong.
        #[source]
        why: StoreError,
    },
    /// The Secret of the cluster has no value with this key.
    #[error("the Secret has no key {key:?}")]
    NoKey {
        /// The key.
        key: String,
    },
    /// The value in the Secret of the cluster is not UTF-8.
    #[error("the value of the key {key:?} is not UTF-8")]
    NotText {
        /// The key.
        key: String,
    },
}

impl SecretError {
    /// Returns whether a later read may succeed without a change of the configuration.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        let Self::Stored { why, .. } = self else {
            return false;
        };
        matches!(why, StoreError::Unavailable(_))
    }
}

impl Secret {
    /// Parses the text of a secret, and the text of its previous values if there is one. Blank lines are skipped. The
    /// present text must have a value: previous values alone are not a secret.
    pub fn parse(text: &str, previous: Option<&str>) -> Result<Self, SecretError> {
        let values = |text: &str| -> Vec<String> {
            let lines = text.lines().map(|line| line.trim_end_matches('\r'));
            let lines = lines.filter(|line| !line.trim().is_empty());
            lines.take(MAX_VALUES + 1).map(str::to_owned).collect()
        };
        let mut all = values(text);
        if all.is_empty() {
            return Err(SecretError::Empty);
        }
        all.extend(previous.map(values).unwrap_or_default());
        if all.len() > MAX_VALUES {
            return Err(SecretError::TooMany);
        }
        Ok(Self(all))
    }

    /// Returns a secret with one value, which must not be empty.
    pub(crate) fn single(value: String) -> Self {
        Self(vec![value])
    }

    /// Returns the values, at least one, with the present one first.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.0
    }
}

impl SecretSource {
    /// Reads the value with which a sender signs: the first one. The file may be a pipe, as a shell makes it.
    pub fn read(&self) -> Result<String, SecretError> {
        let secret = self.read_by(stoker_process::read_text)?;
        Ok(secret.0[0].clone())
    }

    /// Reads the secret as it is now. The file must be a regular one, because it is read again and again.
    pub fn read_all(&self) -> Result<Secret, SecretError> {
        self.read_by(stoker_process::read_regular_text)
    }

    fn read_by(&self, read: ReadText) -> Result<Secret, SecretError> {
        match self {
            Self::Inline(text) => Secret::parse(text, None),
            Self::File(path) => {
                let mut previous = OsString::from(path);
                previous.push(PREVIOUS);
                let previous = read_optional(Path::new(&previous), read)?;
                let text = read_file(path, read)?;
                Secret::parse(&text, previous.as_deref())
            }
        }
    }
}

/// Reads a file of at most so many bytes.
type ReadText = fn(&Path, u64) -> io::Result<String>;

fn read_file(path: &Path, read: ReadText) -> Result<String, SecretError> {
    read(path, MAX_FILE_BYTES).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::InvalidData => SecretError::FileNotUtf8 { path },
            ErrorKind::InvalidInput => SecretError::NotRegular { path },
            kind => SecretError::Unreadable { path, kind },
        }
    })
}

fn read_optional(path: &Path, read: ReadText) -> Result<Option<String>, SecretError> {
    match read_file(path, read) {
        Err(SecretError::Unreadable {
            kind: ErrorKind::NotFound,
            ..
        }) => Ok(None),
        text => text.map(Some),
    }
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => out.write_str("Inline(…)"),
            Self::File(path) => write!(out, "File({})", path.display()),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Secret({} values)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_text_is_an_error_that_says_so() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("secret");
        let source = SecretSource::File(path.clone());
        std::fs::write(&path, b"\xff\xfe").unwrap();
        let expected = format!("the text in {} is not UTF-8", path.display());
        assert_eq!(source.read_all().unwrap_err().to_string(), expected);
        std::fs::write(&path, "b").unwrap();
        std::fs::write(directory.path().join("secret-previous"), b"\xff").unwrap();
        let error = source.read_all().unwrap_err().to_string();
        assert!(error.ends_with("secret-previous is not UTF-8"), "{error}");
    }

    #[test]
    fn a_file_that_is_read_again_is_not_waited_for() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("secret");
        let source = SecretSource::File(path.clone());
        // Nobody writes to the pipe.
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let expected = format!("{} is not a regular file", path.display());
        assert_eq!(source.read_all().unwrap_err().to_string(), expected);
        let writer = std::thread::spawn(move || std::fs::write(path, "key"));
        assert_eq!(source.read().unwrap(), "key");
        writer.join().unwrap().unwrap();
    }
}
