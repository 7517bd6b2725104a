//! The keys of the senders, and the proof in the headers of a delivery.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use subtle::{Choice, ConstantTimeEq as _};

use super::mac::{body_mac, digest, form_mac, message_mac};
use super::message;
use super::scheme::{BASIC_PREFIX, BEARER_PREFIX, Proof, SCHEMES, Scheme, TokenForm};
use super::{AuthError, Proven};
use crate::delivery::{Delivery, Digest};
use crate::payload::{self, Field};
use crate::secrets::Secret;

/// The start of the value of GitHub's header `X-Hub-Signature`, which is a signature with SHA-1.
const SHA1_PREFIX: &[u8] = b"sha1=";

/// The refusal of a signature by another key, or of another body.
const MISMATCH: AuthError = AuthError::Unauthorized("the signature does not match the body");

/// Secrets of fewer bytes can be guessed by whoever has seen a signature.
const MIN_SECRET_BYTES: usize = 16;

/// The keys of the senders. A scheme without a key is not accepted.
#[derive(Default)]
pub(super) struct Keys {
    /// The secrets of signatures.
    signing: Vec<String>,
    /// The digests of the texts that are accepted as tokens: of all secrets. All digests have the same length, so the
    /// duration of a comparison does not depend on the length of a token.
    tokens: Vec<Digest>,
    is_short: bool,
}

/// A proof whose header was read.
pub(super) enum Evidence {
    /// A valid token. It is valid for any body.
    Token,
    /// The signature of a body.
    Body {
        /// What the sender sent.
        claimed: Digest,
        /// Whether the signature may be that of the JSON in a form.
        skips_form: bool,
    },
    /// The signatures of a message. One of them must be valid.
    Message {
        id: Vec<u8>,
        timestamp: Vec<u8>,
        claimed: Vec<Digest>,
    },
}

impl Keys {
    /// Returns the keys of secrets that every scheme uses, and of secrets that are tokens only.
    pub(super) fn new(secrets: &[&Secret], tokens: &[&Secret]) -> Self {
        let values = |secrets: &[&Secret]| -> Vec<String> {
            secrets
                .iter()
                .flat_map(|secret| secret.values())
                .cloned()
                .collect()
        };
        let (signing, tokens) = (values(secrets), values(tokens));
        let all = || signing.iter().chain(&tokens);
        Self {
            tokens: all().map(|text| digest(&[text.as_bytes()])).collect(),
            is_short: all().any(|text| text.len() < MIN_SECRET_BYTES),
            signing,
        }
    }

