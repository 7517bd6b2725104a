//! The host and the path of a repository, in one form for all transports.

use percent_encoding::percent_decode_str;
use url::Url;

use super::RepoUrl;

/// Hosts with a second name: ssh on port 443, which the forges serve under a name of its own, and the ssh servers of
/// Azure DevOps.
const SAME_HOSTS: [(&str, &str); 4] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
    ("ssh.dev.azure.com", AZURE),
];
const AZURE: &str = "dev.azure.com";
/// The beginning of the hosts of AWS CodeCommit with cryptography by FIPS, and of the usual hosts. The region follows.
const CODECOMMIT: (&str, &str) = ("git-codecommit-fips.", "git-codecommit.");
/// The domain of the regions of AWS.
const AWS: &str = ".amazonaws.com";
/// The ssh servers of Azure DevOps. Their addresses have the scp form, but the path has the escapes of a URL.
const AZURE_SSH: [&str; 2] = ["ssh.dev.azure.com", "vs-ssh.visualstudio.com"];
/// The domain of the former addresses of Azure DevOps, `ORGANIZATION.visualstudio.com`, which are still valid.
const AZURE_FORMER: &str = ".visualstudio.com";
/// The segment in front of the name of a repository, in Azure DevOps and its server.
const GIT: &str = "_git";

/// The place of a repository, without what depends on the transport: scheme, credentials, port, `.git`, percent
/// encoding and the case of letters.
#[derive(Debug, Default)]
pub(super) struct Location {
    /// The host, or `None` for a name without a host.
    pub(super) host: Option<String>,
    /// The segments of the path.
    path: Vec<String>,
    is_http: bool,
    /// The number of segments of the context path of Bitbucket Data Center, which only its http addresses have.
    context: usize,
}

impl Location {
    /// Returns the location of a sender's name or URL, or `None` for a text whose host or path programs read
    /// differently.
    ///
    /// Browsers read a backslash as a slash and `https:/host` as `https://host`, and git does not. A query can select
    /// a repository, and a fragment can contain anything. An address of a repository needs none of them.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        if name.contains(['?', '#', '\\']) || name.starts_with("//") {
            return None;
        }
        let Some((before, after)) = name.split_once(':') else {
            return Some(Self {
                path: segments(name),
                ..Self::default()
            });
        };
        let is_url = after.starts_with("//") && !after.starts_with("///");
        let is_scp = before.contains('@') && !after.starts_with("//");
        let url = (is_url || is_scp).then(|| RepoUrl::parse(name).ok());
        url.flatten().map(|url| Self::of(url.url()))
    }

    /// Returns the location of a URL.
    pub(super) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        let host = host.strip_prefix("www.").unwrap_or(host);
        let same = SAME_HOSTS.iter().find(|(other, _)| *other == host);
        let host = same.map_or(host, |(_, usual)| usual);
        let path = segments(url.path());
        if host == AZURE {
            return Self::azure(path);
        }
        if let Some(organization) = host.strip_suffix(AZURE_FORMER) {
            return Self::azure_former(organization, path);
        }
        let path = without_default_project(with_plain_git(path));
        let host = usual_codecommit(host).unwrap_or_else(|| host.to_owned());
        let is_http = url.scheme().starts_with("http");
        let (path, context) = if is_http {
            without_scm(path)
        } else {
            (path, 0)
        };
        Self {
            host: Some(host),
            path,
            is_http,
            context,
        }
    }

    /// Returns whether one path consists of the last segments of the other.
    pub(super) fn ends_as(&self, other: &Self) -> bool {
        let (one, other) = (&self.path, &other.path);
        !one.is_empty() && !other.is_empty() && (one.ends_with(other) || other.ends_with(one))
    }

    /// Returns whether the paths are the same. Names, and addresses of other transports than http, have no context path.
    pub(super) fn is_path_of(&self, other: &Self) -> bool {
        let is_below = |long: &Self, short: &Self| {
            !short.is_http && long.path.get(long.context..) == Some(short.path.as_slice())
        };
        let is_same = self.path == other.path || is_below(self, other) || is_below(other, self);
        is_same && !self.path.is_empty() && !other.path.is_empty()
    }

    /// Azure DevOps: `ORGANIZATION/PROJECT/_git/REPOSITORY` over https, where the project can be omitted if it has the
    /// name of the repository, and `v3/ORGANIZATION/PROJECT/REPOSITORY` over ssh.
    fn azure(mut path: Vec<String>) -> Self {
        if path.len() == 4 && path[0] == "v3" {
            path.remove(0);
        }
        path = with_plain_git(path);
        if let Some(at) = path.iter().position(|segment| segment == GIT) {
            path.remove(at);
            if at == 1 && path.len() == 2 {
                path.push(path[1].clone());
            }
        }
        Self {
            host: Some(AZURE.to_owned()),
            path,
            ..Self::default()
        }
    }

    /// The former addresses of Azure DevOps: the organization is a part of the host, except over ssh.
    fn azure_former(organization: &str, mut path: Vec<String>) -> Self {
        if organization != "vs-ssh" {
            if path
                .first()
                .is_some_and(|first| first == "defaultcollection")
            {
                path.remove(0);
            }
            path.insert(0, organization.to_owned());
        }
        Self::azure(path)
    }
}

