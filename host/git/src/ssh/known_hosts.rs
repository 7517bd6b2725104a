//! The trusted host keys, in the format of OpenSSH's `known_hosts` (`man 8 sshd`).
//!
//! This module does not connect to anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use sha1::Sha1;

use super::pattern::{is_match, match_list};
use crate::error::GitError;

const DEFAULT_PORT: u16 = 22;
/// The maximum size of a file, in bytes. A Secret has at most 1 MiB.
const MAX_BYTES: usize = 1024 * 1024;

/// The lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownHosts(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    marker: Option<Marker>,
    hosts: Hosts,
    key: KeyData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Authority,
    Revoked,
}

/// The hosts of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Patterns(String),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// The keys of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrustedKeys {
    /// Its own keys.
    pub(crate) keys: Vec<KeyData>,
    /// The authorities whose certificates it may show.
    pub(crate) authorities: Vec<KeyData>,
    /// The keys that it may not have.
    pub(crate) revoked: Vec<KeyData>,
}

impl KnownHosts {
    /// Parses a file. Empty lines, comments, and lines with keys of a type that is not supported are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the file has no usable line, or if a line with a marker is invalid: ignoring such a line could trust a
    /// key that is revoked.
    pub(crate) fn parse(text: &str) -> Result<Self, GitError> {
        if text.len() > MAX_BYTES {
            return Err(invalid("it is larger than 1 MiB".to_owned()));
        }
        let mut entries = Vec::new();
        let mut first_problem = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Entry::parse(line) {
                Ok(entry) => entries.push(entry),
                Err(why) if line.starts_with('@') => {
                    return Err(invalid(format!("line {}: {why}", index + 1)));
                }
                Err(why) => {
                    first_problem.get_or_insert_with(|| format!("line {}: {why}", index + 1));
                }
            }
        }
        if entries.is_empty() {
            let why = first_problem.unwrap_or_else(|| "it has no lines with keys".to_owned());
            return Err(invalid(why));
        }
        Ok(Self(entries))
    }

    /// Returns the keys of a host. For a port other than 22, the lines with `[HOST]:PORT` decide. If no such line has a
    /// key, the lines with `HOST` decide, as OpenSSH does.
    pub(crate) fn keys_of(&self, host: &str, port: u16) -> TrustedKeys {
        let host = host.to_ascii_lowercase();
        if port == DEFAULT_PORT {
            return self.keys_of_name(&host);
        }
        let mut found = self.keys_of_name(&format!("[{host}]:{port}"));
        let without_port = self.keys_of_name(&host);
        if found.keys.is_empty() && found.authorities.is_empty() {
            found.keys = without_port.keys;
            found.authorities = without_port.authorities;
        }
        found.revoked.extend(without_port.revoked);
        found
    }

    fn keys_of_name(&self, name: &str) -> TrustedKeys {
        let mut found = TrustedKeys::default();
        for entry in self.0.iter().filter(|entry| entry.hosts.include(name)) {
            let list = match entry.marker {
                None => &mut found.keys,
                Some(Marker::Authority) => &mut found.authorities,
                Some(Marker::Revoked) => &mut found.revoked,
            };
            list.push(entry.key.clone());
        }
        found
    }
}

fn invalid(why: String) -> GitError {
    GitError::KnownHosts { why }
}

impl Entry {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_ascii_whitespace();
        let mut hosts = words.next().unwrap_or_default();
        let marker = match hosts {
            "@cert-authority" => Some(Marker::Authority),
            "@revoked" => Some(Marker::Revoked),
            text if text.starts_with('@') => return Err("the marker is unknown"),
            _ => None,
        };
        if marker.is_some() {
            hosts = words.next().unwrap_or_default();
        }
        let (Some(algorithm), Some(key)) = (words.next(), words.next()) else {
            return Err("it does not consist of hosts, the type of a key, and the key");
        };
        let key = PublicKey::from_openssh(&format!("{algorithm} {key}"))
            .map_err(|_| "the key is invalid, or its type is not supported")?;
        Ok(Self {
            marker,
            hosts: Hosts::parse(hosts)?,
            key: key.key_data().clone(),
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(hashed) = text.strip_prefix('|') else {
            return Ok(Self::Patterns(text.to_ascii_lowercase()));
        };
        let mut parts = hashed.split('|');
        let (Some("1"), Some(salt), Some(hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the hash of the host is not of the form |1|SALT|HASH");
        };
        let decode = |text| {
            STANDARD
                .decode(text)
                .map_err(|_| "the hash of the host is not base64")
        };
        Ok(Self::Hashed {
            salt: decode(salt)?,
            hash: decode(hash)?,
        })
    }

    fn include(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => match_list(patterns, name),
            Self::Hashed { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
        }
    }
}

impl TrustedKeys {
    /// Returns whether no key is trusted.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.authorities.is_empty()
    }
}

/// Returns whether one of the names of a certificate means a host. The names may be patterns.
pub(crate) fn is_named(principals: &[String], host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    principals
        .iter()
        .any(|principal| is_match(&principal.to_ascii_lowercase(), &host))
}

#[cfg(test)]
mod tests;
