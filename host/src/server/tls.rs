//! TLS of a server, with a certificate and a key in files that are followed, or in memory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// The protocols that a client may choose, in the order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The time between two looks at the files. The kubelet needs up to a minute to update a mounted Secret.
const PERIOD: Duration = Duration::from_secs(1);
/// The maximum size of a file in bytes. A chain of certificates has some KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The file with the chain of certificates in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// The file with the key of the certificate in PEM.
    pub key: PathBuf,
}

/// The reason why a certificate and a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The file of the certificate does not contain one in PEM.
    #[error("{path} contains no certificate in PEM")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The reason, or `None` if the file has no such section.
        #[source]
        source: Option<pem::Error>,
    },
    /// The file of the key does not contain one in PEM.
    #[error("{path} contains no private key in PEM")]
    Key {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: pem::Error,
    },
    /// The key does not belong to the certificate, or one of them is of an unsupported kind.
    #[error("the certificate and the key cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// The contents of the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate and the key of a server.
pub struct Tls {
    /// The files, or the names of what is in memory.
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files. They must be usable.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = Contents::read(&files)?.config(&files)?;
        Ok(Self {
            files,
            config: ArcSwap::new(config),
        })
    }

    /// Uses a certificate and a key in PEM. Errors name them as files of a folder.
    pub fn of_pem(folder: &str, certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let folder = Path::new(folder);
        let files = TlsFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        let config = Contents::new(certificate, key).config(&files)?;
        Ok(Self {
            files,
            config: ArcSwap::new(config),
        })
    }

    /// Uses another certificate and key in PEM for new connections. If they cannot be used, the previous ones stay in
    /// use.
    pub fn replace_pem(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let config = Contents::new(certificate, key).config(&self.files)?;
        self.config.store(config);
        Ok(())
    }

    /// Reads the files again whenever they change. If the new ones cannot be used, the previous ones stay in use.
    pub async fn follow(&self) {
        let mut seen = None;
        loop {
            tokio::time::sleep(PERIOD).await;
            self.refresh(&mut seen);
        }
    }

    /// Reads the files, and uses them if they differ from those that were seen last.
    fn refresh(&self, seen: &mut Option<Result<Contents, String>>) {
        let read = Contents::read(&self.files);
        let now = read.map_err(|error| stoker_report::chain(&error).to_string());
        if seen.as_ref() == Some(&now) {
            return;
        }
        let config = match &now {
            Ok(contents) => contents
                .config(&self.files)
                .map_err(|error| stoker_report::chain(&error).to_string()),
            Err(why) => Err(why.clone()),
        };
        match config {
            Ok(config) => {
                if seen.is_some() {
                    tracing::info!("the TLS certificate was read again");
                }
                self.config.store(config);
            }
            Err(error) => {
                tracing::error!(%error, "the new TLS certificate cannot be used, and the previous one stays in use");
            }
        }
        *seen = Some(now);
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config.load_full())
            .accept(stream)
            .await
    }
}

impl Contents {
    fn new(certificate: &[u8], key: &[u8]) -> Self {
        Self {
            certificate: certificate.to_vec(),
            key: key.to_vec(),
        }
    }

    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
        })
    }

    fn config(&self, files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
        let no_certificate = |source| TlsError::Certificate {
            path: files.certificate.clone(),
            source,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| no_certificate(Some(error)))?;
        if chain.is_empty() {
            return Err(no_certificate(None));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| TlsError::Key {
            path: files.key.clone(),
            source,
        })?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    stoker_process::read_file(path, MAX_FILE_BYTES).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;

    fn write(files: &TlsFiles) -> Vec<u8> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&files.certificate, cert.pem()).unwrap();
        fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        cert.der().to_vec()
    }

    fn files(directory: &TempDir) -> TlsFiles {
        TlsFiles {
            certificate: directory.path().join("tls.crt"),
            key: directory.path().join("tls.key"),
        }
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
        tls.refresh(&mut seen);
        let first = tls.config.load_full();
        tls.refresh(&mut seen);
        assert!(Arc::ptr_eq(&first, &tls.config.load()), "nothing changed");
        fs::write(&files.key, "x").unwrap();
        tls.refresh(&mut seen);
        fs::remove_file(&files.key).unwrap();
        tls.refresh(&mut seen);
        assert!(Arc::ptr_eq(&first, &tls.config.load()), "unusable");
        write(&files);
        tls.refresh(&mut seen);
        assert!(!Arc::ptr_eq(&first, &tls.config.load()));
    }
}