/// Returns the usual host of AWS CodeCommit in the region of a host for FIPS, or `None` for any other host.
fn usual_codecommit(host: &str) -> Option<String> {
    let (fips, usual) = CODECOMMIT;
    let region = host.strip_prefix(fips)?;
    region.ends_with(AWS).then(|| format!("{usual}{region}"))
}

/// Returns whether the paths of a host have escapes in the scp form too. The server decodes them.
pub(super) fn escapes_scp_paths(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    AZURE_SSH.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Returns a path with `_git` in place of its other forms in Azure DevOps: `_ssh`, which former ssh addresses have, and
/// `_git/_full` and `_git/_optimized`, which choose the objects that the server sends.
fn with_plain_git(mut path: Vec<String>) -> Vec<String> {
    let is_git = |segment: &String| segment == GIT || segment == "_ssh";
    let Some(at) = path.iter().position(is_git) else {
        return path;
    };
    match &path[at + 1..] {
        [choice, _] if choice == "_full" || choice == "_optimized" => {
            path.remove(at + 1);
        }
        [_] => {}
        _ => return path,
    }
    GIT.clone_into(&mut path[at]);
    path
}

/// Removes the project that an address of Azure DevOps Server can omit, because it has the name of the repository:
/// `COLLECTION/PROJECT/_git/REPOSITORY`.
fn without_default_project(mut path: Vec<String>) -> Vec<String> {
    if let [.., _, project, git, repository] = path.as_slice()
        && git == GIT
        && project == repository
    {
        path.remove(path.len() - 3);
    }
    path
}

/// Removes the segment `scm` that Bitbucket Data Center has in http URLs only: `CONTEXT/scm/PROJECT/REPOSITORY`. Returns
/// the number of segments of the context path too.
fn without_scm(mut path: Vec<String>) -> (Vec<String>, usize) {
    let at = path.len().checked_sub(3);
    let context = at.filter(|&at| path[at] == "scm");
    if let Some(at) = context {
        path.remove(at);
    }
    (path, context.unwrap_or_default())
}

/// Returns the segments of a path. A slash in percent encoding is part of a segment.
fn segments(path: &str) -> Vec<String> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let mut segments: Vec<_> = segments.map(segment).collect();
    if let Some(last) = segments.pop() {
        let name = last.strip_suffix(".git").unwrap_or(&last);
        if !name.is_empty() {
            segments.push(name.to_owned());
        }
    }
    segments
}

/// Returns a segment without percent encoding and in lower case. A letter that only becomes ASCII in lower case, such
/// as the Kelvin sign, is another letter.
fn segment(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    if decoded.is_ascii() {
        return decoded.to_ascii_lowercase();
    }
    let mut lower = String::with_capacity(decoded.len());
    for c in decoded.chars() {
        let is_other = !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
        if is_other {
            lower.push(c);
        } else {
            lower.extend(c.to_lowercase());
        }
    }
    lower
}

#[cfg(test)]
mod tests;
