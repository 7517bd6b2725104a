//! Decides whether the key that a server shows is trusted.

use std::borrow::Cow;
use std::fmt;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{Preferred, keys::Certificate};

use super::algorithms;
use super::known_hosts::{KnownHosts, TrustedKeys, is_named};
use crate::error::GitError;
use crate::remote::{Credentials, Remote};

/// The host key of an ssh server: its algorithm and its fingerprint, such as `ssh-ed25519 SHA256:…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    algorithm: String,
    fingerprint: String,
}

impl HostKey {
    /// Returns a host key that another source of refs has seen. The fingerprint has the form of `ssh-keygen -l`.
    #[must_use]
    pub fn new(algorithm: &str, fingerprint: &str) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            fingerprint: fingerprint.to_owned(),
        }
    }

    fn of(key: &KeyData) -> Self {
        Self {
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }

    /// Returns the name of the algorithm, such as `ssh-ed25519`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Returns the fingerprint in the form of `ssh-keygen -l`, such as `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.algorithm, self.fingerprint)
    }
}

/// What the key of one server has to be.
#[derive(Debug, Clone)]
pub(super) struct HostKeyPolicy {
    /// The server, with its port, for errors.
    server: String,
    host: String,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    /// One of these keys.
    Known(TrustedKeys),
    /// The key with this fingerprint. An algorithm may precede it.
    Pinned(String),
    /// Any key.
    Any,
}

impl HostKeyPolicy {
    /// Returns the policy for a remote. `known_hosts` precedes a pinned key.
    pub(super) fn of(
        remote: &Remote,
        host: &str,
        port: u16,
        server: &str,
    ) -> Result<Self, GitError> {
        let rule = match (remote.credentials(), remote.pinned_host_key()) {
            (
                Credentials::SshKey {
                    known_hosts: Some(text),
                    ..
                },
                _,
            ) => {
                let trusted = KnownHosts::parse(text)?.keys_of(host, port);
                if trusted.is_empty() {
                    return Err(GitError::HostUnknown {
                        host: server.to_owned(),
                    });
                }
                Rule::Known(trusted)
            }
            (_, Some(pin)) => Rule::Pinned(pin.trim().to_owned()),
            (_, None) => Rule::Any,
        };
        Ok(Self {
            server: server.to_owned(),
            host: host.to_owned(),
            rule,
        })
    }

    /// Returns the algorithms to offer. A server with several keys shows the one whose algorithm is offered first, so
    /// only those of trusted keys are offered.
    pub(super) fn algorithms(&self) -> Preferred {
        let mut preferred = algorithms::preferred();
        let offered: Vec<_> = all_algorithms()
            .into_iter()
            .filter(|algorithm| match &self.rule {
                Rule::Known(trusted) => trusted
                    .keys
                    .iter()
                    .any(|key| is_of(&key.algorithm(), algorithm)),
                Rule::Pinned(pin) => match pin.split_once(' ') {
                    Some((name, _)) => {
                        Algorithm::new(name).is_ok_and(|pinned| is_of(&pinned, algorithm))
                    }
                    None => true,
                },
                Rule::Any => true,
            })
            .collect();
        if matches!(&self.rule, Rule::Known(trusted) if !trusted.authorities.is_empty()) {
            preferred.host_key_certificates = Cow::Owned(all_algorithms());
        }
        preferred.key = Cow::Owned(offered);
        preferred
    }

    /// Checks the key that the server shows. The library has verified that the server has the private key.
    pub(super) fn check(&self, shown: &PublicKeyOrCertificate) -> Result<HostKey, GitError> {
        let key = shown.public_key().key_data().clone();
        let seen = HostKey::of(&key);
        match &self.rule {
            Rule::Any => Ok(seen),
            Rule::Pinned(pin) => {
                let is_same = *pin == seen.fingerprint || *pin == seen.to_string();
                is_same
                    .then_some(seen.clone())
                    .ok_or_else(|| self.changed(pin, &seen.to_string()))
            }
            Rule::Known(trusted) => {
                if trusted.revoked.contains(&key) {
                    return Err(GitError::HostKeyRevoked {
                        host: self.server.clone(),
                        seen: seen.to_string(),
                    });
                }
                let is_trusted = trusted.keys.contains(&key)
                    || shown
                        .certificate()
                        .is_some_and(|certificate| self.certifies(trusted, certificate));
                is_trusted.then_some(seen.clone()).ok_or_else(|| {
                    let keys = trusted.keys.iter().map(|key| HostKey::of(key).to_string());
                    let authorities = trusted
                        .authorities
                        .iter()
                        .map(|key| format!("a certificate of {}", HostKey::of(key)));
                    let expected: Vec<_> = keys.chain(authorities).collect();
                    GitError::HostKeyUnknown {
                        host: self.server.clone(),
                        expected: expected.join(", "),
                        seen: seen.to_string(),
                    }
                })
            }
        }
    }

    /// Returns whether a certificate is valid for the host (OpenSSH, PROTOCOL.certkeys).
    fn certifies(&self, trusted: &TrustedKeys, certificate: &Certificate) -> bool {
        let authority = certificate.signature_key();
        let fingerprints: Vec<_> = trusted
            .authorities
            .iter()
            .map(|key| key.fingerprint(HashAlg::Sha256))
            .collect();
        certificate.cert_type() == CertType::Host
            && !trusted.revoked.contains(authority)
            && certificate.critical_options().is_empty()
            && is_named(certificate.valid_principals(), &self.host)
            && certificate.validate(&fingerprints).is_ok()
    }

    /// Returns the error for a server that has no key of the offered algorithms.
    pub(super) fn no_common_key(&self, offered_by_server: &str) -> GitError {
        let seen = format!("keys of the types {offered_by_server}");
        match &self.rule {
            Rule::Pinned(pin) => self.changed(pin, &seen),
            Rule::Any => GitError::HostKeyUnsupported {
                host: self.server.clone(),
                offered: seen,
            },
            Rule::Known(_) => {
                let algorithms = self.algorithms();
                let names: Vec<_> = algorithms.key.iter().map(ToString::to_string).collect();
                GitError::HostKeyUnknown {
                    host: self.server.clone(),
                    expected: format!("a key of the types {}", names.join(",")),
                    seen,
                }
            }
        }
    }

    fn changed(&self, expected: &str, seen: &str) -> GitError {
        GitError::HostKeyChanged {
            host: self.server.clone(),
            expected: expected.to_owned(),
            seen: seen.to_owned(),
        }
    }
}

/// Returns whether a key of the type `key` signs with `algorithm`.
fn is_of(key: &Algorithm, algorithm: &Algorithm) -> bool {
    match (key, algorithm) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (key, algorithm) => key == algorithm,
    }
}

/// Returns the supported algorithms, most preferred first. RSA with SHA-1 is not supported, because it is broken.
fn all_algorithms() -> Vec<Algorithm> {
    let curves = [
        EcdsaCurve::NistP256,
        EcdsaCurve::NistP384,
        EcdsaCurve::NistP521,
    ];
    let hashes = [HashAlg::Sha512, HashAlg::Sha256];
    std::iter::once(Algorithm::Ed25519)
        .chain(curves.map(|curve| Algorithm::Ecdsa { curve }))
        .chain(hashes.map(|hash| Algorithm::Rsa { hash: Some(hash) }))
        .collect()
}
