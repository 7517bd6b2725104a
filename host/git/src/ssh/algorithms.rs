//! The algorithms of a connection, besides those of host keys.

use std::borrow::Cow;

use russh::{AlgorithmKind, Preferred, cipher, kex, mac};

use crate::error::{GitError, plain};

/// The algorithms that the library supports and does not prefer. OpenSSH uses them too, and some servers permit no
/// others. HMAC with SHA-1 is not affected by the collisions of SHA-1.
const OTHER_KEX: [kex::Name; 3] = [
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
];
const OTHER_CIPHERS: [cipher::Name; 1] = [cipher::AES_128_GCM];
const OTHER_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// Returns the supported algorithms, most preferred first.
pub(super) fn preferred() -> Preferred {
    let preferred = Preferred::default();
    Preferred {
        kex: with(&preferred.kex, &OTHER_KEX),
        cipher: with(&preferred.cipher, &OTHER_CIPHERS),
        mac: with(&preferred.mac, &OTHER_MACS),
        ..preferred
    }
}

fn with<T: Copy>(preferred: &[T], others: &[T]) -> Cow<'static, [T]> {
    Cow::Owned([preferred, others].concat())
}

/// Returns the error for a server that supports none of the algorithms of one kind.
pub(super) fn no_common(host: &str, kind: &AlgorithmKind, offered: &[String]) -> GitError {
    let (kind, setting, example) = match kind {
        AlgorithmKind::Kex => ("key exchange", "KexAlgorithms", "curve25519-sha256"),
        AlgorithmKind::Cipher => ("cipher", "Ciphers", "aes256-ctr"),
        AlgorithmKind::Mac => ("MAC", "MACs", "hmac-sha2-256"),
        AlgorithmKind::Compression => ("compression", "Compression", "no"),
        AlgorithmKind::Key => ("host key", "HostKeyAlgorithms", "ssh-ed25519"),
    };
    GitError::SshAlgorithms {
        host: host.to_owned(),
        kind,
        offered: plain(offered.join(",").as_bytes()),
        setting,
        example,
    }
}
