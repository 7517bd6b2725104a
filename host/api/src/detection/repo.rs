//! Addresses of git repositories, which are displayed without credentials.

mod location;

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::Url;

use self::location::{Location, escapes_scp_paths};
use super::ParseError;

/// The address of a git repository, from `spec.git.repo` of an object.
///
/// It is displayed without its user name, password, query and fragment, because each of them may be a credential.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RepoUrl {
    url: Url,
    /// The path of the scp form as it was written. A URL cannot hold it: it may be relative to the home directory of the
    /// user, and its characters have no escapes.
    scp_path: Option<Box<str>>,
}

impl RepoUrl {
    /// Parses an `http`, `https`, `git` or `ssh` URL, or the scp form `user@host:path` or `host:path`, which means ssh.
    ///
    /// Local paths, `file:` URLs and remote helpers (`ext::`) are refused. With them, the author of an object could
    /// read files or run programs with the rights of Stoker.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let refuse = |why| {
            Err(ParseError::RepoFormat {
                text: redact(text),
                why,
            })
        };
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        if text.len() > 2048 {
            return Err(ParseError::TooLong {
                length: text.len(),
                limit: 2048,
            });
        }
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return refuse("it starts with a hyphen, or contains a space or a control character");
        }
        let scp = scp_form(text);
        let address = match scp {
            Some((authority, path)) => ssh_address(authority, path),
            None => text.to_owned(),
        };
        let Ok(url) = Url::parse(&address) else {
            return refuse("use https://, http://, git://, ssh:// or user@host:path");
        };
        if !matches!(url.scheme(), "http" | "https" | "git" | "ssh") {
            return refuse("the scheme must be http, https, git or ssh");
        }
        if url.host_str().is_none_or(str::is_empty) || url.path().trim_matches('/').is_empty() {
            return refuse("the host or the path is missing");
        }
        // The path is displayed. In `https://https://TOKEN@host/path`, it would contain the credential.
        let is_credential = |segment: &str| {
            let name = segment.rsplit_once('@').map(|(name, _)| name);
            name.is_some_and(|name| name.contains(':'))
        };
        if address.matches("://").count() > 1 || url.path().split('/').any(is_credential) {
            return refuse("the path contains another address or a credential");
        }
        Ok(Self {
            url,
            scp_path: scp.map(|(_, path)| path.into()),
        })
    }

    /// Returns the address with its credentials, for connecting to the repository.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the path that git sends to an ssh server. In the scp form, it is the text after the colon, which is
    /// relative to the home directory of the user if it does not begin with a slash. In a URL, it is absolute, unless it
    /// begins with `/~`, which means the home directory of a user (git-fetch(1), "GIT URLS").
    #[must_use]
    pub fn path_for_ssh(&self) -> Vec<u8> {
        if let Some(path) = &self.scp_path {
            return path.as_bytes().to_vec();
        }
        let path: Vec<u8> = percent_decode_str(self.url.path()).collect();
        match path.strip_prefix(b"/") {
            Some(relative) if relative.starts_with(b"~") => relative.to_vec(),
            _ => path,
        }
    }

    /// Returns whether a sender's name (`group/name`) or URL can mean this repository.
    ///
    /// The last segments of either path are sufficient: a server may have its repositories below a path that a name
    /// does not contain, and a name may have more segments than the path on a small server. A URL must have the same
    /// host.
    #[must_use]
    pub fn is_named_by(&self, name: &str) -> bool {
        self.is_at(name, Location::ends_as)
    }

    /// Returns whether a sender's name or URL means this repository and no other: a name has the full path, and a URL
    /// has the same host and path.
    #[must_use]
    pub fn is_named_in_full_by(&self, name: &str) -> bool {
        self.is_at(name, Location::is_path_of)
    }

    /// Returns whether a sender's name or URL has the host of this repository, or none, and a path that is alike.
    fn is_at(&self, name: &str, is_alike: impl FnOnce(&Location, &Location) -> bool) -> bool {
        let own = Location::of(&self.url);
        Location::of_name(name).is_some_and(|named| {
            let is_same_host = named.host.is_none() || named.host == own.host;
            is_same_host && is_alike(&own, &named)
        })
    }

    /// Returns a sender's name or URL for display, without what may be a credential.
    #[must_use]
    pub fn display_name(name: &str) -> String {
        let is_address = name.contains("//") || name.contains('@');
        let url = is_address.then(|| Self::parse(name).ok()).flatten();
        url.map_or_else(|| redact(name), |url| url.to_string())
    }

    /// Returns the address of a repository for display as it is written, or in the form of [`fmt::Display`] if a part of
    /// it may be a credential. `None` for an invalid address, of which any part may be a credential. The user of ssh is
    /// not a credential.
    #[must_use]
    pub fn as_written(text: &str) -> Option<String> {
        let repo = Self::parse(text).ok()?;
        let url = &repo.url;
        let is_public = (url.username().is_empty() || url.scheme() == "ssh")
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        Some(if is_public {
            text.to_owned()
        } else {
            repo.to_string()
        })
    }
}

