//! Tests with servers that have certificates of various kinds.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, date_time_ymd,
};
use reqwest::{Client, ClientBuilder};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate in PEM format, and its key.
struct Pair {
    pem: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn parameters(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn pair(certificate: &rcgen::Certificate, key: &KeyPair) -> Pair {
    Pair {
        pem: certificate.pem(),
        certificate: certificate.der().clone(),
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

/// Makes a self-signed certificate. `openssl req -x509` makes one of an authority.
fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut parameters = parameters(name);
    change(&mut parameters);
    pair(&parameters.self_signed(&key).unwrap(), &key)
}

fn as_authority(parameters: &mut CertificateParams) {
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// Makes an authority, and a certificate that it signs for `localhost`.
fn signed() -> (String, Pair) {
    let mut authority = parameters("authority");
    as_authority(&mut authority);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let inner: &Issuer<'_, _> = &issuer;
    let certificate = parameters("localhost").signed_by(&key, inner).unwrap();
    (issuer.pem(), pair(&certificate, &key))
}

/// Starts a server with a certificate, and returns its port.
async fn serve(pair: &Pair) -> u16 {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.certificate.clone()], pair.key.clone_key())
        .unwrap();
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

fn client(trust: &Trust) -> Client {
    crate::build(trust, ClientBuilder::no_proxy).unwrap()
}

/// Sends a request, and returns the causes of the error.
async fn get(trust: &Trust, host: &str, port: u16) -> Result<(), String> {
    let outcome = client(trust)
        .get(format!("https://{host}:{port}/"))
        .send()
        .await;
    outcome.map(drop).map_err(|error| {
        let mut causes = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            causes = format!("{causes}: {error}");
            cause = error.source();
        }
        causes
    })
}

fn trusting(pem: &str) -> Trust {
    Trust::default().with_bundle(pem).unwrap()
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_accepted() {
    let (authority, server) = signed();
    let port = serve(&server).await;
    get(&trusting(&authority), "localhost", port).await.unwrap();
    let (other, _) = signed();
    let error = get(&trusting(&other), "localhost", port).await.unwrap_err();
    assert!(
        error.contains("the authority of the server's certificate is not trusted"),
        "{error}"
    );
    let error = get(&trusting(&authority), "127.0.0.1", port)
        .await
        .unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_trusted_self_signed_certificate_is_accepted_with_and_without_the_mark_of_an_authority() {
    for change in [as_authority, |_: &mut CertificateParams| {}] {
        let server = self_signed("localhost", change);
        let port = serve(&server).await;
        get(&trusting(&server.pem), "localhost", port)
            .await
            .unwrap();
        let error = get(&trusting(&server.pem), "127.0.0.1", port)
            .await
            .unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_that_is_not_trusted_is_refused_with_words() {
    let server = self_signed("localhost", as_authority);
    let port = serve(&server).await;
    let other = self_signed("localhost", as_authority);
    let error = get(&trusting(&other.pem), "localhost", port)
        .await
        .unwrap_err();
    assert!(error.contains("add exactly this certificate"), "{error}");
}

#[tokio::test]
async fn a_trusted_self_signed_certificate_that_has_expired_is_refused() {
    let server = self_signed("localhost", |parameters| {
        as_authority(parameters);
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
    });
    let port = serve(&server).await;
    let error = get(&trusting(&server.pem), "localhost", port)
        .await
        .unwrap_err();
    assert!(error.contains("expired"), "{error}");
}

#[tokio::test]
async fn bundles_and_the_files_of_the_environment_add_to_the_certificates_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let servers: Vec<_> = (0..4).map(|_| signed()).collect();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("system"), &servers[0].0).unwrap();
    std::fs::write(path("file"), &servers[1].0).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    std::fs::write(path("folder/authority.pem"), &servers[2].0).unwrap();
    let variable = |name: &str| match name {
        "SSL_CERT_FILE" => Some(path("file")),
        "SSL_CERT_DIR" => Some(path("folder")),
        _ => None,
    };
    let machine = Trust::read(Some(&path("system")), variable);
    let all = machine.with_bundle(&servers[3].0).unwrap();
    for (index, (_, server)) in servers.iter().enumerate() {
        let port = serve(server).await;
        get(&all, "localhost", port).await.unwrap();
        // The bundle belongs to one remote.
        assert_eq!(get(&machine, "localhost", port).await.is_ok(), index < 3);
    }
    // A file that is missing does not remove the others.
    let missing = Trust::read(Some(&path("system")), |name| {
        (name == "SSL_CERT_FILE").then(|| path("missing"))
    });
    let port = serve(&servers[0].1).await;
    get(&missing, "localhost", port).await.unwrap();
}

#[test]
fn a_bundle_has_to_contain_valid_certificates() {
    let (authority, server) = signed();
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for pem in [
        "",
        "s3cret",
        key,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n",
    ] {
        let error = Trust::default().with_bundle(pem).unwrap_err().to_string();
        assert!(error.starts_with("the CA bundle is invalid: "), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let both = format!(
        "# comment\n{authority}\n{}\n",
        server.pem.replace('\n', "\r\n")
    );
    assert_eq!(trusting(&both).certificates.len(), 2);
    assert!(Trust::default().is_empty() && !trusting(&both).is_empty());
}
