//! The errors of TLS in words, with what to do. The texts of the library contain its internal types.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError};

const AUTHORITY: &str = "the authority of the server's certificate is not trusted; add its certificate to the CA bundle of the remote, or to the file of SSL_CERT_FILE";
const AUTHORITY_AS_SERVER: &str = "the server's certificate is that of an authority (CA:TRUE), and it is not among the trusted certificates; add exactly this certificate to them, or make a certificate with CA:FALSE";
const SIGNATURE: &str = "the server's certificate, or one of its authorities', has a key or a signature that is not supported; make one with an RSA key of at least 2048 bits or a P-256 or P-384 key, and sign it with SHA-256 or SHA-384";
const HANDSHAKE: &str = "the server does not prove that it has the key of its certificate, or the key is not supported; check that its certificate and its key belong together, and use an RSA key of at least 2048 bits or a P-256 or P-384 key";
const VERSION: &str = "the server's certificate, or one of its authorities', has version 1 of X.509; make one of version 3 with the server's name as a subjectAltName";
const NO_NAME: &str = "the server's certificate has no subjectAltName; make one with the server's name as a subjectAltName, because the common name (CN) is not used";
const EXTENSION: &str = "the server's certificate, or one of its authorities', has a critical extension that is not supported; make one without it";
const NOT_AN_AUTHORITY: &str = "the server's certificate was issued by a certificate that is not that of an authority; make the authority's certificate with CA:TRUE";
const CONSTRAINT: &str = "the server's certificate is outside the constraints of its authority; make one for a name that the authority permits";
const PURPOSE: &str = "the server's certificate is not for servers; make one whose extendedKeyUsage contains serverAuth, or has no extendedKeyUsage";
const ENCODING: &str = "the server's certificate, or one of its authorities', is not encoded by the rules of X.509; make another one";
const CHAIN: &str = "the server sends too many certificates; let it send its own one, and those of the authorities up to a trusted one";
const NOTHING_IN_COMMON: &str = "the server has no TLS version, cipher or type of certificate that is supported; it needs TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20, and a certificate with an RSA, P-256, P-384 or Ed25519 key";
const CLIENT_CERTIFICATE: &str =
    "the server requires a certificate of the client, which is not supported";
const NOT_TLS: &str = "the server does not speak TLS at this port; use http:// or another port";

/// Returns an error whose text is words, if the error is about a certificate.
pub(crate) fn translated(error: rustls::Error) -> rustls::Error {
    let words = match &error {
        rustls::Error::InvalidCertificate(cause) => certificate(cause),
        _ => None,
    };
    words.map_or(error, |words| rustls::Error::General(words.to_owned()))
}

/// Returns an error whose text is words, if the error is about the signature of a handshake.
pub(crate) fn translated_handshake(error: rustls::Error) -> rustls::Error {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            rustls::Error::General(HANDSHAKE.to_owned())
        }
        error => translated(error),
    }
}

fn certificate(error: &CertificateError) -> Option<&'static str> {
    match error {
        // The signature is wrong if a trusted authority has the same name and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(AUTHORITY),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Some(SIGNATURE)
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            Some(NO_NAME)
        }
        CertificateError::UnhandledCriticalExtension => Some(EXTENSION),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Some(PURPOSE)
        }
        CertificateError::BadEncoding => Some(ENCODING),
        CertificateError::Other(OtherError(cause)) => cause.downcast_ref().map(web_pki),
        _ => None,
    }
}

fn web_pki(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::CaUsedAsEndEntity => AUTHORITY_AS_SERVER,
        webpki::Error::UnsupportedCertVersion => VERSION,
        webpki::Error::UnsupportedCriticalExtension => EXTENSION,
        webpki::Error::EndEntityUsedAsCa => NOT_AN_AUTHORITY,
        webpki::Error::NameConstraintViolation | webpki::Error::PathLenConstraintViolated => {
            CONSTRAINT
        }
        webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumSignatureChecksExceeded
        | webpki::Error::MaximumNameConstraintComparisonsExceeded => CHAIN,
        // The other errors are about the form of a certificate.
        _ => ENCODING,
    }
}

/// Returns what to do about an error of a handshake, or `None` if the text of the error is clear.
///
/// The error is that of a request, or one of its causes.
#[must_use]
pub fn tls_remedy<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    match cause(error)? {
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity,
        ) => Some(NOTHING_IN_COMMON),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate,
        ) => Some(CLIENT_CERTIFICATE),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(NOT_TLS),
        rustls::Error::InvalidCertificate(cause) => certificate(cause),
        // The words are there already.
        rustls::Error::General(words) => Some(words),
        _ => None,
    }
}

/// Returns whether TLS is what failed: a certificate, or the handshake.
#[must_use]
pub fn is_tls_error(error: &(dyn Error + 'static)) -> bool {
    cause(error).is_some()
}

/// Returns whether a text has the words about a certificate that would be accepted if its authority, or the certificate
/// itself, were trusted.
#[must_use]
pub fn is_untrusted(text: &str) -> bool {
    [AUTHORITY, AUTHORITY_AS_SERVER].iter().any(|words| {
        // What to do follows.
        let (what, _) = words.split_once("; ").unwrap_or((words, ""));
        text.contains(what)
    })
}

/// Returns the error of TLS among the causes of an error.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An error of input and output shows its own cause in its place.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_trusted_is_untrusted() {
        for words in [AUTHORITY, AUTHORITY_AS_SERVER] {
            assert!(is_untrusted(&format!("cannot connect to h:443: {words}")));
        }
        for words in [
            SIGNATURE,
            HANDSHAKE,
            VERSION,
            NO_NAME,
            EXTENSION,
            NOT_AN_AUTHORITY,
            CONSTRAINT,
            PURPOSE,
            ENCODING,
            CHAIN,
            NOTHING_IN_COMMON,
            CLIENT_CERTIFICATE,
            NOT_TLS,
        ] {
            assert!(!is_untrusted(words), "{words}");
        }
    }
}
