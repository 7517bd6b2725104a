//! TLS of a server, with a certificate and a key in files that are followed, or in memory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::certificate::{self, CertificateEnd};

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
    used: ArcSwap<Used>,
    shown_in: CertificateEnd,
}

/// A certificate and a key that can be used.
struct Used {
    config: Arc<ServerConfig>,
    /// The end of the server's own certificate. `None` if it cannot be read.
    ends_at: Option<Timestamp>,
}

impl Tls {
    /// Reads the files. They must be usable.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let used = Contents::read(&files)?.usable(&files)?;
        Ok(Self::new(files, used))
    }

    /// Uses a certificate and a key in PEM. Errors name them as files of a directory.
    pub fn of_pem(directory: &str, certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let directory = Path::new(directory);
        let files = TlsFiles {
            certificate: directory.join("tls.crt"),
            key: directory.join("tls.key"),
        };
        let used = Contents::new(certificate, key).usable(&files)?;
        Ok(Self::new(files, used))
    }

    fn new(files: TlsFiles, used: Used) -> Self {
        Self {
            files,
            used: ArcSwap::from_pointee(used),
            shown_in: CertificateEnd::default(),
        }
    }

    /// Shows the end of the certificate in a metric from now on, and in the log.
    #[must_use]
    pub fn shown_in(mut self, end: &CertificateEnd) -> Self {
        self.shown_in = end.clone();
        let ends_at = self.used.load().ends_at;
        self.shown_in.set(ends_at);
        self.log("the TLS certificate is used");
        self.warn_of_end(&mut None);
        self
    }

    /// Uses another certificate and key in PEM for new connections. If they cannot be used, the previous ones stay in
    /// use.
    pub fn replace_pem(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.replace(Contents::new(certificate, key).usable(&self.files)?);
        self.log("another TLS certificate is used");
        Ok(())
    }

    fn replace(&self, used: Used) {
        self.shown_in.set(used.ends_at);
        self.used.store(Arc::new(used));
    }

    fn log(&self, message: &str) {
        let ends_at = self.used.load().ends_at;
        tracing::info!(
            certificate.file = %self.files.certificate.display(),
            certificate.ends_at = ends_at.map(tracing::field::display),
            "{message}"
        );
    }

    /// Logs that the certificate has expired, unless this was said of it.
    fn warn_of_end(&self, said: &mut Option<Timestamp>) {
        let ends_at = self.used.load().ends_at;
        let expired = ends_at.filter(|ends_at| *ends_at <= Timestamp::now());
        if let Some(expired) = expired
            && *said != Some(expired)
        {
            tracing::error!(
                certificate.file = %self.files.certificate.display(),
                certificate.ends_at = %expired,
                "the TLS certificate has expired, and clients refuse it"
            );
        }
        *said = expired;
    }

    /// Reads the files again whenever they change. If the new ones cannot be used, the previous ones stay in use.
    pub async fn follow(&self) {
        let mut seen = None;
        // What `shown_in` said.
        let ends_at = self.used.load().ends_at;
        let mut said = ends_at.filter(|ends_at| *ends_at <= Timestamp::now());
        loop {
            tokio::time::sleep(PERIOD).await;
            let files = self.files.clone();
            // While a file system does not answer, the certificate in use stays.
            let reading = tokio::task::spawn_blocking(move || Contents::read(&files));
            if let Ok(read) = reading.await {
                self.refresh(&mut seen, read);
            }
            self.warn_of_end(&mut said);
        }
    }

    /// Uses the files as they were read, if they differ from those that were seen last.
    fn refresh(
        &self,
        seen: &mut Option<Result<Contents, String>>,
        read: Result<Contents, TlsError>,
    ) {
        let now = read.map_err(|error| stoker_report::chain(&error).to_string());
        if seen.as_ref() == Some(&now) {
            return;
        }
        let used = match &now {
            Ok(contents) => contents
                .usable(&self.files)
                .map_err(|error| stoker_report::chain(&error).to_string()),
            Err(why) => Err(why.clone()),
        };
        match used {
            Ok(used) => {
                self.replace(used);
                if seen.is_some() {
                    self.log("the TLS certificate was read again");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the new TLS certificate cannot be used, and the previous one stays in use");
            }
        }
        *seen = Some(now);
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.used.load().config))
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

    fn usable(&self, files: &TlsFiles) -> Result<Used, TlsError> {
        let no_certificate = |source| TlsError::Certificate {
            path: files.certificate.clone(),
            source,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| no_certificate(Some(error)))?;
        let own = chain.first().ok_or_else(|| no_certificate(None))?;
        let ends_at = certificate::ends_at(own);
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| TlsError::Key {
            path: files.key.clone(),
            source,
        })?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(TlsError::Pair)?
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .map_err(TlsError::Pair)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Used {
            config: Arc::new(config),
            ends_at,
        })
    }
}

/// Returns whether a handshake failed because the client refuses the certificate.
pub(super) fn is_refused_certificate(error: &io::Error) -> bool {
    use rustls::AlertDescription::{
        BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA,
    };
    matches!(
        tls_error(error),
        Some(rustls::Error::AlertReceived(
            BadCertificate | CertificateExpired | CertificateUnknown | UnknownCA
        ))
    )
}

/// Returns whether a handshake failed because the client did not begin one, and sent something else, such as plain HTTP.
pub(super) fn is_not_tls(error: &io::Error) -> bool {
    use rustls::InvalidMessage::InvalidContentType;
    matches!(
        tls_error(error),
        Some(rustls::Error::InvalidMessage(InvalidContentType))
    )
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    stoker_process::read_regular_file(path, MAX_FILE_BYTES).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
