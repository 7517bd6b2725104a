//! What the flags mean, after everything that can be wrong with them was said.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::auth::AuthConfig;
use crate::cli::RunFlags;
use crate::plugin::{Limits, SettingsSource};
use crate::receiver::Bounds;
use crate::secrets::SecretSource;

/// The largest body that may be allowed: each request holds one in memory.
const MAX_BODY_LIMIT: usize = 64 << 20;

/// The largest plugin that may be allowed: compiling takes memory in proportion.
const MAX_PLUGIN_LIMIT: u64 = 64 << 20;

/// What `stoker run` works with.
#[derive(Debug, Clone, Default)]
pub struct HostConfig {
    /// The namespace whose objects are followed; none for all.
    pub namespace: Option<String>,
    /// Where webhooks come in; none where the receiver is off.
    pub receiver: Option<SocketAddr>,
    /// Where the platform asks; none where nobody does.
    pub probes: Option<SocketAddr>,
    /// Where metrics are read; none where nobody does.
    pub metrics: Option<SocketAddr>,
    /// The directories of drop-in plugins.
    pub plugin_directories: Vec<PathBuf>,
    /// Whether the ConfigMaps of the own namespace are followed for plugins.
    pub watches_plugin_maps: bool,
    /// What operators say of the plugins.
    pub plugin_settings: SettingsSource,
    /// The secrets of the senders.
    pub auth: AuthConfig,
    /// How much of a delivery is taken.
    pub bounds: Bounds,
    /// The namespace that this runs in; none where only the kubeconfig may tell.
    pub own_namespace: Option<String>,
    /// The name of this replica in the election of the one that reconciles; none where it is alone.
    pub identity: Option<String>,
}

/// Why flags mean nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not an address to listen on.
    #[error("{flag} {text:?} is not an address: use PORT, :PORT or IP:PORT, or 0 for none")]
    Address {
        /// The flag.
        flag: &'static str,
        /// What was given.
        text: String,
    },
    /// Two sources of one secret.
    #[error("both {file} and the environment variable {variable} are set: use one of them")]
    TwoSecrets {
        /// The flag of the file.
        file: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// A limit that protects nothing, or lets nothing in.
    #[error("--plugin-max-size {bytes} is not between 1024 and {limit} bytes")]
    PluginMaxSize {
        /// What was given.
        bytes: u64,
        /// The largest that is taken.
        limit: u64,
    },
    /// A limit that protects nothing.
    #[error("--max-body {bytes} is not between 1 and {limit} bytes")]
    MaxBody {
        /// What was given.
        bytes: usize,
        /// The largest that is taken.
        limit: usize,
    },
}

impl TryFrom<RunFlags> for HostConfig {
    type Error = ConfigError;

    fn try_from(flags: RunFlags) -> Result<Self, ConfigError> {
        if !(1..=MAX_BODY_LIMIT).contains(&flags.max_body) {
            return Err(ConfigError::MaxBody {
                bytes: flags.max_body,
                limit: MAX_BODY_LIMIT,
            });
        }
        let receiver = (flags.webhook_receiver_port != 0)
            .then(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, flags.webhook_receiver_port)));
        Ok(Self {
            namespace: set(flags.watch_namespace),
            receiver,
            probes: address(
                "--health-probe-bind-address",
                &flags.health_probe_bind_address,
            )?,
            metrics: address("--metrics-bind-address", &flags.metrics_bind_address)?,
            plugin_directories: flags.plugin_dir,
            watches_plugin_maps: flags.plugin_watch_configmaps,
            plugin_settings: SettingsSource {
                file: flags.plugin_settings,
                limits: plugin_limits(flags.plugin_max_size)?,
            },
            auth: AuthConfig {
                hmac: secret(
                    flags.webhook_hmac_secret,
                    flags.webhook_hmac_secret_file,
                    ("--webhook-hmac-secret-file", "WEBHOOK_HMAC_SECRET"),
                )?,
                bearer: secret(
                    flags.webhook_bearer_token,
                    flags.webhook_bearer_token_file,
                    ("--webhook-bearer-token-file", "WEBHOOK_BEARER_TOKEN"),
                )?,
            },
            bounds: Bounds {
                body_bytes: flags.max_body,
                ..Bounds::default()
            },
            own_namespace: set(flags.pod_namespace),
            identity: flags.leader_elect.then(|| {
                set(flags.pod_name).unwrap_or_else(|| format!("stoker-{}", uuid::Uuid::new_v4()))
            }),
        })
    }
}

/// What is set to nothing is not set.
fn set(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn plugin_limits(component_bytes: u64) -> Result<Limits, ConfigError> {
    if !(1024..=MAX_PLUGIN_LIMIT).contains(&component_bytes) {
        return Err(ConfigError::PluginMaxSize {
            bytes: component_bytes,
            limit: MAX_PLUGIN_LIMIT,
        });
    }
    Ok(Limits {
        component_bytes,
        ..Limits::default()
    })
}

/// An address as existing installations write it: `0` is off, `:8081` and `8081` are all addresses of the machine, which
/// is `[::]` and takes IPv4 as well.
fn address(flag: &'static str, text: &str) -> Result<Option<SocketAddr>, ConfigError> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    let port = text.strip_prefix(':').unwrap_or(text);
    let address = match port.parse::<u16>() {
        Ok(port) => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        Err(_) => text.parse().ok(),
    };
    address.map(Some).ok_or_else(|| ConfigError::Address {
        flag,
        text: text.to_owned(),
    })
}

fn secret(
    inline: Option<String>,
    file: Option<PathBuf>,
    (flag, variable): (&'static str, &'static str),
) -> Result<Option<SecretSource>, ConfigError> {
    match (inline, file) {
        (Some(_), Some(_)) => Err(ConfigError::TwoSecrets {
            file: flag,
            variable,
        }),
        (Some(text), None) => Ok(Some(SecretSource::Inline(text))),
        (None, Some(path)) => Ok(Some(SecretSource::File(path))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_existing_installations_write_them() {
        let parse =
            |text| address("--x", text).map(|address| address.map(|address| address.to_string()));
        assert_eq!(parse("0").unwrap(), None);
        assert_eq!(parse(":8081").unwrap().unwrap(), "[::]:8081");
        assert_eq!(parse("8081").unwrap().unwrap(), "[::]:8081");
        assert_eq!(parse("0.0.0.0:8081").unwrap().unwrap(), "0.0.0.0:8081");
        assert_eq!(parse("127.0.0.1:8081").unwrap().unwrap(), "127.0.0.1:8081");
        assert_eq!(parse("[::]:8081").unwrap().unwrap(), "[::]:8081");
        assert!(parse("localhost").is_err() && parse(":x").is_err() && parse(":70000").is_err());
    }

    #[test]
    fn a_secret_has_one_source() {
        let names = ("--file", "VARIABLE");
        assert!(secret(None, None, names).unwrap().is_none());
        assert!(secret(Some("x".into()), Some("/f".into()), names).is_err());
        // Set but empty is a source: the door closes rather than opens.
        assert!(matches!(
            secret(Some(String::new()), None, names).unwrap(),
            Some(SecretSource::Inline(_))
        ));
    }
}
