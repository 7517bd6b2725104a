//! The configuration of `stoker run`, converted from the flags. Invalid flags are errors.

mod error;

use std::ffi::OsString;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use stoker_api::SecretKey;
use stoker_api::detection::ObjectKey;
use stoker_git::{AllowedHosts, HostPattern};

pub use error::ConfigError;

use crate::auth::AuthConfig;
use crate::cli::{
    AgentRoleKind, CERT_KEY, CERT_NAME, DEFAULT_AGENT_IMAGE, RunFlags, plugin_directories,
};
use crate::controller::AgentRole;
use crate::plugin::{Limits, SettingsSource};
use crate::receiver::{Bounds, Networks};
use crate::secrets::SecretSource;
use crate::server::TlsFiles;

/// The upper bound of `--max-body`. Each request holds its body in memory.
const MAX_BODY_LIMIT: usize = 64 << 20;

/// The upper bound of `--max-body-memory`.
const MAX_BODY_MEMORY_LIMIT: usize = 1 << 30;

/// The upper bound of `--webhook-rate`.
const MAX_RATE: u32 = 1_000_000;

/// The upper bound of `--plugin-max-size`. The memory for compiling grows with the size.
const MAX_PLUGIN_LIMIT: u64 = 64 << 20;

/// The default key of `--webhook-secret-name`. The user guide uses it.
const SECRET_KEY: &str = "webhook-secret";

/// The configuration of `stoker run`.
#[derive(Debug, Clone, Default)]
pub struct HostConfig {
    /// The namespace whose objects are reconciled, or `None` for all namespaces.
    pub namespace: Option<String>,
    /// The role that the controller binds agents to, or `None` if they are bound by hand.
    pub agent_role: Option<AgentRole>,
    /// The address of the receiver, or `None` if it is disabled.
    pub receiver: Option<SocketAddr>,
    /// The address of the probes and of `/plugins`, or `None` if they are disabled.
    pub probes: Option<SocketAddr>,
    /// The address of the metrics, or `None` if they are disabled.
    pub metrics: Option<SocketAddr>,
    /// The directories of drop-in plugins.
    pub plugin_directories: Vec<PathBuf>,
    /// Whether plugins are loaded from the ConfigMaps of the own namespace.
    pub watches_plugin_maps: bool,
    /// The limits and settings of the plugins.
    pub plugin_settings: SettingsSource,
    /// The secrets that authenticate webhooks.
    pub auth: AuthConfig,
    /// The certificate and the key of the receiver, or `None` for a receiver without TLS.
    pub tls: Option<TlsFiles>,
    /// The webhook that injects agents, or `None` if it is disabled.
    pub injection: Option<InjectionConfig>,
    /// The bounds of a delivery.
    pub bounds: Bounds,
    /// The git servers that may be contacted.
    pub git_hosts: AllowedHosts,
    /// The own namespace, or `None` to use the one of the kubeconfig or of the pod.
    pub own_namespace: Option<String>,
    /// The name of this replica in the leader election, or `None` without an election.
    pub identity: Option<String>,
}

/// The webhook that injects agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectionConfig {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The source of the certificate.
    pub certificate: CertificateConfig,
    /// The image of agents whose object names none.
    pub agent_image: String,
}

/// The source of the certificate of the injection webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateConfig {
    /// Files that somebody else keeps.
    Files(TlsFiles),
    /// A certificate of its own.
    Own {
        /// The Secret in the own namespace.
        secret: String,
        /// The DNS names in the certificate.
        names: Vec<String>,
        /// The `MutatingWebhookConfiguration` with the `caBundle`, or `None` if others keep it.
        configuration: Option<String>,
    },
}

impl TryFrom<RunFlags> for HostConfig {
    type Error = ConfigError;

