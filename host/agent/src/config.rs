//! The settings of the sidecar, from the environment variables that the injection sets.

use std::path::PathBuf;
use std::time::Duration;

use stoker_api::names::{DEFAULT_PROFILE, variable};

use crate::credentials::CredentialFiles;
use crate::gateway::GatewayAddress;

/// The time between two checks of a gateway whose profile and environment name none.
const SYNC_PERIOD: Duration = Duration::from_secs(30);
/// The longest time between two checks. A longer one would be no different, and its end could not be computed.
pub(crate) const LONGEST_PERIOD: Duration = Duration::from_hours(24);
/// The sizes of the largest file that can be set, in MiB.
pub(crate) const FILE_SIZES: std::ops::RangeInclusive<u16> = 1..=512;
/// The port of a gateway whose object names none.
const GATEWAY_PORT: u16 = 8088;

/// The reason why the environment is unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is missing or empty.
    #[error("{0} env var is required{advice}", advice = advice(.0))]
    Missing(&'static str),
    /// The port of the gateway is not a port.
    #[error("GATEWAY_PORT is {0:?}, and not a port")]
    Port(String),
    /// The size of the largest file is not one that can be set.
    #[error("MAX_FILE_MIB is {0:?}, and not a number in the range of 1 to 512")]
    MaxFile(String),
}

/// The settings of an agent beside a gateway in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidecarConfig {
    /// The name of the `GatewaySync`.
    pub object: String,
    /// The namespace of the pod.
    pub pod_namespace: String,
    /// The namespace of the `GatewaySync`.
    pub namespace: String,
    /// The name of the pod. It may be empty.
    pub pod_name: String,
    /// The name of the gateway, under which the agent reports.
    pub gateway_name: String,
    /// The name of the profile.
    pub profile: String,
    /// The directory of the agent: the objects of the repository, and what is on the gateway.
    pub state: PathBuf,
    /// The directory of the gateway.
    pub data: PathBuf,
    /// The gateway's API.
    pub gateway: GatewayAddress,
    /// The credentials for the repository.
    pub credentials: CredentialFiles,
    /// The time between two checks, if the profile does not set it.
    pub sync_period: Duration,
    /// The size of the largest file that is fetched, in MiB, or `None` for the one that the memory allows.
    pub max_file_mib: Option<u16>,
}

impl SidecarConfig {
    /// Reads the variables. An empty variable counts as missing.
    ///
    /// # Errors
    ///
    /// Fails if `CR_NAME` or `POD_NAMESPACE` is missing, or if the port or the size of the largest file is invalid.
    pub fn from_env(read: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str| read(name).filter(|text| !text.is_empty());
        let path = |name: &str| text(name).map(PathBuf::from);
        let required = |name: &'static str| text(name).ok_or(ConfigError::Missing(name));
        let object = required(variable::CR_NAME)?;
        let pod_namespace = required(variable::POD_NAMESPACE)?;
        let pod_name = text(variable::POD_NAME).unwrap_or_default();
        let port = text(variable::GATEWAY_PORT).map_or(Ok(GATEWAY_PORT), |text| {
            text.trim().parse().map_err(|_| ConfigError::Port(text))
        })?;
        let seconds = text(variable::SYNC_PERIOD).and_then(|text| text.parse().ok());
        let max_file = text(variable::MAX_FILE_MIB).map(|text| {
            let size = text.trim().parse().ok();
            let size = size.filter(|size| FILE_SIZES.contains(size));
            size.ok_or(ConfigError::MaxFile(text))
        });
        Ok(Self {
            object,
            namespace: text(variable::CR_NAMESPACE).unwrap_or_else(|| pod_namespace.clone()),
            pod_namespace,
            gateway_name: text(variable::GATEWAY_NAME).unwrap_or_else(|| pod_name.clone()),
            pod_name,
            profile: text(variable::PROFILE).unwrap_or_else(|| DEFAULT_PROFILE.to_owned()),
            state: path(variable::REPO_PATH).unwrap_or_else(|| "/repo".into()),
            data: path(variable::DATA_PATH).unwrap_or_else(|| "/ignition-data".into()),
            gateway: GatewayAddress {
                port,
                tls: text(variable::GATEWAY_TLS).is_some_and(|text| is_true(&text)),
                key_file: path(variable::API_KEY_FILE),
            },
            credentials: CredentialFiles {
                token: path(variable::GIT_TOKEN_FILE),
                ssh_key: path(variable::GIT_SSH_KEY_FILE),
                known_hosts: path(variable::GIT_KNOWN_HOSTS_FILE),
            },
            sync_period: seconds
                .filter(|seconds| *seconds > 0)
                .map_or(SYNC_PERIOD, Duration::from_secs)
                .min(LONGEST_PERIOD),
            max_file_mib: max_file.transpose()?,
        })
    }
}

