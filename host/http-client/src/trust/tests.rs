//! Tests with servers that have certificates of various kinds.

mod servers;

use base64::Engine as _;
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, date_time_ymd};
use reqwest::{Client, ClientBuilder};

use super::*;
use servers::{VERSION_1, answering, as_authority, self_signed, serve, signed, signed_with};

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
    let directory = tempfile::tempdir().unwrap();
    let servers: Vec<_> = (0..4).map(|_| signed()).collect();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("system"), &servers[0].0).unwrap();
    std::fs::write(path("file"), &servers[1].0).unwrap();
    std::fs::create_dir(path("directory")).unwrap();
    std::fs::write(path("directory/authority.pem"), &servers[2].0).unwrap();
    let variable = |name: &str| match name {
        "SSL_CERT_FILE" => Some(path("file")),
        "SSL_CERT_DIR" => Some(path("directory")),
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

#[tokio::test]
async fn a_trusted_certificate_of_a_server_is_accepted_although_its_authority_is_not_trusted() {
    let (_, server) = signed();
    let port = serve(&server).await;
    get(&trusting(&server.pem), "localhost", port)
        .await
        .unwrap();
    let error = get(&trusting(&server.pem), "127.0.0.1", port)
        .await
        .unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let (_, other) = signed();
    let error = get(&trusting(&other.pem), "localhost", port)
        .await
        .unwrap_err();
    assert!(
        error.contains("the authority of the server's certificate is not trusted"),
        "{error}"
    );
    let (_, expired) = signed_with(|parameters| {
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
    });
    let port = serve(&expired).await;
    let error = get(&trusting(&expired.pem), "localhost", port)
        .await
        .unwrap_err();
    assert!(error.contains("expired"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_does_not_void_the_others_of_a_bundle() {
    let (authority, server) = signed();
    let port = serve(&server).await;
    let bundle = format!("{VERSION_1}{authority}");
    get(&trusting(&bundle), "localhost", port).await.unwrap();
    let unusable = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let bundle = format!("{unusable}{authority}");
    get(&trusting(&bundle), "localhost", port).await.unwrap();
    assert_eq!(trusting(VERSION_1).certificates.len(), 1);
    Trust::default().with_bundle(unusable).unwrap_err();
}

#[tokio::test]
async fn certificates_with_the_other_labels_of_openssl_are_read() {
    let (authority, server) = signed();
    let port = serve(&server).await;
    let other = authority.replace(" CERTIFICATE", " X509 CERTIFICATE");
    get(&trusting(&other), "localhost", port).await.unwrap();
    // What OpenSSL stores behind a certificate: here a name.
    let text = with_trust(&authority, &[0x30, 0x03, 0x0c, 0x01, b'x']);
    get(&trusting(&text), "localhost", port).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{VERSION_1}{text}")).unwrap();
    let machine = Trust::read(Some(file.path()), |_| None);
    assert_eq!(machine.certificates.len(), 2);
    get(&machine, "localhost", port).await.unwrap();
}

/// Returns a certificate with the label `TRUSTED CERTIFICATE`, and this behind it.
fn with_trust(pem: &str, trailing: &[u8]) -> String {
    let [usual] = &*trusting(pem).certificates else {
        panic!("one certificate")
    };
    format!(
        "-----BEGIN TRUSTED CERTIFICATE-----\n{}\n-----END TRUSTED CERTIFICATE-----\n",
        base64::engine::general_purpose::STANDARD.encode([usual.as_ref(), trailing].concat())
    )
}

#[test]
fn certificates_that_are_not_trusted_for_servers_are_omitted() {
    // The purposes of RFC 5280, section 4.2.1.12, as in `openssl x509 -addtrust` and `-addreject`.
    let servers: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    let email: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4];
    let any: &[u8] = &[6, 4, 0x55, 0x1d, 0x25, 0];
    let element = |tag: u8, contents: &[u8]| {
        [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat()
    };
    let lists = |trust: &[&[u8]], reject: &[&[u8]]| {
        let list = |tag, purposes: &[&[u8]]| match purposes {
            [] => Vec::new(),
            purposes => element(tag, &purposes.concat()),
        };
        element(0x30, &[list(0x30, trust), list(0xa0, reject)].concat())
    };
    let (authority, _) = signed();
    for (trailing, is_trusted) in [
        (lists(&[], &[]), true),
        (lists(&[servers], &[]), true),
        (lists(&[email, any], &[]), true),
        (lists(&[servers], &[email]), true),
        (lists(&[email], &[]), false),
        (lists(&[], &[servers]), false),
        (lists(&[servers], &[any]), false),
        (lists(&[servers], &[email, servers]), false),
        (vec![0x30, 0x05, 0x30], false),
        (vec![0x04, 0x00], false),
    ] {
        let outcome = Trust::default().with_bundle(&with_trust(&authority, &trailing));
        assert_eq!(outcome.is_ok(), is_trusted, "{trailing:x?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_supported_is_refused_with_words() {
    let critical = |parameters: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        parameters.custom_extensions.push(extension);
    };
    let for_clients = |parameters: &mut CertificateParams| {
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let without_name = |parameters: &mut CertificateParams| parameters.subject_alt_names.clear();
    for (server, expected) in [
        (self_signed("localhost", critical), "make one without it"),
        (self_signed("localhost", for_clients), "contains serverAuth"),
        (
            self_signed("localhost", without_name),
            "has no subjectAltName",
        ),
    ] {
        let port = serve(&server).await;
        let error = get(&trusting(&server.pem), "localhost", port)
            .await
            .unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_failed_handshake_has_a_remedy() {
    const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
    const PROTOCOL_VERSION: &[u8] = &[21, 3, 3, 0, 2, 2, 70];
    let (authority, _) = signed();
    for (answer, expected) in [
        (HANDSHAKE_FAILURE, Some("no TLS version, cipher or type")),
        (PROTOCOL_VERSION, Some("no TLS version, cipher or type")),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            Some("does not speak TLS"),
        ),
        (b"", None),
    ] {
        let port = answering(answer).await;
        let error = client(&trusting(&authority))
            .get(format!("https://localhost:{port}/"))
            .send()
            .await
            .unwrap_err();
        let remedy = crate::tls_remedy(&error);
        assert_eq!(remedy.is_some(), expected.is_some(), "{error:?}");
        if let (Some(remedy), Some(expected)) = (remedy, expected) {
            assert!(remedy.contains(expected), "{remedy}");
        }
    }
}

#[test]
fn the_errors_of_the_library_become_words() {
    let translate = |error: webpki::Error| {
        let error = CertificateError::Other(OtherError(Arc::new(error)));
        crate::tls_error::translated(error.into()).to_string()
    };
    assert!(translate(webpki::Error::UnsupportedCertVersion).contains("version 1 of X.509"));
    assert!(translate(webpki::Error::EndEntityUsedAsCa).contains("with CA:TRUE"));
    let signature = CertificateError::UnsupportedSignatureAlgorithmContext {
        signature_algorithm_id: vec![1],
        supported_algorithms: Vec::new(),
    };
    let text = crate::tls_error::translated(signature.into()).to_string();
    assert!(text.contains("sign it with SHA-256 or SHA-384"), "{text}");
}

#[test]
fn the_signature_of_a_handshake_is_not_that_of_an_authority() {
    let error = || CertificateError::BadSignature.into();
    let handshake = crate::tls_error::translated_handshake(error());
    let remedy = crate::tls_remedy(&handshake).unwrap();
    assert!(remedy.starts_with("the server does not prove"), "{remedy}");
    let certificate = crate::tls_error::translated(error());
    let remedy = crate::tls_remedy(&certificate).unwrap();
    assert!(remedy.starts_with("the authority of"), "{remedy}");
}