    fn try_from(flags: RunFlags) -> Result<Self, ConfigError> {
        let bounds = bounds(&flags)?;
        let injection = injection(&flags)?;
        let auth = auth(&flags)?;
        let receiver = (flags.webhook_receiver_port != 0)
            .then(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, flags.webhook_receiver_port)));
        Ok(Self {
            namespace: set(flags.watch_namespace),
            agent_role: flags
                .auto_bind_agent_rbac
                .then(|| flags.agent_role_kind.into()),
            receiver,
            probes: address(
                "--health-probe-bind-address",
                &flags.health_probe_bind_address,
            )?,
            metrics: address("--metrics-bind-address", &flags.metrics_bind_address)?,
            plugin_directories: plugin_directories(flags.plugin_dir),
            watches_plugin_maps: flags.plugin_watch_configmaps,
            plugin_settings: SettingsSource {
                file: flags.plugin_settings,
                limits: plugin_limits(flags.plugin_max_size)?,
            },
            auth,
            tls: tls_files(flags.webhook_tls_cert, flags.webhook_tls_key)?,
            injection,
            bounds,
            git_hosts: git_hosts(flags.git_allowed_hosts.as_deref())?,
            own_namespace: set(flags.pod_namespace),
            identity: flags.leader_elect.then(|| {
                set(flags.pod_name).unwrap_or_else(|| format!("stoker-{}", uuid::Uuid::new_v4()))
            }),
        })
    }
}

impl From<AgentRoleKind> for AgentRole {
    fn from(kind: AgentRoleKind) -> Self {
        match kind {
            AgentRoleKind::ClusterRole => Self::ClusterRole,
            AgentRoleKind::Role => Self::Role,
        }
    }
}

/// Returns the secrets that authenticate webhooks.
fn auth(flags: &RunFlags) -> Result<AuthConfig, ConfigError> {
    Ok(AuthConfig {
        hmac: secret(
            (
                flags.webhook_hmac_secret.clone(),
                flags.webhook_hmac_secret_previous.clone(),
            ),
            flags.webhook_hmac_secret_file.clone(),
            ("--webhook-hmac-secret-file", "WEBHOOK_HMAC_SECRET"),
        )?,
        bearer: secret(
            (
                flags.webhook_bearer_token.clone(),
                flags.webhook_bearer_token_previous.clone(),
            ),
            flags.webhook_bearer_token_file.clone(),
            ("--webhook-bearer-token-file", "WEBHOOK_BEARER_TOKEN"),
        )?,
        stored: flags
            .webhook_secret_name
            .as_deref()
            .map(stored_secret)
            .transpose()?,
    })
}

/// Returns the bounds of a delivery.
fn bounds(flags: &RunFlags) -> Result<Bounds, ConfigError> {
    if !(1..=MAX_BODY_LIMIT).contains(&flags.max_body) {
        return Err(ConfigError::MaxBody {
            bytes: flags.max_body,
            limit: MAX_BODY_LIMIT,
        });
    }
    let proxies = networks("--trusted-proxies", flags.trusted_proxies.as_deref())?;
    Ok(Bounds {
        body_bytes: flags.max_body,
        body_memory: body_memory(flags.max_body_memory, flags.max_body)?,
        object_rate: object_rate(flags.webhook_rate)?,
        trusted_proxies: proxies.unwrap_or_default(),
        allowed_sources: networks(
            "--webhook-allowed-sources",
            flags.webhook_allowed_sources.as_deref(),
        )?,
        ..Bounds::default()
    })
}

/// Treats an empty value as absent.
fn set(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Treats an empty path as absent.
pub(crate) fn set_path(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
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

/// Parses an address in the forms of the Go operator.
///
/// `0` and the empty text disable the server. `:8081` and `8081` mean all addresses, which is `[::]` and includes
/// IPv4.
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

/// Returns the entries of a list. An empty list is absent, but a blank entry is returned, so that it is refused.
fn entries(list: Option<&str>) -> Option<Vec<&str>> {
    let list = list.filter(|list| !list.is_empty())?;
    Some(list.split(',').map(str::trim).collect())
}

/// Parses a list of networks.
fn networks(flag: &'static str, list: Option<&str>) -> Result<Option<Networks>, ConfigError> {
    let networks = entries(list).map(|texts| Networks::parse(&texts));
    networks
        .transpose()
        .map_err(|source| ConfigError::Networks { flag, source })
}

/// Parses the list of git servers.
fn git_hosts(list: Option<&str>) -> Result<AllowedHosts, ConfigError> {
    let Some(texts) = entries(list) else {
        return Ok(AllowedHosts::default());
    };
    let patterns = texts.iter().map(|text| text.parse::<HostPattern>());
    let patterns = patterns.collect::<Result<_, _>>();
    patterns
        .map(AllowedHosts::new)
        .map_err(ConfigError::GitHosts)
}

fn body_memory(bytes: Option<usize>, body: usize) -> Result<usize, ConfigError> {
    let bytes = bytes.unwrap_or_else(|| Bounds::default().body_memory.max(body));
    if (body..=MAX_BODY_MEMORY_LIMIT).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(ConfigError::MaxBodyMemory { bytes, body })
    }
}

fn object_rate(rate: u32) -> Result<u32, ConfigError> {
    if (1..=MAX_RATE).contains(&rate) {
        Ok(rate)
    } else {
        Err(ConfigError::Rate { rate })
    }
}

fn tls_files(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (None, None) => Ok(None),
        _ => Err(ConfigError::HalfTls),
    }
}