/// Returns what to do if the agent was started by hand, without the variables of a pod.
fn advice(missing: &str) -> &'static str {
    match missing {
        variable::CR_NAME => "; without a cluster, use `stoker-agent once` or `stoker-agent run`",
        _ => "",
    }
}

/// Returns whether a text means true, as Go parses it.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<SidecarConfig, ConfigError> {
        SidecarConfig::from_env(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const REQUIRED: [(&str, &str); 2] = [("CR_NAME", "plant"), ("POD_NAMESPACE", "edge")];

    #[test]
    fn the_defaults_are_those_of_the_go_agent() {
        let config = config(&[REQUIRED[0], REQUIRED[1], ("POD_NAME", "gw-0")]).unwrap();
        assert_eq!(config.namespace, "edge");
        assert_eq!(config.gateway_name, "gw-0");
        assert_eq!(config.profile, "default");
        assert_eq!(config.state, PathBuf::from("/repo"));
        assert_eq!(config.data, PathBuf::from("/ignition-data"));
        assert_eq!(config.gateway.port, 8088);
        assert!(!config.gateway.tls);
        assert_eq!(config.gateway.key_file, None);
        assert_eq!(config.sync_period, Duration::from_secs(30));
        assert_eq!(config.max_file_mib, None);
        assert_eq!(config.credentials, CredentialFiles::default());
    }

    #[test]
    fn the_variables_of_an_injected_pod_are_read() {
        let config = config(&[
            ("POD_NAME", "gw-0"),
            ("POD_NAMESPACE", "edge"),
            ("CR_NAME", "plant"),
            ("CR_NAMESPACE", "plants"),
            ("GATEWAY_NAME", "blue"),
            ("PROFILE", "line"),
            ("REPO_PATH", "/r"),
            ("DATA_PATH", "/usr/local/bin/ignition/data"),
            ("GATEWAY_PORT", "8043"),
            ("GATEWAY_TLS", "true"),
            ("API_KEY_FILE", "/etc/stoker/api-key/apiKey"),
            ("GIT_SSH_KEY_FILE", "/k"),
            ("GIT_KNOWN_HOSTS_FILE", "/h"),
            ("SYNC_PERIOD", "45"),
        ])
        .unwrap();
        assert_eq!(config.namespace, "plants");
        assert_eq!(config.pod_namespace, "edge");
        assert_eq!(config.gateway_name, "blue");
        assert_eq!(config.profile, "line");
        assert_eq!(config.gateway.port, 8043);
        assert!(config.gateway.tls);
        assert_eq!(config.credentials.ssh_key, Some("/k".into()));
        assert_eq!(config.credentials.known_hosts, Some("/h".into()));
        assert_eq!(config.sync_period, Duration::from_secs(45));
    }

    #[test]
    fn values_are_read_as_the_go_agent_reads_them() {
        for (text, seconds) in [
            ("0", 30),
            ("-5", 30),
            ("1.5", 30),
            ("x", 30),
            ("7", 7),
            ("18446744073709551615", 86_400),
        ] {
            let config = config(&[REQUIRED[0], REQUIRED[1], ("SYNC_PERIOD", text)]).unwrap();
            assert_eq!(config.sync_period.as_secs(), seconds, "{text}");
        }
        for (text, tls) in [
            ("1", true),
            ("t", true),
            ("True", true),
            ("yes", false),
            ("tRUE", false),
        ] {
            let config = config(&[REQUIRED[0], REQUIRED[1], ("GATEWAY_TLS", text)]).unwrap();
            assert_eq!(config.gateway.tls, tls, "{text}");
        }
    }

    #[test]
    fn the_size_of_the_largest_file_is_read() {
        let size = |text| {
            let config = config(&[REQUIRED[0], REQUIRED[1], ("MAX_FILE_MIB", text)]);
            config.map(|config| config.max_file_mib)
        };
        assert_eq!(size("1"), Ok(Some(1)));
        assert_eq!(size("512\n"), Ok(Some(512)));
        assert_eq!(size(""), Ok(None));
        for text in ["513", "0", "10M"] {
            let error = size(text).unwrap_err();
            assert_eq!(error, ConfigError::MaxFile(text.to_owned()));
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = config(&[REQUIRED[1]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "CR_NAME env var is required; without a cluster, use `stoker-agent once` or `stoker-agent run`"
        );
        let error = config(&[REQUIRED[0], ("POD_NAMESPACE", "")]).unwrap_err();
        assert_eq!(error.to_string(), "POD_NAMESPACE env var is required");
        for text in ["0x50", "8088@example.org", "70000"] {
            let error = config(&[REQUIRED[0], REQUIRED[1], ("GATEWAY_PORT", text)]).unwrap_err();
            assert_eq!(error, ConfigError::Port(text.to_owned()));
        }
    }
}
