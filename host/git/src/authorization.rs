//! The credentials of http and https: which are sent, and to which server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::percent_decode_str;
use reqwest::RequestBuilder;
use url::Url;

use super::address::{is_same_server, server};
use super::error::{GitError, SentCredentials};
use super::remote::{Credentials, Remote, Sensitive};

/// The user of a token. Most servers that know tokens ignore it or expect this name.
const TOKEN_USER: &str = "x-access-token";

/// The credentials of one conversation. They are bound to the server of the address.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    basic: Option<Basic>,
    state: SentCredentials,
}

/// A user and a password for basic authentication (RFC 7617).
#[derive(Debug, Clone)]
struct Basic {
    /// Some servers take a token as the user.
    user: Sensitive,
    password: Sensitive,
}

impl Authorization {
    /// Returns the credentials for a remote. A token precedes the credentials of the address.
    ///
    /// A user name without a password is not sent at first. Git also sends its first request without credentials, and
    /// servers answer 401 to an empty password, even if the repository is public.
    pub(super) fn of(remote: &Remote) -> Result<Self, GitError> {
        let url = remote.url().url();
        if let Credentials::Token(token) = remote.credentials() {
            let has_other_user = other_user(url).is_some();
            let state = SentCredentials::Token { has_other_user };
            return Ok(Self::sent(TOKEN_USER, token_text(token)?, state));
        }
        let user = decoded(url.username());
        match url.password().filter(|password| !password.is_empty()) {
            Some(password) => {
                let password = Sensitive::new(&decoded(password));
                Ok(Self::sent(&user, password, SentCredentials::Sent))
            }
            None => Ok(Self::none(if user.is_empty() {
                SentCredentials::None
            } else {
                SentCredentials::UserOnly
            })),
        }
    }

    /// Returns what is sent if the server refuses the configured credentials, or `None` if there is nothing else.
    ///
    /// A token is the password of the user of the address, because some tokens belong to a user with a name of its own.
    /// Without a token, the user of an address without a password is sent alone, because it may be a token itself.
    pub(super) fn as_user(remote: &Remote) -> Result<Option<Self>, GitError> {
        let url = remote.url().url();
        let (user, password) = match remote.credentials() {
            Credentials::Token(token) => match other_user(url) {
                Some(user) => (user, token_text(token)?),
                None => return Ok(None),
            },
            _ if url.username().is_empty() || url.password().is_some_and(|it| !it.is_empty()) => {
                return Ok(None);
            }
            _ => (decoded(url.username()), Sensitive::new("")),
        };
        Ok(Some(Self::sent(&user, password, SentCredentials::Sent)))
    }

    /// Returns no credentials.
    pub(super) fn anonymous() -> Self {
        Self::none(SentCredentials::None)
    }

    fn sent(user: &str, password: Sensitive, state: SentCredentials) -> Self {
        Self {
            basic: Some(Basic {
                user: Sensitive::new(user),
                password,
            }),
            state,
        }
    }

    fn none(state: SentCredentials) -> Self {
        Self { basic: None, state }
    }

    /// Removes the credentials if a redirect leads to another server. A user that is sent later is not sent there either.
    pub(super) fn redirect(&mut self, from: &Url, to: &Url) {
        let is_left = !is_same_server(from, to);
        if is_left && (self.basic.take().is_some() || self.state == SentCredentials::UserOnly) {
            self.state = SentCredentials::Withheld { server: server(to) };
        }
    }