/// Returns the settings of the injection webhook, if one of its certificates is set.
fn injection(flags: &RunFlags) -> Result<Option<InjectionConfig>, ConfigError> {
    let directory = set_path(flags.webhook_cert_path.clone());
    let file = |name: &PathBuf, default| set_path(Some(name.clone())).unwrap_or(default);
    let certificate = match (directory, set(flags.webhook_cert_secret.clone())) {
        (Some(_), Some(_)) => return Err(ConfigError::TwoCertificates),
        (None, None) => return Ok(None),
        (Some(directory), None) => CertificateConfig::Files(TlsFiles {
            certificate: directory.join(file(&flags.webhook_cert_name, CERT_NAME.into())),
            key: directory.join(file(&flags.webhook_cert_key, CERT_KEY.into())),
        }),
        (None, Some(secret)) => own_certificate(flags, secret)?,
    };
    let agent_image = match flags.default_agent_image.trim() {
        "" => DEFAULT_AGENT_IMAGE,
        named => named,
    };
    Ok((flags.webhook_port != 0).then(|| InjectionConfig {
        address: SocketAddr::from((Ipv6Addr::UNSPECIFIED, flags.webhook_port)),
        certificate,
        agent_image: agent_image.to_owned(),
    }))
}

fn own_certificate(flags: &RunFlags, secret: String) -> Result<CertificateConfig, ConfigError> {
    if ObjectKey::new("default", &secret).is_err() {
        return Err(ConfigError::CertificateSecret { text: secret });
    }
    let names = entries(flags.webhook_cert_dns_names.as_deref()).unwrap_or_default();
    let names = names.into_iter().filter(|name| !name.is_empty());
    let names: Vec<_> = names.map(str::to_owned).collect();
    if names.is_empty() {
        return Err(ConfigError::NoCertificateNames);
    }
    Ok(CertificateConfig::Own {
        secret,
        names,
        configuration: set(flags.webhook_configuration.clone()),
    })
}

fn secret(
    (inline, previous): (Option<OsString>, Option<OsString>),
    file: Option<PathBuf>,
    (flag, variable): (&'static str, &'static str),
) -> Result<Option<SecretSource>, ConfigError> {
    let inline = secret_text(inline, variable.to_owned())?;
    let previous = secret_text(previous, format!("{variable}_PREVIOUS"))?;
    match (inline, set(previous), file) {
        (Some(_), _, Some(_)) => Err(ConfigError::TwoSecrets {
            file: flag,
            variable,
        }),
        // An empty secret is an error, and its previous value does not repair it.
        (Some(text), Some(previous), None) if !text.trim().is_empty() => {
            Ok(Some(SecretSource::Inline(format!("{text}\n{previous}"))))
        }
        (Some(text), _, None) => Ok(Some(SecretSource::Inline(text))),
        (None, Some(_), _) => Err(ConfigError::OnlyPreviousSecret { variable }),
        (None, None, file) => Ok(file.map(SecretSource::File)),
    }
}

/// Returns the text of a secret in the environment. A value that is not text is an error: it does not switch the
/// authentication off.
fn secret_text(value: Option<OsString>, variable: String) -> Result<Option<String>, ConfigError> {
    let text = value.map(OsString::into_string).transpose();
    text.map_err(|_| ConfigError::SecretNotUtf8 { variable })
}

/// Parses the name of a Secret, and a key after a slash.
fn stored_secret(text: &str) -> Result<SecretKey, ConfigError> {
    let (name, key) = text.split_once('/').unwrap_or((text, SECRET_KEY));
    if key.is_empty() || ObjectKey::new("default", name).is_err() {
        let text = text.to_owned();
        return Err(ConfigError::SecretName { text });
    }
    Ok(SecretKey {
        name: name.to_owned(),
        key: key.to_owned(),
    })
}

#[cfg(test)]
mod tests;