/// Returns the parts of `user@host:path` or `host:path`, or `None` if the text is not in this form. An IPv6 address is in
/// brackets.
fn scp_form(text: &str) -> Option<(&str, &str)> {
    let (authority, path) = match text.split_once("]:") {
        Some((start, path)) if start.starts_with('[') || start.contains("@[") => {
            (&text[..=start.len()], path)
        }
        _ => text.split_once(':')?,
    };
    let is_scp = !path.starts_with("//")
        && !path.starts_with(':')
        && !authority.contains('/')
        && (authority.contains('@') || is_host(authority) && !path.contains('@'));
    is_scp.then_some((authority, path))
}

/// Returns whether the text before a colon is a host, and neither a drive nor the scheme of a URL without slashes.
fn is_host(text: &str) -> bool {
    const SCHEMES: [&str; 11] = [
        "http", "https", "git", "ssh", "file", "ftp", "ftps", "ext", "fd", "data", "ws",
    ];
    let is_scheme = SCHEMES.iter().any(|name| name.eq_ignore_ascii_case(text));
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_address = text.starts_with('[') && text.ends_with(']');
    !is_scheme && text.len() > 1 && (is_address || text.chars().all(is_part))
}

/// Returns the URL of an scp address. Characters that have a meaning in a URL but not in the scp form are escaped.
fn ssh_address(authority: &str, path: &str) -> String {
    const IN_URLS: &AsciiSet = &CONTROLS.add(b'?').add(b'#');
    const SPECIAL: &AsciiSet = &IN_URLS.add(b'%');
    let host = authority.rsplit('@').next().unwrap_or_default();
    let special = if escapes_scp_paths(host) {
        IN_URLS
    } else {
        SPECIAL
    };
    let path = utf8_percent_encode(path.trim_start_matches('/'), special);
    format!("ssh://{authority}/{path}")
}

/// Returns the text of an invalid address for use in a message. The address cannot be parsed, so everything before the
/// last `@` and after the first `?` or `#` may be a credential. Of these parts, only the scheme is kept.
fn redact(text: &str) -> String {
    let rest = match text.rfind('@') {
        // Either the query contains an `@`, or the password contains a `?`.
        Some(at) if text[..at].contains(['?', '#']) => "",
        Some(at) => &text[at + 1..],
        None => return text.split(['?', '#']).next().unwrap_or_default().to_owned(),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let is_scheme = |scheme: &&str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        !scheme.is_empty() && scheme.chars().all(is_part)
    };
    match text
        .split_once("://")
        .map(|(scheme, _)| scheme)
        .filter(is_scheme)
    {
        Some(scheme) => format!("{scheme}://{rest}"),
        None => rest.to_owned(),
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(out, "{}://{host}", self.url.scheme())?;
        if let Some(port) = self.url.port() {
            write!(out, ":{port}")?;
        }
        out.write_str(self.url.path())
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RepoUrl({self})")
    }
}

#[cfg(test)]
mod tests;
