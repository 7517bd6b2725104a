//! Why a server refuses access, and what to do, by the credentials that it got.

/// The credentials that a server got with a request that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentCredentials {
    /// None, because none are configured.
    None,
    /// None, because the address has a user name without a password. If the server answers 401, the user name is sent
    /// with an empty password, and this value means that the server refuses it too.
    UserOnly,
    /// A user and a password.
    Sent,
    /// A token, as the password of the user `x-access-token`.
    Token {
        /// Whether the address has another user. If so, the token was also sent as its password.
        has_other_user: bool,
    },
    /// None, because the configured server redirected to another one, and credentials are sent to their own server
    /// only.
    Withheld {
        /// The other server.
        server: String,
    },
}

impl SentCredentials {
    pub(super) fn explain_refusal(&self, status: u16) -> String {
        match self {
            Self::Sent if status == 401 => {
                "the credentials are wrong or expired; replace them".to_owned()
            }
            Self::Token {
                has_other_user: false,
            } if status == 401 => {
                "the token is wrong or expired, or belongs to a user, such as that of a deploy token; replace it, or write the name of the user and @ in front of the host (it was sent as the password of the user x-access-token)".to_owned()
            }
            Self::Token {
                has_other_user: true,
            } if status == 401 => {
                "the token is wrong or expired; replace it (it was sent as the password of the user x-access-token and of the user of the address)".to_owned()
            }
            Self::Sent | Self::Token { .. } => {
                "the credentials do not permit to read the repository; give them the permission, or use others".to_owned()
            }
            Self::None => {
                "the repository is private, or there is no such repository; no credentials are configured".to_owned()
            }
            Self::UserOnly if status == 401 => {
                "the address has a user name without a password, and the server does not accept it as a token; configure a token, or use USER:PASSWORD@ in front of the host".to_owned()
            }
            Self::UserOnly => {
                "the address has a user name without a password, so no credentials were sent; configure a token, or use USER:PASSWORD@ in front of the host".to_owned()
            }
            Self::Withheld { server } => withheld(server),
        }
    }

    pub(super) fn explain_absence(&self) -> String {
        match self {
            Self::Sent | Self::Token { .. } => {
                "the credentials do not permit to read it".to_owned()
            }
            Self::None => "it is private, and no credentials are configured".to_owned(),
            Self::UserOnly => {
                "it is private, and the address has a user name without a password".to_owned()
            }
            Self::Withheld { server } => format!("it is private: {}", withheld(server)),
        }
    }
}

pub(super) fn explain_ssh(has_key: bool) -> &'static str {
    if has_key {
        "it does not accept the key; add its public key to the repository as a deploy key, or use another key"
    } else {
        "it requires an ssh key, and none is configured"
    }
}

fn withheld(server: &str) -> String {
    format!(
        "the server of the address redirected to {server}, and the credentials were not sent to another server; use the address on {server}"
    )
}
