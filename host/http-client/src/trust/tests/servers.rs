//! Servers with certificates of various kinds.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate in PEM format, and its key.
pub(super) struct Pair {
    pub(super) pem: String,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// A self-signed certificate of version 1 of X.509, which `openssl x509 -req` makes.
pub(super) const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBKTCB0QIUTKMUfL8fccAakjVKfoguGQZtvgMwCgYIKoZIzj0EAwIwGDEWMBQG\n\
A1UEAwwNb2xkLWF1dGhvcml0eTAeFw0yNjExMjYyMjU5NTNaFw0zNjExMjMyMjU5\n\
NTNaMBgxFjAUBgNVBAMMDW9sZC1hdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjO\n\
PQMBBwNCAAQrryHdjmY31X9v+xa/zQcUpXbaO3saHsC2xq/oDuX7A3n0bFvf04GT\n\
QhHHrLxnY1TgZwILj8W46fVi5zoLKEWYMAoGCCqGSM49BAMCA0cAMEQCIDHA5mkh\n\
roa0lrfAGRMisZrkUUMPzcTDHAd5PCRa6QjlAiB8MaDXF6xsA3ONJqVOGBm4ODxD\n\
m2T1vw64v8Ir6uc3eQ==\n\
-----END CERTIFICATE-----\n";

pub(super) fn parameters(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

pub(super) fn pair(certificate: &rcgen::Certificate, key: &KeyPair) -> Pair {
    Pair {
        pem: certificate.pem(),
        certificate: certificate.der().clone(),
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

/// Makes a self-signed certificate. `openssl req -x509` makes one of an authority.
pub(super) fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut parameters = parameters(name);
    change(&mut parameters);
    pair(&parameters.self_signed(&key).unwrap(), &key)
}

pub(super) fn as_authority(parameters: &mut CertificateParams) {
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// Makes an authority, and a certificate that it signs for `localhost`.
pub(super) fn signed() -> (String, Pair) {
    signed_with(|_| {})
}

pub(super) fn signed_with(change: impl FnOnce(&mut CertificateParams)) -> (String, Pair) {
    let mut authority = parameters("authority");
    as_authority(&mut authority);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let inner: &Issuer<'_, _> = &issuer;
    let mut parameters = parameters("localhost");
    change(&mut parameters);
    let certificate = parameters.signed_by(&key, inner).unwrap();
    (issuer.pem(), pair(&certificate, &key))
}

/// Starts a server that answers every connection with these bytes.
pub(super) async fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.is_ok());
            stream.write_all(bytes).await.ok();
            stream.shutdown().await.ok();
        }
    });
    port
}

/// Starts a server with a certificate, and returns its port.
pub(super) async fn serve(pair: &Pair) -> u16 {
    let key = ring::sign::any_supported_type(&pair.key).unwrap();
    let certified = CertifiedKey::new(vec![pair.certificate.clone()], key);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        // `with_single_cert` refuses a certificate that clients would refuse.
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.is_ok());
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.ok();
            stream.shutdown().await.ok();
        }
    });
    port
}