    /// Returns whether a secret is so short that it can be guessed.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Checks the proof of a delivery. Returns what it proves, and the JSON in the form if it alone was signed.
    pub(super) fn prove(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(Proven, Option<Bytes>), AuthError> {
        let (evidence, scheme) = self.evidence(&delivery.headers, now)?;
        let (signature, json) = self.check(evidence, delivery)?;
        let scheme = scheme.name();
        Ok((Proven { signature, scheme }, json))
    }

    /// Reads the proof in the headers of a delivery, and returns it with its scheme. A token is checked immediately. A
    /// signature is checked when the body has been read.
    ///
    /// The first signature in the order of the table decides, so a valid token does not compensate for an invalid
    /// signature. Without a signature, one valid token is sufficient.
    pub(super) fn evidence(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Evidence, &'static Scheme), AuthError> {
        let mut reason = if has_sha1(headers) {
            "SHA-1 is not accepted: sign with SHA-256 in X-Hub-Signature-256"
        } else {
            "neither a signature nor a token was sent"
        };
        let can_check =
            |scheme: &&Scheme| !self.signing.is_empty() || matches!(scheme.proof, Proof::Token(_));
        for scheme in SCHEMES.iter().filter(can_check) {
            let Some(value) = scheme.value(headers)? else {
                continue;
            };
            match &scheme.proof {
                Proof::BodySignature { prefix, .. } => {
                    let evidence = Evidence::Body {
                        claimed: parse_hex(value, prefix)?,
                        skips_form: skips_form(headers),
                    };
                    return Ok((evidence, scheme));
                }
                Proof::MessageSignature { id, timestamp } => {
                    let evidence = parse_message(headers, value, (id, timestamp), now)?;
                    return Ok((evidence, scheme));
                }
                Proof::Token(form) if self.has_token(form, value) => {
                    return Ok((Evidence::Token, scheme));
                }
                Proof::Token(_) => reason = "the token is wrong",
            }
        }
        Err(AuthError::Unauthorized(reason))
    }

    fn has_token(&self, form: &TokenForm, value: &[u8]) -> bool {
        let is_valid = |token: &[u8]| {
            let token = digest(&[token]);
            any(self.tokens.iter().map(|known| known.ct_eq(&token)))
        };
        match form {
            TokenForm::Plain => is_valid(value),
            TokenForm::Bearer => strip_scheme(value, BEARER_PREFIX).is_some_and(is_valid),
            TokenForm::Basic => {
                let encoded = strip_scheme(value, BASIC_PREFIX);
                let Some(pair) = encoded.and_then(|text| STANDARD.decode(text).ok()) else {
                    return false;
                };
                let password = pair.iter().position(|&byte| byte == b':');
                let password = password.map_or(&[][..], |colon| &pair[colon + 1..]);
                // A secret may also be the user name and the password.
                is_valid(&pair) | is_valid(password)
            }
        }
    }

    /// Checks the proof against the body, in constant time. Returns the kind of what was signed, and the JSON in the form
    /// if it was signed alone.
    pub(super) fn check(
        &self,
        evidence: Evidence,
        delivery: &Delivery,
    ) -> Result<(Signature, Option<Bytes>), AuthError> {
        let body = &delivery.body;
        match evidence {
            Evidence::Token => Ok((Signature::None, None)),
            Evidence::Body {
                claimed,
                skips_form,
            } => {
                let signature = Signature::Body(digest(&[&claimed]));
                if self.has_signed(body, &claimed) {
                    return Ok((signature, None));
                }
                let in_form = || payload::in_form(body, delivery.media_type().as_deref());
                let field = skips_form.then(in_form).flatten();
                // The text of a stranger is decoded in parts, and not beside the body.
                let field = field.filter(|field| self.has_signed_in_form(field, &claimed));
                let json = field
                    .and_then(|field| field.decode().ok())
                    .ok_or(MISMATCH)?;
                Ok((signature, Some(json.into())))
            }
            Evidence::Message {
                id,
                timestamp,
                claimed,
            } => {
                let keys = self.signing.iter().flat_map(|secret| message::keys(secret));
                let is_valid = any(keys.map(|key| {
                    let mac = message_mac(&key, &id, &timestamp, body);
                    any_choice(claimed.iter().map(|claimed| mac.ct_eq(claimed)))
                }));
                if !is_valid {
                    return Err(MISMATCH);
                }
                // An id has no zero byte. A retry has another time.
                Ok((Signature::Id(digest(&[&id, &[0], body])), None))
            }
        }
    }

    /// Returns whether a sender with one of the keys made this signature of a text.
    fn has_signed(&self, text: &[u8], claimed: &Digest) -> bool {
        let keys = self.signing.iter().map(String::as_bytes);
        any(keys.map(|key| body_mac(key, text).ct_eq(claimed)))
    }

    /// Returns whether a sender with one of the keys made this signature of the text in a form.
    fn has_signed_in_form(&self, text: &Field<'_>, claimed: &Digest) -> bool {
        let keys = self.signing.iter().map(String::as_bytes);
        any(keys.map(|key| form_mac(key, text).map_or(Choice::from(0), |mac| mac.ct_eq(claimed))))
    }
}

/// What the sender signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    /// Nothing.
    None,
    /// The body. This is the digest of its signature: a signature itself is not shown to anybody.
    Body(Digest),
    /// A message. This is the digest of its id and of the body.
    Id(Digest),
}

