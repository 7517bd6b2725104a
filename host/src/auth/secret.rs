use std::path::PathBuf;

/// Where a secret comes from.
#[derive(Clone)]
pub enum SecretSource {
    /// The text itself, from the environment. Set but empty is a mistake, not a wish for an open door.
    Inline(String),
    /// A file, as Kubernetes mounts it. One trailing line break is not part of the secret.
    File(PathBuf),
}

/// Why a configured secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No characters, or nothing but white space.
    #[error("the secret is empty")]
    Empty,
    /// The file is not there or may not be read.
    #[error("cannot read {}: {kind}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        kind: std::io::ErrorKind,
    },
}

impl SecretSource {
    /// The secret as it is now.
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
