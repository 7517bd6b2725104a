//! Private keys, in the formats of OpenSSH and of PEM (PKCS#1, PKCS#8, SEC 1).

use russh::keys::{Algorithm, Error, PrivateKey, decode_secret_key};

use crate::error::GitError;
use crate::remote::Sensitive;

/// The maximum size of a key, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Parses a private key.
///
/// # Errors
///
/// No error contains a part of the text.
pub(super) fn parse(text: &Sensitive) -> Result<PrivateKey, GitError> {
    let refuse = |why| GitError::SshKey { why };
    let text = text.expose().trim();
    if text.len() > MAX_BYTES {
        return Err(refuse("it is larger than 64 KiB"));
    }
    let text = from_header(text);
    if let Some(why) = objection(text) {
        return Err(refuse(why));
    }
    // The library recognises a header only if it is the whole line.
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let key = decode_secret_key(&lines.join("\n"), None).map_err(|error| {
        refuse(match error {
            Error::KeyIsEncrypted => ENCRYPTED,
            Error::UnsupportedKeyType { .. } | Error::UnknownAlgorithm(_) => UNSUPPORTED,
            _ => "it is damaged, or its type is not supported; use an ed25519, ecdsa or rsa key",
        })
    })?;
    if key.is_encrypted() {
        return Err(refuse(ENCRYPTED));
    }
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(key),
        _ => Err(refuse(UNSUPPORTED)),
    }
}

/// Returns the text from the header of the key. OpenSSL writes attributes and parameters in front of it.
fn from_header(text: &str) -> &str {
    let is_header = |line: &str| {
        let line = line.trim();
        line.starts_with("-----BEGIN ") && line.ends_with(" PRIVATE KEY-----")
    };
    let before: Option<usize> = text.lines().any(is_header).then(|| {
        text.split_inclusive('\n')
            .take_while(|line| !is_header(line))
            .map(str::len)
            .sum()
    });
    text[before.unwrap_or(0)..].trim_start()
}

const ENCRYPTED: &str = "it is encrypted with a passphrase; store a copy without one, which `ssh-keygen -p -N '' -f FILE` makes, or create a deploy key without one";
const UNSUPPORTED: &str = "its type is not supported; use an ed25519, ecdsa or rsa key";

/// Returns what is wrong with a text that is obviously not a private key, as the user needs to hear it.
fn objection(text: &str) -> Option<&'static str> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    if text.is_empty() {
        Some("it is empty")
    } else if begins(&["PuTTY-User-Key-File-"]) {
        Some("it has the format of PuTTY; convert it with `puttygen FILE -O private-openssh`")
    } else if begins(&["ssh-", "ecdsa-", "sk-"]) || text.contains(" PUBLIC KEY") {
        Some("it is a public key; store the private key, which is the file without .pub")
    } else if text.contains("ENCRYPTED") {
        Some(ENCRYPTED)
    } else if text.contains("\\n") {
        Some("its lines are joined by the characters \\n instead of line breaks")
    } else if !begins(&["-----BEGIN "]) || !text.contains('\n') {
        Some(
            "it is not in the format of OpenSSH or PEM; it must begin with a line -----BEGIN … PRIVATE KEY-----",
        )
    } else if !text.contains("-----END ") {
        Some("it is cut: its last line -----END … PRIVATE KEY----- is missing")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<PrivateKey, String> {
        parse(&Sensitive::new(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_of_all_formats_are_read() {
        for (name, text) in [
            ("ssh-ed25519", include_str!("../tests/keys/ed25519")),
            ("ssh-ed25519", include_str!("../tests/keys/ed25519-pkcs8")),
            ("ecdsa-sha2-nistp256", include_str!("../tests/keys/ecdsa")),
            (
                "ecdsa-sha2-nistp256",
                include_str!("../tests/keys/ecdsa-sec1"),
            ),
            (
                "ecdsa-sha2-nistp256",
                include_str!("../tests/keys/ecdsa-pkcs8"),
            ),
            ("ssh-rsa", include_str!("../tests/keys/rsa")),
            ("ssh-rsa", include_str!("../tests/keys/rsa-pkcs1")),
            ("ssh-rsa", include_str!("../tests/keys/rsa-pkcs8")),
        ] {
            let windows = text.replace('\n', "\r\n");
            let indented = text.replace('\n', "\n  ");
            for text in [
                text,
                &windows,
                &indented,
                &format!("\n {text}\n\n"),
                text.trim(),
            ] {
                assert_eq!(key(text).unwrap().algorithm().to_string(), name);
            }
        }
    }

    #[test]
    fn what_openssl_writes_in_front_of_a_key_is_ignored() {
        let sec1 = include_str!("../tests/keys/ecdsa-sec1");
        let pkcs8 = include_str!("../tests/keys/rsa-pkcs8");
        let attributes = "Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n";
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        key(&format!("{attributes}{pkcs8}")).unwrap();
        key(&format!("{attributes}{pkcs8}").replace('\n', "\r\n")).unwrap();
        key(&format!("{parameters}{sec1}")).unwrap();
        let encrypted = include_str!("../tests/keys/encrypted-pkcs8");
        let error = key(&format!("{attributes}{encrypted}")).unwrap_err();
        assert!(error.contains("encrypted with a passphrase"), "{error}");
    }

    #[test]
    fn a_text_that_cannot_be_used_is_refused_with_a_reason() {
        let good = include_str!("../tests/keys/ed25519");
        for (text, why) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            (
                include_str!("../tests/keys/ed25519.pub"),
                "it is a public key",
            ),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
                "it is a public key",
            ),
            (
                "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n",
                "it is a public key",
            ),
            (
                include_str!("../tests/keys/encrypted"),
                "encrypted with a passphrase",
            ),
            (
                include_str!("../tests/keys/encrypted-pkcs1"),
                "encrypted with a passphrase",
            ),
            (
                include_str!("../tests/keys/encrypted-pkcs8"),
                "encrypted with a passphrase",
            ),
            (include_str!("../tests/keys/dsa"), "not supported"),
            ("PuTTY-User-Key-File-3: ssh-ed25519", "format of PuTTY"),
            (&good.replace('\n', "\\n"), "joined by the characters \\n"),
            (&good.replace('\n', " "), "must begin with a line"),
            ("s3cret", "must begin with a line"),
            (&good[..200], "it is cut"),
            (&good.replacen("AAAA", "AAAB", 1), "damaged"),
            (&"x".repeat(MAX_BYTES + 1), "larger than 64 KiB"),
        ] {
            let error = key(text).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