impl Scheme {
    /// Returns the value of the header with the proof, or `None` without a proof.
    ///
    /// An empty signature is none: Gitea sends it if its webhook has no secret. A signature with SHA-1 is none either,
    /// nor is a signature of a version other than 1.
    fn value<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, AuthError> {
        let Some(value) = single(headers, self.header)? else {
            return Ok(None);
        };
        let is_proof = match &self.proof {
            Proof::Token(_) => true,
            Proof::BodySignature { prefix, .. } => {
                value != prefix.as_bytes() && !value.starts_with(SHA1_PREFIX)
            }
            Proof::MessageSignature { .. } => {
                std::str::from_utf8(value).is_ok_and(message::has_signature)
            }
        };
        Ok(is_proof.then_some(value))
    }
}

/// Returns whether the headers of a delivery carry a proof, right or wrong.
#[must_use]
pub fn carries_proof(headers: &HeaderMap) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| !matches!(scheme.value(headers), Ok(None)))
}

/// Returns the value of a header without spaces around it, or `None` if it is missing or empty. Several values are
/// refused: a proxy may have checked another one than the value that is used here.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.as_bytes().trim_ascii());
    if values.next().is_some() {
        return Err(AuthError::Unauthorized("a header of the proof is repeated"));
    }
    Ok(value.filter(|value| !value.is_empty()))
}

/// Returns whether a sender with these headers signs the JSON alone if it sends the JSON in a form. Such a sender also
/// sends the header of GitHub, although GitHub itself signs the form.
fn skips_form(headers: &HeaderMap) -> bool {
    SCHEMES.iter().any(|scheme| {
        let skips_form = matches!(
            scheme.proof,
            Proof::BodySignature {
                skips_form: true,
                ..
            }
        );
        skips_form && matches!(scheme.value(headers), Ok(Some(_)))
    })
}

fn has_sha1(headers: &HeaderMap) -> bool {
    SCHEMES.iter().any(|scheme| {
        let value = headers.get(scheme.header);
        value.is_some_and(|value| value.as_bytes().starts_with(SHA1_PREFIX))
    })
}

/// Parses a prefix and 64 hexadecimal digits of any case.
fn parse_hex(value: &[u8], prefix: &str) -> Result<Digest, AuthError> {
    let mut claimed = [0; 32];
    let digits = value.strip_prefix(prefix.as_bytes()).unwrap_or_default();
    hex::decode_to_slice(digits, &mut claimed).map_err(|_| {
        AuthError::Unauthorized("the signature does not have the form of its header")
    })?;
    Ok(claimed)
}

fn parse_message(
    headers: &HeaderMap,
    value: &[u8],
    (id, timestamp): (&str, &str),
    now: Timestamp,
) -> Result<Evidence, AuthError> {
    let refuse = AuthError::Unauthorized;
    let claimed = std::str::from_utf8(value)
        .ok()
        .and_then(message::signatures);
    let claimed = claimed.ok_or(refuse("the signatures are malformed or too many"))?;
    let id = single(headers, id)?.ok_or(refuse("the id of the message is missing"))?;
    let timestamp = single(headers, timestamp)?.unwrap_or_default();
    if !std::str::from_utf8(timestamp).is_ok_and(|text| message::is_recent(text, now)) {
        return Err(refuse(
            "the time of the message is missing, or differs from the present time by more than five minutes",
        ));
    }
    Ok(Evidence::Message {
        id: id.to_vec(),
        timestamp: timestamp.to_vec(),
        claimed,
    })
}

/// Returns the text after the name of an authentication scheme, which has no case (RFC 9110 §11.1).
fn strip_scheme<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (scheme, rest) = value.split_at_checked(prefix.len())?;
    scheme
        .eq_ignore_ascii_case(prefix.as_bytes())
        .then(|| rest.trim_ascii_start())
}

/// Returns whether one of the choices is true. All are evaluated.
fn any(choices: impl Iterator<Item = Choice>) -> bool {
    any_choice(choices).into()
}

fn any_choice(choices: impl Iterator<Item = Choice>) -> Choice {
    choices.fold(Choice::from(0), |any, choice| any | choice)
}
