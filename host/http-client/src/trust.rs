//! The certificates that TLS trusts: those of the machine, those that the environment names, and those of one remote.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::tls_error::{translated, translated_handshake};
use crate::{HttpClientError, pem};

/// The files in which systems keep the certificates of all their authorities.
const SYSTEM_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates that are trusted.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Trust {
    /// Returns the certificates of this machine, and those of `SSL_CERT_FILE` and `SSL_CERT_DIR` in addition.
    ///
    /// A file that cannot be read is logged, and the other certificates are used.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let system = SYSTEM_FILES
            .iter()
            .map(Path::new)
            .find(|path| path.exists());
        Self::read(system, |name| std::env::var_os(name).map(PathBuf::from))
    }

    fn read(system: Option<&Path>, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let (file, directories) = (variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR"));
        let directories: Vec<_> = directories.iter().flat_map(std::env::split_paths).collect();
        let files = system.into_iter().chain(file.as_deref());
        let mut certificates = Vec::new();
        let sources = files.map(|file| (Some(file), None)).chain(
            directories
                .iter()
                .map(|directory| (None, Some(directory.as_path()))),
        );
        for (file, directory) in sources {
            let found = rustls_native_certs::load_certs_from_paths(file, directory);
            for error in found.errors {
                tracing::warn!(%error, "CA certificates cannot be read");
            }
            certificates.extend(found.certs);
            certificates.extend(
                file.and_then(|file| std::fs::read(file).ok())
                    .iter()
                    .flat_map(|text| pem::with_other_labels(&String::from_utf8_lossy(text))),
            );
        }
        // Systems without one of these files, such as macOS, keep their certificates elsewhere.
        if certificates.is_empty() {
            certificates = rustls_native_certs::load_native_certs().certs;
        }
        Self {
            certificates: certificates.into(),
        }
    }

    /// Returns these certificates and those of a text in PEM format.
    ///
    /// # Errors
    ///
    /// Fails if the text has no certificate that can be used.
    pub fn with_bundle(&self, pem: &str) -> Result<Self, HttpClientError> {
        let mut found = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| HttpClientError::Bundle(error.to_string()))?;
        found.extend(pem::with_other_labels(pem));
        if found.is_empty() {
            let why =
                "it contains no certificate in PEM format that is trusted for servers".to_owned();
            return Err(HttpClientError::Bundle(why));
        }
        // Old authorities have certificates that cannot be used. The others in the text still can.
        let mut roots = RootCertStore::empty();
        let refusals: Vec<_> = found
            .iter()
            .filter_map(|certificate| roots.add(certificate.clone()).err())
            .collect();
        if let (true, Some(why)) = (roots.is_empty(), refusals.first()) {
            return Err(HttpClientError::Bundle(why.to_string()));
        }
        Ok(Self {
            certificates: self.certificates.iter().cloned().chain(found).collect(),
        })
    }

    /// Returns whether there are no certificates. If so, https cannot be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Returns the configuration of clients that trust these certificates.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, HttpClientError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpClientError::Tls(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(self.certificates.iter().cloned());
        if usable == 0 {
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        let verifier = Verifier::new(self, roots, &provider)?;
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }
}

/// Verifies certificates by the rules of web PKI, with one addition: a certificate that is itself trusted may be the
/// server's own, even if it is marked as that of an authority, or if its authority is not trusted. `openssl req -x509`
/// makes certificates with this mark, and git and curl accept both.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    trusted: Trust,
}

impl Verifier {
    fn new(
        trust: &Trust,
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, HttpClientError> {
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| HttpClientError::Tls(error.to_string()))?;
        Ok(Self {
            inner,
            trusted: trust.clone(),
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let outcome = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let error = match outcome {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        // The verifier reports these errors only after it has checked the period of validity.
        if is_about_the_authority(&error) && self.trusted.certificates.contains(end_entity) {
            let parsed = ParsedCertificate::try_from(end_entity).map_err(translated)?;
            rustls::client::verify_server_name(&parsed, server_name).map_err(translated)?;
            return Ok(ServerCertVerified::assertion());
        }
        Err(translated(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, cert, dss)
            .map_err(translated_handshake)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, cert, dss)
            .map_err(translated_handshake)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Returns whether the only objection to a certificate is that it belongs to an authority, or that its own authority
/// is not trusted.
fn is_about_the_authority(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
            cause.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
        }
        rustls::Error::InvalidCertificate(
            // The signature is wrong if a trusted authority has the same name and another key.
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
