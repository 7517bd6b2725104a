//! Certificates in PEM format with the other labels that OpenSSL reads.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const LABELS: [&str; 2] = ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// Returns the certificates of a text that have one of the labels `X509 CERTIFICATE` and `TRUSTED CERTIFICATE`. Those
/// that cannot be read are omitted.
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
                .filter_map(|found| first_element(&found.ok()?))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the certificate without what OpenSSL stores behind it about its trust.
fn first_element(der: &CertificateDer<'_>) -> Option<CertificateDer<'static>> {
    // A sequence (X.690, section 8.9), whose length has two bytes.
    let [0x30, 0x82, high, low, ..] = **der else {
        return None;
    };
    let length = 4 + usize::from(u16::from_be_bytes([high, low]));
    Some(CertificateDer::from(der.get(..length)?.to_vec()))
}
