use std::fmt;

use url::Url;

use super::WordError;

/// The address of a git repository, as an object's `spec.git.repo` gives it.
///
/// It prints without the credentials that may stand in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RepoUrl {
    url: Url,
    written: String,
}

impl RepoUrl {
    /// Takes `http`, `https`, `git` and `ssh` URLs, and the scp form `user@host:path`, which is read as ssh. Local
    /// paths, `file:` and remote helpers (`ext::`) are refused: they would let whoever writes an object read files,
    /// or run programs, as Stoker.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let refuse = |why| {
            Err(WordError::RepoFormat {
                text: redact(text),
                why,
            })
        };
        if text.is_empty() {
            return Err(WordError::Empty);
        }
        if text.len() > 2048 {
            return Err(WordError::TooLong {
                length: text.len(),
                limit: 2048,
            });
        }
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return refuse("it starts with a hyphen, or holds a space or a control character");
        }
        let address = scp_form(text).unwrap_or_else(|| text.to_owned());
        let Ok(url) = Url::parse(&address) else {
            return refuse("use https://, http://, git://, ssh:// or user@host:path");
        };
        if !matches!(url.scheme(), "http" | "https" | "git" | "ssh") {
            return refuse("only http, https, git and ssh are used");
        }
        if url.host_str().is_none_or(str::is_empty) || url.path().trim_matches('/').is_empty() {
            return refuse("it names no host, or no path on it");
        }
        Ok(Self {
            url,
            written: text.to_owned(),
        })
    }

    /// The address with its credentials, for the one who connects to it.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// As it was written, credentials included.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// Whether a sender's name (`owner/name`) or URL means this repository: scheme, credentials, port, `.git` and the
    /// case of letters do not matter, since a sender may name the repository by another transport.
    #[must_use]
    pub fn is_named_by(&self, name: &str) -> bool {
        let path = canonical_path(self.url.path());
        match Self::parse(name) {
            Ok(other) => {
                same_host(&self.url, &other.url) && path == canonical_path(other.url.path())
            }
            Err(_) => canonical_path(name) == path,
        }
    }
}

/// `user@host:path` as an ssh URL; none where the text has a scheme or is no scp form.
fn scp_form(text: &str) -> Option<String> {
    let (authority, path) = text.split_once(':')?;
    let is_scp = !path.starts_with("//")
        && !path.starts_with(':')
        && authority.contains('@')
        && !authority.contains('/');
    is_scp.then(|| format!("ssh://{authority}/{}", path.trim_start_matches('/')))
}

/// Host names have no case; `url` lowers it only for the schemes that it knows.
fn same_host(one: &Url, other: &Url) -> bool {
    let host = |url: &Url| url.host_str().map(str::to_ascii_lowercase);
    host(one) == host(other)
}

fn canonical_path(path: &str) -> String {
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path).to_lowercase()
}

/// The text without what stands between `://` and `@`.
fn redact(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://{}", &text[..scheme], &text[at + 1..])
        }
        _ => text.to_owned(),
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&redact(&self.written))
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RepoUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_forms_of_an_address() {
        for text in [
            "https://github.com/o/r.git",
            "http://127.0.0.1:8080/r",
            "git://h/r.git",
            "ssh://git@h:22/o/r",
            "git@github.com:o/r.git",
        ] {
            assert!(RepoUrl::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_paths_files_and_remote_helpers() {
        for text in [
            "",
            "/srv/git/r",
            "./r",
            "file:///srv/r",
            "ext::sh -c x",
            "ext::sh",
            "fd::3",
            "--upload-pack=x",
            "https://h",
            "https:///x",
            "C:\\r",
        ] {
            assert!(RepoUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn is_named_in_any_transport_and_spelling() {
        let repo = RepoUrl::parse("https://user:token@GitHub.com/Owner/Repo.git").unwrap();
        for name in [
            "owner/repo",
            "Owner/Repo.git",
            "git@github.com:Owner/Repo.git",
            "ssh://git@github.com/owner/repo",
            "https://github.com/owner/repo/",
        ] {
            assert!(repo.is_named_by(name), "{name}");
        }
        for name in ["repo", "other/repo", "https://example.com/owner/repo", ""] {
            assert!(!repo.is_named_by(name), "{name}");
        }
    }

    #[test]
    fn prints_no_credentials() {
        let repo = RepoUrl::parse("https://user:s3cret@h/o/r").unwrap();
        assert_eq!(
            format!("{repo} {repo:?}"),
            "https://h/o/r RepoUrl(https://h/o/r)"
        );
        assert!(
            !RepoUrl::parse("file://u:s3cret@h/r")
                .unwrap_err()
                .to_string()
                .contains("s3cret")
        );
    }
}
