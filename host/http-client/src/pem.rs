//! Certificates in PEM format with the other labels that OpenSSL reads.

use der::asn1::ObjectIdentifier;
use der::{Reader as _, SliceReader, TagMode, TagNumber};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const LABELS: [&str; 2] = ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
/// The purposes `serverAuth` and `anyExtendedKeyUsage` (RFC 5280, section 4.2.1.12).
const SERVERS: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ObjectIdentifier::new_unwrap("2.5.29.37.0"),
];

/// Returns the certificates of a text that have one of the labels `X509 CERTIFICATE` and `TRUSTED CERTIFICATE`. Those
/// that cannot be read, or are not trusted for servers, are omitted.
pub(crate) fn with_other_labels(text: &str) -> Vec<CertificateDer<'static>> {
    LABELS
        .into_iter()
        .filter(|label| text.contains(&format!("-----BEGIN {label}-----")))
        .flat_map(|label| {
            // The text has no other certificates with the usual label then.
            let usual = text
                .replace("-----BEGIN CERTIFICATE-----", "-----BEGIN OTHER-----")
                .replace("-----END CERTIFICATE-----", "-----END OTHER-----")
                .replace(&format!("{label}-----"), "CERTIFICATE-----");
            CertificateDer::pem_slice_iter(usual.as_bytes())
                .filter_map(|found| for_servers(&found.ok()?))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the certificate without what OpenSSL stores behind it about its trust. Returns `None` if this says that the
/// certificate is not trusted for servers.
fn for_servers(der: &CertificateDer<'_>) -> Option<CertificateDer<'static>> {
    let mut reader = SliceReader::new(der).ok()?;
    let certificate = reader.tlv_bytes().ok()?;
    let is_trusted = reader.is_finished() || TrustLists::decode(&mut reader).ok()?.permit_servers();
    is_trusted.then(|| CertificateDer::from(certificate.to_vec()))
}

/// The purposes that a certificate is trusted for, and those that it is rejected for (OpenSSL, `X509_CERT_AUX`).
struct TrustLists {
    trust: Option<Vec<ObjectIdentifier>>,
    reject: Option<Vec<ObjectIdentifier>>,
}

impl TrustLists {
    fn decode<'a>(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        reader.sequence(|lists: &mut SliceReader<'a>| {
            let trust = lists.decode()?;
            let reject = lists.context_specific(TagNumber(0), TagMode::Implicit)?;
            // The name and the key identifier that may follow are not needed.
            lists.drain(lists.remaining_len())?;
            Ok(Self { trust, reject })
        })
    }

    /// Returns whether the lists permit servers, by the rules of OpenSSL's `X509_check_trust`. A list that names other
    /// purposes only does not permit them.
    fn permit_servers(&self) -> bool {
        let contains = |list: &Vec<_>| list.iter().any(|purpose| SERVERS.contains(purpose));
        !self.reject.as_ref().is_some_and(contains) && self.trust.as_ref().is_none_or(contains)
    }
}
