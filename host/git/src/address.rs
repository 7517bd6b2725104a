//! Where the requests of smart HTTP go, and how their addresses are shown.
//!
//! It knows addresses and credentials, and sends nothing.

use url::Url;

use super::error::{GitError, plain};

const GREETING_PATH: &str = "/info/refs";

/// Where a redirect leads, with the credentials only where they were meant for.
pub(super) fn redirected(from: &Url, location: Option<&str>) -> Result<Url, GitError> {
    let refuse = |why| Err(GitError::Redirect { why });
    let Some(Ok(mut target)) = location.map(|location| from.join(location)) else {
        return refuse("it names no address");
    };
    match (from.scheme(), target.scheme()) {
        ("http", "http" | "https") | ("https", "https") => {}
        ("https", "http") => return refuse("it leads from https to http"),
        _ => return refuse("it leads to something other than http or https"),
    }
    let (user, password) = if is_same_server(from, &target) {
        (from.username(), from.password())
    } else {
        ("", None)
    };
    target.set_fragment(None);
    let is_set = target.set_username(user).is_ok() && target.set_password(password).is_ok();
    if is_set {
        Ok(target)
    } else {
        refuse("it names no address")
    }
}

/// Whether what `from` may know may be told to `to`: the same server, or its encrypted side.
fn is_same_server(from: &Url, to: &Url) -> bool {
    let port = Url::port_or_known_default;
    let is_upgrade = (from.scheme(), port(from)) == ("http", Some(80))
        && (to.scheme(), port(to)) == ("https", Some(443));
    from.host() == to.host()
        && (is_upgrade || (from.scheme() == to.scheme() && port(from) == port(to)))
}

/// Where the greeting of a repository is asked for.
pub(super) fn greeting_address(repo: &Url) -> Url {
    let mut url = repo.clone();
    url.set_fragment(None);
    url.set_path(&format!(
        "{}{GREETING_PATH}",
        repo.path().trim_end_matches('/')
    ));
    url.query_pairs_mut()
        .append_pair("service", "git-upload-pack");
    url
}

/// Where questions go, given where the greeting came from; none if that is no address of a greeting.
pub(super) fn question_address(greeting: &Url) -> Option<Url> {
    let mut url = greeting.clone();
    url.set_path(&format!(
        "{}/git-upload-pack",
        greeting.path().strip_suffix(GREETING_PATH)?
    ));
    url.set_query(None);
    let kept: Vec<_> = greeting
        .query_pairs()
        .filter(|(key, _)| key != "service")
        .collect();
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Some(url)
}

/// The repository's address for people: without credentials, of which a query may hold some, too.
pub(super) fn shown(target: &Url) -> String {
    let path = target.path();
    let path = path
        .strip_suffix(GREETING_PATH)
        .or_else(|| path.strip_suffix("/git-upload-pack"))
        .unwrap_or(path);
    plain(format!("{}://{}{path}", target.scheme(), server(target)).as_bytes())
}

/// The host, and the port where it is none of the usual.
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
        redirected(&Url::parse(from).unwrap(), Some(location)).map(String::from)
    }

    #[test]
    fn addresses_are_those_of_smart_http() {
        for (repo, greeting, question) in [
            (
                "http://h/o/r",
                "http://h/o/r/info/refs?service=git-upload-pack",
                "http://h/o/r/git-upload-pack",
            ),
            (
                "https://u:p@h:1/r.git/",
                "https://u:p@h:1/r.git/info/refs?service=git-upload-pack",
                "https://u:p@h:1/r.git/git-upload-pack",
            ),
            (
                "http://h/r?k=v#x",
                "http://h/r/info/refs?k=v&service=git-upload-pack",
                "http://h/r/git-upload-pack?k=v",
            ),
        ] {
            let address = greeting_address(&Url::parse(repo).unwrap());
            assert_eq!(address.as_str(), greeting);
            assert_eq!(question_address(&address).unwrap().as_str(), question);
        }
        assert_eq!(
            question_address(&Url::parse("http://h/sign-in").unwrap()),
            None
        );
    }

    #[test]
    fn credentials_stay_with_their_server() {
        for (from, location, to) in [
            ("https://u:p@h/r", "/other", "https://u:p@h/other"),
            ("https://u:p@h/r", "https://h:443/r", "https://u:p@h/r"),
            ("http://u:p@h/r", "https://h/r", "https://u:p@h/r"),
            ("https://u:p@h/r", "https://other/r", "https://other/r"),
            ("https://u:p@h/r", "https://h:8443/r", "https://h:8443/r"),
            ("http://u:p@h:8080/r", "https://h/r", "https://h/r"),
            (
                "https://u:p@h/r",
                "https://x:y@other/r#z",
                "https://other/r",
            ),
        ] {
            assert_eq!(follow(from, location).unwrap(), to);
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
    fn an_address_for_people_holds_no_credentials() {
        let url =
            greeting_address(&Url::parse("https://u:s3cret@h:8443/o/r?token=s3cret").unwrap());
        assert_eq!(shown(&url), "https://h:8443/o/r");
    }
}
