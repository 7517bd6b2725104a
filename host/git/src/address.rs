//! The addresses of smart HTTP (gitprotocol-http): the addresses of requests, their credentials, and their form in
//! messages.
//!
//! This module sends nothing.

use url::Url;

use super::error::{GitError, plain};

const ADVERTISEMENT_PATH: &str = "/info/refs";

/// Returns the target of a redirect, without credentials. Some servers send an address that is not encoded, in UTF-8.
pub(super) fn redirected(from: &Url, location: Option<&[u8]>) -> Result<Url, GitError> {
    let refuse = |why| Err(GitError::Redirect { why });
    let location = location.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some(Ok(mut target)) = location.map(|location| from.join(location)) else {
        return refuse("it has no address");
    };
    match (from.scheme(), target.scheme()) {
        ("http", "http" | "https") | ("https", "https") => {}
        ("https", "http") => return refuse("it leads from https to http"),
        _ => return refuse("it leads to something other than http or https"),
    }
    target.set_fragment(None);
    if remove_credentials(&mut target) {
        Ok(target)
    } else {
        refuse("it has no address")
    }
}

/// Removes the user and the password. Returns `false` if the address has no host and thus cannot have any.
fn remove_credentials(url: &mut Url) -> bool {
    url.set_username("").is_ok() && url.set_password(None).is_ok()
}

/// Returns whether credentials for `from` may be sent to `to`. The server must be the same, or the same with https.
pub(super) fn is_same_server(from: &Url, to: &Url) -> bool {
    let port = Url::port_or_known_default;
    let is_upgrade = (from.scheme(), port(from)) == ("http", Some(80))
        && (to.scheme(), port(to)) == ("https", Some(443));
    from.host() == to.host()
        && (is_upgrade || (from.scheme() == to.scheme() && port(from) == port(to)))
}

/// Returns the address of the advertisement of a repository, without credentials.
pub(super) fn advertisement_address(repo: &Url) -> Url {
    let mut url = repo.clone();
    remove_credentials(&mut url);
    url.set_fragment(None);
    url.set_path(&format!(
        "{}{ADVERTISEMENT_PATH}",
        repo.path().trim_end_matches('/')
    ));
    url.query_pairs_mut()
        .append_pair("service", "git-upload-pack");
    url
}

/// Returns the address of requests for the address of an advertisement, or `None` if `advertisement` is not such an
/// address.
pub(super) fn request_address(advertisement: &Url) -> Option<Url> {
    let mut url = advertisement.clone();
    url.set_path(&format!(
        "{}/git-upload-pack",
        advertisement.path().strip_suffix(ADVERTISEMENT_PATH)?
    ));
    url.set_query(None);
    let kept: Vec<_> = advertisement
        .query_pairs()
        .filter(|(key, _)| key != "service")
        .collect();
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Some(url)
}

/// Returns the address of the repository for messages, without credentials and without the query, which may contain
/// credentials.
pub(super) fn shown(target: &Url) -> String {
    let path = target.path();
    let path = path
        .strip_suffix(ADVERTISEMENT_PATH)
        .or_else(|| path.strip_suffix("/git-upload-pack"))
        .unwrap_or(path);
    plain(format!("{}://{}{path}", target.scheme(), server(target)).as_bytes())
}

/// Returns the host, and the port if it is not the default.
pub(super) fn server(target: &Url) -> String {
    let host = target.host_str().unwrap_or_default();
    target
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, location: &str) -> Result<String, GitError> {
        redirected(&Url::parse(from).unwrap(), Some(location.as_bytes())).map(String::from)
    }

    #[test]
    fn addresses_are_those_of_smart_http() {
        for (repo, advertisement, request) in [
            (
                "http://h/o/r",
                "http://h/o/r/info/refs?service=git-upload-pack",
                "http://h/o/r/git-upload-pack",
            ),
            (
                "https://u:p@h:1/r.git/",
                "https://h:1/r.git/info/refs?service=git-upload-pack",
                "https://h:1/r.git/git-upload-pack",
            ),
            (
                "http://h/r?k=v#x",
                "http://h/r/info/refs?k=v&service=git-upload-pack",
                "http://h/r/git-upload-pack?k=v",
            ),
        ] {
            let address = advertisement_address(&Url::parse(repo).unwrap());
            assert_eq!(address.as_str(), advertisement);
            assert_eq!(request_address(&address).unwrap().as_str(), request);
        }
        assert_eq!(
            request_address(&Url::parse("http://h/sign-in").unwrap()),
            None
        );
    }

    #[test]
    fn credentials_stay_with_their_server() {
        for (from, location, to, is_same) in [
            ("https://h/r", "/other", "https://h/other", true),
            ("https://h/r", "https://h:443/r", "https://h/r", true),
            ("http://h/r", "https://h/r", "https://h/r", true),
            ("https://h/r", "/wärme", "https://h/w%C3%A4rme", true),
            ("https://h/r", "https://other/r", "https://other/r", false),
            ("https://h/r", "https://u:p@h/r", "https://h/r", true),
            ("https://h/r", "https://h:8443/r", "https://h:8443/r", false),
            ("http://h:8080/r", "https://h/r", "https://h/r", false),
            ("https://h/r", "https://sub.h/r", "https://sub.h/r", false),
            (
                "https://h/r",
                "https://x:y@other/r#z",
                "https://other/r",
                false,
            ),
        ] {
            let target = follow(from, location).unwrap();
            assert_eq!(target, to);
            let parsed = |text| Url::parse(text).unwrap();
            assert_eq!(
                is_same_server(&parsed(from), &parsed(&target)),
                is_same,
                "{location}"
            );
        }
    }

    #[test]
    fn a_redirect_never_gives_encryption_up_nor_leaves_http() {
        for (from, location) in [
            ("https://h/r", "http://h/r"),
            ("http://h/r", "file:///etc/passwd"),
            ("http://h/r", "git://h/r"),
            ("http://h/r", "ext::sh"),
            ("http://h/r", "http://"),
        ] {
            assert!(
                matches!(follow(from, location), Err(GitError::Redirect { .. })),
                "{location}"
            );
        }
    }

    #[test]
    fn a_shown_address_has_no_credentials() {
        let url =
            advertisement_address(&Url::parse("https://u:s3cret@h:8443/o/r?token=s3cret").unwrap());
        assert_eq!(shown(&url), "https://h:8443/o/r");
    }
}