    /// Adds the credentials to a request.
    pub(super) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.basic {
            Some(basic) => request.basic_auth(basic.user.expose(), Some(basic.password.expose())),
            None => request,
        }
    }

    /// Returns whether a text contains the credentials, as they are or in the form of the header.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.basic.as_ref().is_some_and(|basic| {
            let (user, password) = (basic.user.expose(), basic.password.expose());
            let header = STANDARD_NO_PAD.encode(format!("{user}:{password}"));
            [user, password, &header]
                .into_iter()
                .filter(|secret| !secret.is_empty() && *secret != TOKEN_USER)
                .any(|secret| text.contains(secret))
        })
    }

    /// Returns whether the server gets credentials.
    pub(super) fn is_sent(&self) -> bool {
        self.basic.is_some()
    }

    /// Returns what the server gets, for errors.
    pub(super) fn state(&self) -> &SentCredentials {
        &self.state
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Returns the user of an address, if it is not the one that every token is sent with.
fn other_user(url: &Url) -> Option<String> {
    let user = decoded(url.username());
    (!user.is_empty() && user != TOKEN_USER).then_some(user)
}

/// Returns the token without white space around it. Editors and `kubectl create secret --from-file` leave a newline at
/// its end.
fn token_text(token: &Sensitive) -> Result<Sensitive, GitError> {
    let text = token.expose().trim();
    if text.is_empty() {
        return Err(GitError::Token { why: "empty" });
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(GitError::Token {
            why: "not one word: it contains a space or a control character",
        });
    }
    Ok(Sensitive::new(text))
}

#[cfg(test)]
mod tests {
    use stoker_api::detection::RepoUrl;

    use super::*;

    fn remote(url: &str, credentials: Credentials) -> Remote {
        Remote::new(RepoUrl::parse(url).unwrap(), credentials)
    }

    fn of(url: &str, credentials: Credentials) -> (Option<(String, String)>, SentCredentials) {
        let found = Authorization::of(&remote(url, credentials)).unwrap();
        let basic = found.basic.map(|basic| {
            (
                basic.user.expose().to_owned(),
                basic.password.expose().to_owned(),
            )
        });
        (basic, found.state)
    }

    fn pair(user: &str, password: &str) -> (String, String) {
        (user.to_owned(), password.to_owned())
    }

    #[test]
    fn only_complete_credentials_of_an_address_are_sent() {
        for (address, expected, state) in [
            ("https://h/r", None, SentCredentials::None),
            ("https://org@h/r", None, SentCredentials::UserOnly),
            ("https://user:@h/r", None, SentCredentials::UserOnly),
            ("https://me%40plant@h/r", None, SentCredentials::UserOnly),
            (
                "https://:secret@h/r",
                Some(pair("", "secret")),
                SentCredentials::Sent,
            ),
            (
                "https://u:p%40@h/r",
                Some(pair("u", "p@")),
                SentCredentials::Sent,
            ),
        ] {
            assert_eq!(
                of(address, Credentials::Anonymous),
                (expected, state),
                "{address}"
            );
        }
    }

    #[test]
    fn a_token_is_trimmed_and_precedes_the_address() {
        for (address, has_other_user) in [
            ("https://h/r", false),
            ("https://x-access-token@h/r", false),
            ("https://u:p@h/r", true),
            ("https://org@h/r", true),
        ] {
            let token = Credentials::Token(Sensitive::new(" t0ken\r\n"));
            let state = SentCredentials::Token { has_other_user };
            let expected = (Some(pair("x-access-token", "t0ken")), state);
            assert_eq!(of(address, token), expected);
        }
        for (text, why) in [
            (" \n", "empty"),
            ("a b", "not one word"),
            ("a\nb", "not one word"),
        ] {
            let token = Credentials::Token(Sensitive::new(text));
            let error = Authorization::of(&remote("https://h/r", token)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn credentials_are_withheld_from_the_target_of_a_redirect() {
        let url = |text| Url::parse(text).unwrap();
        let (from, other) = (url("https://h/r"), url("https://other:8443/r"));
        let mut found =
            Authorization::of(&remote("https://u:p@h/r", Credentials::Anonymous)).unwrap();
        found.redirect(&from, &url("https://h/x"));
        assert_eq!(found.state(), &SentCredentials::Sent);
        found.redirect(&from, &other);
        // A way back does not return them: the other server chose it.
        found.redirect(&other, &from);
        assert!(found.basic.is_none());
        let server = "other:8443".to_owned();
        assert_eq!(found.state(), &SentCredentials::Withheld { server });
        let mut none = Authorization::of(&remote("https://h/r", Credentials::Anonymous)).unwrap();
        none.redirect(&from, &other);
        assert_eq!(none.state(), &SentCredentials::None);
    }
}
