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
/// The ssh servers of Azure DevOps. Their addresses have the scp form, but the path has the escapes of a URL.
const AZURE_SSH: [&str; 2] = ["ssh.dev.azure.com", "vs-ssh.visualstudio.com"];
/// The domain of the former addresses of Azure DevOps, `ORGANIZATION.visualstudio.com`, which are still valid.
const AZURE_FORMER: &str = ".visualstudio.com";

/// The place of a repository, without what depends on the transport: scheme, credentials, port, `.git`, percent
/// encoding and the case of letters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The host, or `None` for a name without a host.
    pub(super) host: Option<String>,
    /// The segments of the path.
    pub(super) path: Vec<String>,
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
                host: None,
                path: segments(name),
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
        Self {
            host: Some(host.to_owned()),
            path: without_scm(url.scheme(), path),
        }
    }

    /// Azure DevOps: `ORGANIZATION/PROJECT/_git/REPOSITORY` over https, where the project can be omitted if it has the
    /// name of the repository, and `v3/ORGANIZATION/PROJECT/REPOSITORY` over ssh.
    fn azure(mut path: Vec<String>) -> Self {
        if path.len() == 4 && path[0] == "v3" {
            path.remove(0);
        }
        if let Some(at) = path.iter().position(|segment| segment == "_git") {
            path.remove(at);
            if at == 1 && path.len() == 2 {
                path.push(path[1].clone());
            }
        }
        Self {
            host: Some(AZURE.to_owned()),
            path,
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

/// Returns whether the paths of a host have escapes in the scp form too. The server decodes them.
pub(super) fn escapes_scp_paths(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    AZURE_SSH.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Removes the segment `scm` that Bitbucket Data Center has in http URLs only: `scm/PROJECT/REPOSITORY`.
fn without_scm(scheme: &str, mut path: Vec<String>) -> Vec<String> {
    let at = path.len().checked_sub(3);
    if let Some(at) = at.filter(|&at| scheme.starts_with("http") && path[at] == "scm") {
        path.remove(at);
    }
    path
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

/// Returns whether one path consists of the last segments of the other.
pub(super) fn is_end_of(one: &[String], other: &[String]) -> bool {
    !one.is_empty() && !other.is_empty() && (one.ends_with(other) || other.ends_with(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository, a name that a sender gives, and whether it is the repository: leniently, and in full.
    const CASES: &[(&str, &str, bool, bool)] = &[
        // Transports and spellings.
        ("https://github.com/o/r.git", "o/r", true, true),
        ("https://github.com/o/r.git", "O/R", true, true),
        (
            "https://github.com/o/r",
            "https://www.github.com/o/r/",
            true,
            true,
        ),
        (
            "https://github.com/o/r",
            "http://github.com:8080/o/r.git/",
            true,
            true,
        ),
        (
            "https://github.com/o/r",
            "git://GitHub.com/o/r.git",
            true,
            true,
        ),
        (
            "https://github.com/o/r",
            "git@github.com:o/r.git",
            true,
            true,
        ),
        (
            "git@github.com:o/r.git",
            "https://github.com./o/r",
            true,
            true,
        ),
        (
            "ssh://git@ssh.github.com:443/o/r.git",
            "https://github.com/o/r",
            true,
            true,
        ),
        (
            "ssh://git@altssh.gitlab.com:443/g/s/p.git",
            "https://gitlab.com/g/s/p",
            true,
            true,
        ),
        (
            "ssh://git@altssh.bitbucket.org:443/o/r.git",
            "https://bitbucket.org/o/r",
            true,
            true,
        ),
        (
            "https://user:token@h/o/r",
            "ssh://other@h:2222/o/r",
            true,
            true,
        ),
        ("https://h/My%20Group/r", "my group/r", true, true),
        ("https://h/o/r%2Egit", "o/r", true, true),
        // Azure DevOps.
        (
            "https://org@dev.azure.com/org/p/_git/r",
            "git@ssh.dev.azure.com:v3/org/p/r",
            true,
            true,
        ),
        (
            "https://dev.azure.com/org/p/_git/r",
            "https://org.visualstudio.com/p/_git/r",
            true,
            true,
        ),
        (
            "https://dev.azure.com/org/p/_git/r",
            "https://org.visualstudio.com/DefaultCollection/p/_git/r",
            true,
            true,
        ),
        (
            "https://dev.azure.com/org/p/_git/r",
            "org@vs-ssh.visualstudio.com:v3/org/p/r",
            true,
            true,
        ),
        (
            "https://dev.azure.com/org/_git/r",
            "https://dev.azure.com/org/r/_git/r",
            true,
            true,
        ),
        (
            "git@ssh.dev.azure.com:v3/org/My%20Project/r",
            "https://dev.azure.com/org/My%20Project/_git/r",
            true,
            true,
        ),
        (
            "org@vs-ssh.visualstudio.com:v3/org/My%20Project/r%201",
            "https://org.visualstudio.com/My%20Project/_git/r%201",
            true,
            true,
        ),
        (
            "https://org@dev.azure.com/org/My%20Project/_git/r",
            "git@SSH.dev.azure.com.:v3/org/My%20Project/r",
            true,
            true,
        ),
        (
            "git@ssh.dev.azure.com:v3/org/My%20Project/r",
            "My Project/r",
            true,
            false,
        ),
        (
            "git@ssh.dev.azure.com:v3/org/My%2520Project/r",
            "https://dev.azure.com/org/My%20Project/_git/r",
            false,
            false,
        ),
        (
            "git@h:org/My%20Project/r",
            "https://h/org/My%20Project/r",
            false,
            false,
        ),
        ("https://dev.azure.com/org/p/_git/r", "p/r", true, false),
        (
            "https://dev.azure.com/org/p/_git/r",
            "https://dev.azure.com/org/q/_git/r",
            false,
            false,
        ),
        (
            "https://dev.azure.com/org/p/_git/r",
            "https://other.visualstudio.com/p/_git/r",
            false,
            false,
        ),
        // Bitbucket Data Center.
        (
            "https://h/scm/PRJ/repo.git",
            "ssh://git@h:7999/prj/repo.git",
            true,
            true,
        ),
        ("https://h/scm/PRJ/repo.git", "PRJ/repo", true, true),
        (
            "https://h/bitbucket/scm/PRJ/repo.git",
            "ssh://git@h:7999/prj/repo.git",
            true,
            false,
        ),
        ("https://h/scm/repo", "scm/repo", true, true),
        // The last segments.
        ("https://h/gitlab/group/proj.git", "group/proj", true, false),
        ("http://127.0.0.1:4000/plant.git", "demo/plant", true, false),
        ("https://gerrit.h/a/plant", "plant", true, false),
        (
            "https://h/gitlab/group/proj",
            "https://h/group/proj",
            true,
            false,
        ),
        (
            "https://h/group/proj",
            "https://h/gitlab/group/proj",
            true,
            false,
        ),
        // Texts that programs read differently.
        ("https://h/o/r", "https://evil/#https://h/o/r", false, false),
        ("https://h/o/r", "https://evil/?https://h/o/r", false, false),
        ("https://h/o/r", "https://evil#@h/o/r", false, false),
        ("https://h/o/r", "https://evil?@h/o/r", false, false),
        ("https://h/o/r", "https://evil\\@h/o/r", false, false),
        ("https://h/o/r", "https:\\\\evil@h/o/r", false, false),
        ("https://h/o/r", "https:/evil@h/o/r", false, false),
        ("https://h/o/r", "https:evil@h/o/r", false, false),
        ("https://h/o/r", "https:///h/o/r", false, false),
        ("https://h/o/r", "//evil/o/r", false, false),
        ("https://h/o/r", "evil\\o/r", false, false),
        ("https://h/o/r", "https://evil/o/r", false, false),
        ("https://h/o/r", "https://h@evil/o/r", false, false),
        ("https://h/o/r", "https://h:443@evil/o/r", false, false),
        ("https://h/o/r", "https://h%2F@evil/o/r", false, false),
        ("https://h/o/r", "https://evil@h/o/r", true, true),
        ("https://h/o/r", "git@evil#@h:o/r", false, false),
        ("https://h/o/r", "git@evil:h:o/r", false, false),
        ("https://h/o/r", "git@evil:x@h/o/r", false, false),
        ("https://h/o/r", "file://h/o/r", false, false),
        ("https://h/o/r", "ext::sh -c x/o/r", false, false),
        ("https://h/o/r", "evil:x/o/r", false, false),
        ("https://h/o/r", "https://h/evil?o/r", false, false),
        ("https://h/o/r", "https://h/o/r?repository=x", false, false),
        ("https://h/o/r", "https://h/o/r#x", false, false),
        ("https://h/o/r", "https://h/x%2Fo%2Fr", false, false),
        ("https://h/o/r", "x%2Fo%2Fr", false, false),
        ("https://h/o/r", "https://h/x/../o/r", true, true),
        ("https://h/o/r", "o/./r", false, false),
        ("https://h/o/k", "o/\u{212a}", false, false),
        ("https://h/o/\u{c4}", "o/\u{e4}", true, true),
        ("https://h/o/.git", "o", true, true),
        // Other repositories.
        ("https://h/group/proj", "oup/proj", false, false),
        ("https://h/group/proj", "other/proj", false, false),
        ("https://h/group/proj", "group", false, false),
        ("https://h/group/proj", "group/proj/wiki", false, false),
        (
            "https://h/group/proj",
            "https://other/group/proj",
            false,
            false,
        ),
        ("https://h/group/proj", "https://h/other/proj", false, false),
        ("https://h/group/proj", "", false, false),
        ("https://h/group/proj", "//", false, false),
    ];

    #[test]
    fn a_repository_is_compared_by_its_host_and_path() {
        for (repo, name, is_lenient, is_full) in CASES {
            let repo = RepoUrl::parse(repo).unwrap();
            let found = (repo.is_named_by(name), repo.is_named_in_full_by(name));
            assert_eq!(found, (*is_lenient, *is_full), "{repo} {name}");
        }
    }
}
