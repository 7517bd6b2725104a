//! The settings file of `stoker-agent run`, and the files with profiles.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_saphyr::UserMessageFormatter;
use stoker_api::detection::{GitRef, ParseError, RepoUrl};
use stoker_api::names::DEFAULT_PROFILE;

use crate::config::{FILE_SIZES, LONGEST_PERIOD};
use crate::credentials::CredentialFiles;
use crate::gateway::GatewayAddress;
use crate::sync::Profile;

/// The largest file with settings or a profile, in bytes.
const FILE_BYTES: u64 = 1 << 20;
/// The shortest time between two looks at the repository.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
/// The name under which a profile of a file is used.
pub(crate) const PROFILE_NAME: &str = DEFAULT_PROFILE;

/// The reason why a file is unusable.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{} is invalid", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address of the repository is invalid.
    #[error("repo is invalid")]
    Repo(#[source] ParseError),
    /// The ref is invalid.
    #[error("ref is invalid")]
    Ref(#[source] ParseError),
    /// The interval is not a duration.
    #[error("interval {0:?} is not a duration of 5 s or more, such as 60s or 5m")]
    Interval(String),
    /// The size of the largest file is out of range.
    #[error("maxFileMib {0} is not in the range of 1 to 512")]
    MaxFile(i64),
    /// The port of the gateway is out of range.
    #[error("gateway.port {0} is not in the range of 1 to 65535")]
    Port(i64),
    /// An address to listen on is invalid.
    #[error("{field} {value:?} is not an IP address with a port, such as 127.0.0.1:8082")]
    Listen {
        /// The name of the field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// There are two kinds of credentials.
    #[error("auth has a tokenFile and an sshKeyFile; use one of them")]
    Credentials,
}

/// The settings of an agent on a machine without a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineConfig {
    /// The repository.
    pub repo: RepoUrl,
    /// The ref.
    pub git_ref: GitRef,
    /// The file with the profile.
    pub profile: PathBuf,
    /// The directory of the gateway.
    pub data: PathBuf,
    /// The directory of the agent.
    pub state: PathBuf,
    /// The name of the gateway, for templates.
    pub name: String,
    /// The labels of the gateway, for templates.
    pub labels: BTreeMap<String, String>,
    /// The time between two looks at the repository.
    pub interval: Duration,
    /// The size of the largest file that is fetched, in MiB, or `None` for the one that the memory allows.
    pub max_file_mib: Option<u16>,
    /// The credentials for the repository.
    pub credentials: CredentialFiles,
    /// The gateway's API, or `None` if the gateway is not told to scan.
    pub gateway: Option<GatewayAddress>,
    /// The address of the probes.
    pub health: Option<SocketAddr>,
    /// The address of the metrics.
    pub metrics: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    repo: String,
    #[serde(rename = "ref")]
    git_ref: String,
    profile: PathBuf,
    data: PathBuf,
    #[serde(default = "state")]
    state: PathBuf,
    #[serde(default = "name")]
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default = "interval")]
    interval: String,
    max_file_mib: Option<i64>,
    #[serde(default)]
    auth: Auth,
    gateway: Option<Gateway>,
    health: Option<String>,
    metrics: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Auth {
    #[serde(rename = "tokenFile")]
    token: Option<PathBuf>,
    #[serde(rename = "sshKeyFile")]
    ssh_key: Option<PathBuf>,
    #[serde(rename = "knownHostsFile")]
    known_hosts: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Gateway {
    #[serde(default = "gateway_port")]
    port: i64,
    #[serde(default)]
    tls: bool,
    api_key_file: Option<PathBuf>,
}

impl MachineConfig {
    /// Reads the settings file.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        Self::parse(&read(path)?).map_err(|error| match error {
            FileError::Parse { source, .. } => FileError::Parse {
                path: path.to_owned(),
                source,
            },
            other => other,
        })
    }

    fn parse(text: &str) -> Result<Self, FileError> {
        let file: File = parse(text, Path::new(""))?;
        if file.auth.token.is_some() && file.auth.ssh_key.is_some() {
            return Err(FileError::Credentials);
        }
        let parsed = file.interval.parse::<SignedDuration>().ok();
        let parsed = parsed.and_then(|interval| Duration::try_from(interval).ok());
        let interval = parsed.filter(|interval| *interval >= SHORTEST_INTERVAL);
        let interval = interval.map(|interval| interval.min(LONGEST_PERIOD));
        Ok(Self {
            repo: RepoUrl::parse(&file.repo).map_err(FileError::Repo)?,
            git_ref: GitRef::parse(&file.git_ref).map_err(FileError::Ref)?,
            profile: file.profile,
            data: file.data,
            state: file.state,
            name: file.name,
            labels: file.labels,
            interval: interval.ok_or(FileError::Interval(file.interval))?,
            max_file_mib: file.max_file_mib.map(file_size).transpose()?,
            credentials: CredentialFiles {
                token: file.auth.token,
                ssh_key: file.auth.ssh_key,
                known_hosts: file.auth.known_hosts,
            },
            gateway: file.gateway.map(Gateway::address).transpose()?,
            health: file.health.map(|text| listen("health", text)).transpose()?,
            metrics: file
                .metrics
                .map(|text| listen("metrics", text))
                .transpose()?,
        })
    }
}

impl Gateway {
    fn address(self) -> Result<GatewayAddress, FileError> {
        let port = u16::try_from(self.port).ok().filter(|port| *port > 0);
        Ok(GatewayAddress {
            port: port.ok_or(FileError::Port(self.port))?,
            tls: self.tls,
            key_file: self.api_key_file,
        })
    }
}

fn file_size(size: i64) -> Result<u16, FileError> {
    let valid = u16::try_from(size).ok();
    let valid = valid.filter(|size| FILE_SIZES.contains(size));
    valid.ok_or(FileError::MaxFile(size))
}

fn listen(field: &'static str, value: String) -> Result<SocketAddr, FileError> {
    value
        .parse()
        .map_err(|_| FileError::Listen { field, value })
}

/// Reads a file with one profile, in YAML or JSON, and checks its fields. Returns the text of a map with this profile
/// under the name [`PROFILE_NAME`], as the controller publishes it.
pub(crate) fn read_profile(path: &Path) -> Result<String, FileError> {
    let text = read(path)?;
    let profile: serde_json::Value = parse(&text, path)?;
    Profile::check(&profile).map_err(|reason| FileError::Parse {
        path: path.to_owned(),
        source: reason.into(),
    })?;
    Ok(serde_json::json!({ PROFILE_NAME: profile }).to_string())
}

/// Parses YAML or JSON. The errors are in words for those who write the file, and not for programmers.
fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, FileError> {
    // An excerpt of the source has several lines.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| FileError::Parse {
        path: path.to_owned(),
        source: error.render_with_formatter(&UserMessageFormatter).into(),
    })
}

fn read(path: &Path) -> Result<String, FileError> {
    stoker_process::read_text(path, FILE_BYTES).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })
}

fn state() -> PathBuf {
    "/var/lib/stoker-agent".into()
}

fn name() -> String {
    "gateway".to_owned()
}

fn interval() -> String {
    "60s".to_owned()
}

fn gateway_port() -> i64 {
    8088
}

#[cfg(test)]
mod tests;
