//! The reason why the configuration is invalid.

use stoker_git::HostPatternError;

use super::{MAX_BODY_MEMORY_LIMIT, MAX_RATE};
use crate::receiver::NetworkError;

/// The reason why a flag is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The value is not an address to listen on.
    #[error("{flag} {text:?} is not an address: use PORT, :PORT or IP:PORT, or 0 to disable it")]
    Address {
        /// The flag.
        flag: &'static str,
        /// The value.
        text: String,
    },
    /// A secret has two sources.
    #[error("both {file} and the environment variable {variable} are set: use one of them")]
    TwoSecrets {
        /// The flag with the file.
        file: &'static str,
        /// The environment variable.
        variable: &'static str,
    },
    /// A secret has a previous value, and no present one in the environment.
    #[error(
        "{variable}_PREVIOUS is set without {variable}: put the previous value beside the present one"
    )]
    OnlyPreviousSecret {
        /// The environment variable of the present value.
        variable: &'static str,
    },
    /// A secret in the environment is not text.
    #[error("{variable} is set, but its value is not UTF-8")]
    SecretNotUtf8 {
        /// The environment variable.
        variable: String,
    },
    /// The value is not the name of a Secret.
    #[error("--webhook-secret-name {text:?} is not NAME or NAME/KEY of a Secret")]
    SecretName {
        /// The value.
        text: String,
    },
    /// The size limit of plugins is out of range.
    #[error("--plugin-max-size {bytes} is not between 1024 and {limit} bytes")]
    PluginMaxSize {
        /// The value.
        bytes: u64,
        /// The largest valid value.
        limit: u64,
    },
    /// A list contains something else than networks.
    #[error("{flag} is invalid")]
    Networks {
        /// The flag.
        flag: &'static str,
        /// The reason.
        #[source]
        source: NetworkError,
    },
    /// The list of git servers contains something else than hosts.
    #[error("--git-allowed-hosts is invalid")]
    GitHosts(#[source] HostPatternError),
    /// The memory for bodies is too small for one body, or out of range.
    #[error(
        "--max-body-memory {bytes} is not between --max-body, {body}, and {MAX_BODY_MEMORY_LIMIT} bytes"
    )]
    MaxBodyMemory {
        /// The value.
        bytes: usize,
        /// The largest size of a body.
        body: usize,
    },
    /// The rate is out of range.
    #[error("--webhook-rate {rate} is not between 1 and {MAX_RATE}")]
    Rate {
        /// The value.
        rate: u32,
    },
    /// The certificate of the injection webhook has two sources.
    #[error("both --webhook-cert-path and --webhook-cert-secret are set: use one of them")]
    TwoCertificates,
    /// The Secret for the certificate of the injection webhook is not the name of an object.
    #[error("--webhook-cert-secret {text:?} is not the name of a Secret")]
    CertificateSecret {
        /// The value.
        text: String,
    },
    /// The certificate that Stoker issues has no names.
    #[error("--webhook-cert-secret needs --webhook-cert-dns-names with the names of the Service")]
    NoCertificateNames,
    /// Only one of the certificate and the key is set.
    #[error("--webhook-tls-cert and --webhook-tls-key are used together: set both or neither")]
    HalfTls,
    /// The size limit of bodies is out of range.
    #[error("--max-body {bytes} is not between 1 and {limit} bytes")]
    MaxBody {
        /// The value.
        bytes: usize,
        /// The largest valid value.
        limit: usize,
    },
}
