//! A table of the authentication schemes. Verification, the headers that are hidden from plugins, and the headers of
//! `stoker send` are derived from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::mac::{body_mac, message_mac};
use super::message;

/// The header that carries the signature, as GitHub documents it under "Validating webhook deliveries".
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";
/// The text before the hexadecimal digits of a signature of GitHub and Bitbucket.
const SIGNATURE_PREFIX: &str = "sha256=";
/// The text before a token (RFC 6750 §2.1). The name of the scheme has no case (RFC 9110 §11.1).
pub(super) const BEARER_PREFIX: &str = "Bearer ";
/// The text before the credentials of basic authentication (RFC 7617 §2).
pub(super) const BASIC_PREFIX: &str = "Basic ";
/// The user name of `Scheme::headers` for basic authentication. Receivers that check only the password ignore it.
const BASIC_USER: &str = "stoker";

/// The schemes in descending order of strength. Of the signatures in a request, the first one decides.
pub(super) static SCHEMES: [Scheme; 11] = [
    Scheme {
        name: "standard-webhooks",
        header: "webhook-signature",
        proof: Proof::MessageSignature {
            id: "webhook-id",
            timestamp: "webhook-timestamp",
        },
    },
    Scheme {
        name: "svix",
        header: "svix-signature",
        proof: Proof::MessageSignature {
            id: "svix-id",
            timestamp: "svix-timestamp",
        },
    },
    Scheme::body_signature("github", SIGNATURE_HEADER, SIGNATURE_PREFIX),
    Scheme::json_signature("forgejo", "x-forgejo-signature"),
    Scheme::json_signature("gitea", "x-gitea-signature"),
    Scheme::json_signature("gogs", "x-gogs-signature"),
    Scheme::body_signature("bitbucket", "x-hub-signature", SIGNATURE_PREFIX),
    Scheme::token("gitlab", "x-gitlab-token", TokenForm::Plain),
    Scheme::token("bearer", "authorization", TokenForm::Bearer),
    Scheme::token("basic", "authorization", TokenForm::Basic),
    // Harbor sends the text that its settings call "Auth Header" as it is.
    Scheme::token("authorization", "authorization", TokenForm::Plain),
];

/// A scheme by which senders prove who they are.
#[derive(Debug)]
pub struct Scheme {
    name: &'static str,
    /// The header with the proof, in lower case.
    pub(super) header: &'static str,
    pub(super) proof: Proof,
}

/// The form of a proof.
#[derive(Debug)]
pub(super) enum Proof {
    /// The HMAC-SHA256 of a message id, a time and the raw body, as Standard Webhooks defines it.
    MessageSignature {
        /// The header with the id of the message.
        id: &'static str,
        /// The header with the time in seconds since 1970.
        timestamp: &'static str,
    },
    /// The HMAC-SHA256 of the raw body, or of the JSON in a form, in hexadecimal digits after a prefix.
    BodySignature {
        /// The text before the digits.
        prefix: &'static str,
        /// Whether the sender signs the JSON alone if it sends the JSON in a form.
        skips_form: bool,
    },
    /// A shared token.
    Token(TokenForm),
}

/// The form of a header with a token.
#[derive(Debug)]
pub(super) enum TokenForm {
    /// The token alone.
    Plain,
    /// `Bearer` and the token (RFC 6750).
    Bearer,
    /// `Basic` and a user name with the token as its password (RFC 7617).
    Basic,
}

impl Scheme {
    const fn body_signature(
        name: &'static str,
        header: &'static str,
        prefix: &'static str,
    ) -> Self {
        Self {
            name,
            header,
            proof: Proof::BodySignature {
                prefix,
                skips_form: false,
            },
        }
    }

    const fn json_signature(name: &'static str, header: &'static str) -> Self {
        Self {
            name,
            header,
            proof: Proof::BodySignature {
                prefix: "",
                skips_form: true,
            },
        }
    }

    const fn token(name: &'static str, header: &'static str, form: TokenForm) -> Self {
        Self {
            name,
            header,
            proof: Proof::Token(form),
        }
    }

    /// Returns all schemes, in descending order of strength.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        SCHEMES.iter()
    }

    /// Finds a scheme by its name, such as `github` or `standard-webhooks`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|scheme| scheme.name == name)
    }

    /// Returns the name, by which `stoker send` selects the scheme.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the headers with which a sender proves that it has the secret, with their names in lower case.
    ///
    /// `body` are the bytes as they are sent. Only Standard Webhooks use `now` and `id`, the id of the message; a retry
    /// has the same id. A secret of the form `user:password` is sent as both by basic authentication. The values are
    /// secret, except for those of signatures.
    #[must_use]
    pub fn headers(
        &self,
        secret: &str,
        body: &[u8],
        now: Timestamp,
        id: &str,
    ) -> Vec<(&'static str, String)> {
        match &self.proof {
            Proof::MessageSignature {
                id: id_header,
                timestamp,
            } => {
                let time = now.as_second().to_string();
                let keys = message::keys(secret);
                let key = keys.last().map_or(secret.as_bytes(), Vec::as_slice);
                let mac = message_mac(key, id.as_bytes(), time.as_bytes(), body);
                vec![
                    (id_header, id.to_owned()),
                    (timestamp, time),
                    (self.header, format!("v1,{}", STANDARD.encode(mac))),
                ]
            }
            Proof::BodySignature { prefix, .. } => {
                let digits = hex::encode(body_mac(secret.as_bytes(), body));
                vec![(self.header, format!("{prefix}{digits}"))]
            }
            Proof::Token(form) => vec![(self.header, form.value(secret))],
        }
    }

    /// Returns whether this scheme reads a header.
    pub(super) fn reads(&self, header: &str) -> bool {
        self.header == header
    }
}

impl TokenForm {
    /// Returns the value of the header for a token.
    fn value(&self, token: &str) -> String {
        match self {
            Self::Plain => token.to_owned(),
            Self::Bearer => format!("{BEARER_PREFIX}{token}"),
            Self::Basic => {
                let credentials = if token.contains(':') {
                    token.to_owned()
                } else {
                    format!("{BASIC_USER}:{token}")
                };
                format!("{BASIC_PREFIX}{}", STANDARD.encode(credentials))
            }
        }
    }
}

/// Returns the value of [`SIGNATURE_HEADER`] for a body, as a sender makes it.
#[must_use]
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    format!("{SIGNATURE_PREFIX}{}", hex::encode(body_mac(secret, body)))
}

/// Returns the value of `Authorization` for a token, as a sender makes it.
#[must_use]
pub fn bearer(token: &str) -> String {
    TokenForm::Bearer.value(token)
}
