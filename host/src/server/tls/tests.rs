use std::fs;

use prometheus_client::registry::Registry;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

fn write(files: &TlsFiles) {
    write_until(files, 2100);
}

fn write_until(files: &TlsFiles, year: i32) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
}

fn files(directory: &TempDir) -> TlsFiles {
    TlsFiles {
        certificate: directory.path().join("tls.crt"),
        key: directory.path().join("tls.key"),
    }
}

fn refresh(tls: &Tls, seen: &mut Option<Result<Contents, String>>) {
    tls.refresh(seen, Contents::read(&tls.files));
}

#[test]
fn unusable_files_are_an_error_at_the_start() {
    let directory = TempDir::new().unwrap();
    let files = files(&directory);
    let error = |files: &TlsFiles| Tls::load(files.clone()).err().unwrap();
    assert!(matches!(error(&files), TlsError::Read { .. }));
    write(&files);
    let key = fs::read(&files.key).unwrap();
    fs::write(&files.key, "x").unwrap();
    assert!(matches!(error(&files), TlsError::Key { .. }));
    fs::write(&files.certificate, &key).unwrap();
    assert!(matches!(error(&files), TlsError::Certificate { .. }));
    write(&files);
    fs::write(&files.key, &key).unwrap();
    assert!(matches!(error(&files), TlsError::Pair(_)));
    fs::write(&files.key, vec![b'x'; (1 << 20) + 1]).unwrap();
    let TlsError::Read { source, .. } = error(&files) else {
        panic!("the file was read");
    };
    assert_eq!(source.kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn a_new_pair_is_used_and_an_unusable_one_is_not() {
    let directory = TempDir::new().unwrap();
    let files = files(&directory);
    write(&files);
    let tls = Tls::load(files.clone()).unwrap();
    let mut seen = None;
    refresh(&tls, &mut seen);
    let first = tls.used.load_full();
    refresh(&tls, &mut seen);
    assert!(Arc::ptr_eq(&first, &tls.used.load()), "nothing changed");
    fs::write(&files.key, "x").unwrap();
    refresh(&tls, &mut seen);
    fs::remove_file(&files.key).unwrap();
    refresh(&tls, &mut seen);
    // Nobody writes to the pipe.
    let made = std::process::Command::new("mkfifo")
        .arg(&files.key)
        .status();
    assert!(made.unwrap().success());
    refresh(&tls, &mut seen);
    fs::remove_file(&files.key).unwrap();
    refresh(&tls, &mut seen);
    assert!(Arc::ptr_eq(&first, &tls.used.load()), "unusable");
    write(&files);
    refresh(&tls, &mut seen);
    assert!(!Arc::ptr_eq(&first, &tls.used.load()));
}

#[test]
fn the_end_of_the_certificate_in_use_is_shown() {
    let directory = TempDir::new().unwrap();
    let files = files(&directory);
    write_until(&files, 2024);
    let mut registry = Registry::default();
    let end = CertificateEnd::default();
    end.register(&mut registry, "end", "End");
    let ends_in = |seconds: &str| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.contains(&format!("\nend {seconds}\n"))
    };
    let tls = Tls::load(files.clone()).unwrap().shown_in(&end);
    assert!(ends_in("1704067200"));
    let mut seen = None;
    refresh(&tls, &mut seen);
    write_until(&files, 2100);
    refresh(&tls, &mut seen);
    assert!(ends_in("4102444800"));
    write_until(&files, 2024);
    let [certificate, key] = [&files.certificate, &files.key].map(|file| fs::read(file).unwrap());
    tls.replace_pem(&certificate, &key).unwrap();
    assert!(ends_in("1704067200"));
    // Each end is said once.
    let mut said = None;
    tls.warn_of_end(&mut said);
    assert_eq!(said.unwrap().to_string(), "2024-01-01T00:00:00Z");
    write_until(&files, 2100);
    refresh(&tls, &mut seen);
    tls.warn_of_end(&mut said);
    assert_eq!(said, None);
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_is_recognised() {
    let directory = TempDir::new().unwrap();
    let files = files(&directory);
    write(&files);
    let tls = Tls::load(files).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let (server, _client) = tokio::join!(
        tls.accept(accepted.unwrap().0),
        connector.connect(name, client.unwrap()),
    );
    assert!(is_refused_certificate(&server.unwrap_err()));
    let other = io::Error::from(io::ErrorKind::UnexpectedEof);
    assert!(!is_refused_certificate(&other) && !is_not_tls(&other));
}
