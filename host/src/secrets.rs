//! Secrets from the environment and from files.

use std::path::PathBuf;

/// The source of a secret.
#[derive(Clone)]
pub enum SecretSource {
    /// The text itself, from the environment. A variable that is set but empty is an error: it does not switch the
    /// authentication off.
    Inline(String),
    /// A file, as Kubernetes mounts it. One line break at its end is not part of the secret.
    File(PathBuf),
}

/// The reason why a configured secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It has no characters other than white space.
    #[error("the secret is empty")]
    Empty,
    /// The file does not exist, or reading it is not permitted.
    #[error("cannot read {}: {kind}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        kind: std::io::ErrorKind,
    },
}

impl SecretSource {
    /// Reads the secret as it is now.
    pub fn read(&self) -> Result<String, SecretError> {
        let secret = match self {
            Self::Inline(text) => text.clone(),
            Self::File(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|error| SecretError::Unreadable {
                        path: path.clone(),
                        kind: error.kind(),
                    })?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                text.strip_suffix('\r').unwrap_or(text).to_owned()
            }
        };
        if secret.trim().is_empty() {
            Err(SecretError::Empty)
        } else {
            Ok(secret)
        }
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
