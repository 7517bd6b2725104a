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

use crate::config::{FILE_SIZES, LONGEST_PERIOD};
use crate::credentials::CredentialFiles;
use crate::gateway::GatewayAddress;
use crate::sync::Profile;

/// The largest file with settings or a profile, in bytes.
const FILE_BYTES: u64 = 1 << 20;
/// The shortest time between two looks at the repository.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
/// The name under which a profile of a file is used.
pub(crate) const PROFILE_NAME: &str = "default";

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
    /// The folder of the gateway.
    pub data: PathBuf,
    /// The folder of the agent.
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
mod tests {
    use super::*;

    const REQUIRED: &str =
        "repo: https://git.example/o/r.git\nref: main\nprofile: /p.yaml\ndata: /data\n";

    #[test]
    fn four_settings_are_enough() {
        let config = MachineConfig::parse(REQUIRED).unwrap();
        assert_eq!(config.git_ref.as_str(), "main");
        assert_eq!(config.state, PathBuf::from("/var/lib/stoker-agent"));
        assert_eq!(config.interval, Duration::from_mins(1));
        assert_eq!(config.gateway, None);
        assert_eq!(config.credentials, CredentialFiles::default());
    }

    #[test]
    fn every_setting_is_read() {
        let more = "state: /s\nname: blue\nlabels: {site: north}\ninterval: 5m\nmaxFileMib: 7\n\
                    auth: {sshKeyFile: /k, knownHostsFile: /h}\n\
                    gateway: {port: 8043, tls: true, apiKeyFile: /a}\n\
                    health: 127.0.0.1:8082\nmetrics: 127.0.0.1:8083\n";
        let config = MachineConfig::parse(&format!("{REQUIRED}{more}")).unwrap();
        assert_eq!(config.name, "blue");
        assert_eq!(config.labels["site"], "north");
        assert_eq!(config.interval, Duration::from_mins(5));
        assert_eq!(config.max_file_mib, Some(7));
        assert_eq!(config.credentials.known_hosts, Some("/h".into()));
        let gateway = config.gateway.unwrap();
        assert_eq!((gateway.port, gateway.tls), (8043, true));
        assert_eq!(gateway.key_file, Some("/a".into()));
        assert_eq!(config.health.unwrap().port(), 8082);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (more, expected) in [
            (
                "interval: 1s\n",
                r#"interval "1s" is not a duration of 5 s or more"#,
            ),
            (
                "interval: soon\n",
                r#"interval "soon" is not a duration of 5 s or more"#,
            ),
            (
                "auth: {tokenFile: /t, sshKeyFile: /k}\n",
                "auth has a tokenFile and an sshKeyFile",
            ),
            ("portt: 1\n", " is invalid"),
            (
                "maxFileMib: 513\n",
                "maxFileMib 513 is not in the range of 1 to 512",
            ),
            (
                "maxFileMib: 99999\n",
                "maxFileMib 99999 is not in the range of 1 to 512",
            ),
            (
                "gateway: {port: 99999}\n",
                "gateway.port 99999 is not in the range of 1 to 65535",
            ),
            (
                "health: localhost:8082\n",
                r#"health "localhost:8082" is not an IP address with a port"#,
            ),
            (
                "metrics: 8083\n",
                r#"metrics "8083" is not an IP address with a port"#,
            ),
        ] {
            let error = MachineConfig::parse(&format!("{REQUIRED}{more}")).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let error = MachineConfig::parse(&format!("{REQUIRED}portt: 1\n")).unwrap_err();
        let error = stoker_report::chain(&error).to_string();
        assert!(error.contains("portt"), "{error}");
        for (settings, expected) in [
            (REQUIRED.replace("ref: main\n", ""), "missing field `ref`"),
            (format!("{REQUIRED}labels: [a]\n"), "expected"),
        ] {
            let error = MachineConfig::parse(&settings).unwrap_err();
            let error = stoker_report::chain(&error).to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("-->") && !error.contains('|'), "{error}");
        }
        let error = MachineConfig::parse(&REQUIRED.replace("ref: main", "ref: a..b")).unwrap_err();
        assert_eq!(error.to_string(), "ref is invalid");
    }

    #[test]
    fn a_profile_is_read_from_yaml_and_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile");
        let expected = r#"{"default":{"mappings":[{"destination":"b","source":"a"}]}}"#;
        for text in [
            "mappings:\n- source: a\n  destination: b\n",
            r#"{"mappings": [{"source": "a", "destination": "b"}]}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_profile(&path).unwrap(), expected);
        }
        for (text, expected) in [
            ("- a\n", "it is not a profile"),
            (
                "vars: {}\n",
                "it is not a profile, which has the key mappings",
            ),
            (
                "mappings: [{source: a, dest: b}]\n",
                "mappings[0]: missing field `destination`; mappings[0].dest is not a field of a profile",
            ),
            (
                "mappings: []\nvars: {port: 8088}\n",
                "vars.port: invalid type: integer `8088`, expected a string",
            ),
            (
                "mappings: []\nmax_deletes: 0\n",
                "max_deletes is not a field of a profile",
            ),
            (
                "mappings: []\nmaxDeletes: -1\n",
                "maxDeletes: -1 is less than 0",
            ),
            (
                "mappings: []\nmappings: []\n",
                "duplicate mapping key `mappings` is not allowed",
            ),
            ("mappings: []\n---\nmappings: []\n", "single YAML document"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = stoker_report::chain(&read_profile(&path).unwrap_err()).to_string();
            assert!(error.starts_with(path.to_str().unwrap()), "{error}");
            assert!(error.contains(expected), "{error}");
            assert!(
                !error.contains("Options") && !error.contains("from_str"),
                "{error}"
            );
        }
    }
}
