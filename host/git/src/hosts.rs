//! The servers that may be contacted: the hosts that the operator allows, and the addresses that are refused because
//! they belong to the machine's surroundings.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::error::GitError;

/// The metadata services of clouds at IPv6 addresses that are not link-local: AWS, the identities of pods in EKS, and
/// Google Cloud. They give credentials of the machine or of the pod to every program on it.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];
/// Those at IPv4 addresses: Alibaba Cloud, the host of virtual machines in Azure, and Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// A host, or all hosts below a domain, with an optional port: `git.example.com`, `*.example.com`, `10.0.0.7:8443`,
/// `[fd00::7]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    name: String,
    is_domain: bool,
    port: Option<u16>,
}

/// The text is not a pattern of hosts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a host: use HOST, *.DOMAIN, HOST:PORT or [IPV6]:PORT")]
pub struct HostPatternError {
    text: String,
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || HostPatternError {
            text: text.to_owned(),
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                name: address.to_string(),
                is_domain: false,
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| refuse())?))
            }
            _ => (text, None),
        };
        let (host, is_domain) = match host.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (host, false),
        };
        let name = canonical(host).ok_or_else(refuse)?;
        if is_domain && name.parse::<IpAddr>().is_ok() {
            return Err(refuse());
        }
        Ok(Self {
            name,
            is_domain,
            port,
        })
    }
}

impl HostPattern {
    fn matches(&self, host: &str, port: u16) -> bool {
        let is_named = if self.is_domain {
            host.strip_suffix(self.name.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.name
        };
        is_named && self.port.is_none_or(|wanted| wanted == port)
    }
}

/// Returns the form of a host that is compared: a name in lower case and without the final dot, or an IP address without
/// brackets.
fn canonical(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    match Host::parse(host).ok()? {
        Host::Domain(name) if name.is_empty() || name.contains('*') => None,
        Host::Domain(name) => Some(name),
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
    }
}

/// The hosts that may be contacted. An empty list allows all hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<HostPattern>);

impl AllowedHosts {
    /// Returns the hosts that match one of the patterns.
    #[must_use]
    pub fn new(patterns: Vec<HostPattern>) -> Self {
        Self(patterns)
    }

    /// Checks the host of an address, and its port. The default port is that of the scheme.
    pub(super) fn check(&self, url: &Url, default_port: u16) -> Result<(), GitError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(default_port);
        let name = canonical(host).unwrap_or_default();
        if !self.0.is_empty() && !self.0.iter().any(|allowed| allowed.matches(&name, port)) {
            return Err(GitError::HostNotAllowed {
                host: super::address::server(url),
            });
        }
        // The other names are checked when they are resolved.
        match name.parse() {
            Ok(address) if !self.permits(&name, address) => Err(GitError::AddressForbidden {
                host: name,
                address,
            }),
            _ => Ok(()),
        }
    }

    /// Returns whether a host may be contacted at an address. An address of the machine's surroundings is permitted if
    /// the list contains it or the host. A pattern of a domain does not suffice, because whoever controls a name below
    /// the domain chooses its address.
    fn permits(&self, host: &str, address: IpAddr) -> bool {
        let is_named = |name: &str| {
            self.0
                .iter()
                .any(|allowed| !allowed.is_domain && allowed.name == name)
        };
        !is_surroundings(address) || is_named(host) || is_named(&address.to_string())
    }

    /// Returns the addresses of a host that may be contacted.
    pub(super) async fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
        let name = canonical(host).unwrap_or_default();
        let permitted: Vec<_> = found
            .iter()
            .copied()
            .filter(|address| self.permits(&name, address.ip()))
            .collect();
        match (permitted.is_empty(), found.first()) {
            (true, Some(address)) => Err(ResolveError::Forbidden(Forbidden {
                host: host.to_owned(),
                address: address.ip(),
            })),
            (true, None) => Err(io::Error::other("the name has no address").into()),
            (false, _) => Ok(permitted),
        }
    }
}

/// Why a host has no address that may be contacted.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    /// The name was not resolved.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// All its addresses are refused.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// The address of a host is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forbidden {
    pub(super) host: String,
    pub(super) address: IpAddr,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the address {} is refused", self.address)
    }
}

impl std::error::Error for Forbidden {}

/// Returns whether an address is one that a git server does not have: a link-local one, that of a metadata service, or
/// none at all.
fn is_surroundings(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[0] == 0 || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            let v4 = v6.to_ipv4_mapped().or_else(|| translated(v6));
            v4.is_some_and(|v4| is_surroundings(v4.into()))
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
                || METADATA_V6.contains(&v6)
        }
    }
}

/// Returns the IPv4 address in an address of the well-known prefix for translation, `64:ff9b::/96` (RFC 6052).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else {
        return None;
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// Resolves names for the HTTP client.
#[derive(Debug, Clone)]
pub(super) struct Resolver(pub(super) Arc<AllowedHosts>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = hosts.resolve(name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(patterns: &[&str]) -> AllowedHosts {
        AllowedHosts::new(patterns.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn allows(patterns: &[&str], url: &str) -> bool {
        let url = Url::parse(url).unwrap();
        hosts(patterns).check(&url, 22).is_ok()
    }

    #[test]
    fn a_list_allows_the_hosts_that_it_names() {
        for (pattern, url, expected) in [
            ("git.example.com", "https://git.example.com/r", true),
            ("Git.Example.com.", "https://GIT.example.com./r", true),
            ("git.example.com", "ssh://git@GIT.example.com/r", true),
            ("git.example.com", "https://x.git.example.com/r", false),
            ("git.example.com", "https://git.example.com:8443/r", true),
            ("git.example.com:443", "https://git.example.com/r", true),
            (
                "git.example.com:443",
                "https://git.example.com:8443/r",
                false,
            ),
            ("git.example.com:22", "ssh://git.example.com/r", true),
            ("*.example.com", "https://a.b.example.com/r", true),
            ("*.example.com", "https://example.com/r", false),
            ("*.example.com", "https://badexample.com/r", false),
            ("10.0.0.7", "https://10.0.0.7/r", true),
            ("10.0.0.7", "ssh://10.0.0.7/r", true),
            ("[fd00::7]:8443", "https://[FD00::7]:8443/r", true),
            ("fd00::7", "ssh://[fd00:0::7]/r", true),
        ] {
            assert_eq!(allows(&[pattern], url), expected, "{pattern} {url}");
        }
        assert!(allows(&[], "https://anything.invalid/r"));
        assert!(allows(&["a", "b"], "git://b/r"));
        let error = hosts(&["a"]).check(&Url::parse("https://u:s3cret@b:1/r").unwrap(), 443);
        assert_eq!(
            error.unwrap_err().to_string(),
            "the git host b:1 is not one of the allowed hosts"
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a*b",
            "h:",
            "h:x",
            "h:70000",
            "*.10.0.0.1",
            "[::1",
            "a b",
            "https://h",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_surroundings_are_refused_unless_they_are_named() {
        for (host, is_refused) in [
            ("169.254.169.254", true),
            ("169.254.0.1", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("100.100.100.200", true),
            ("168.63.129.16", true),
            ("192.0.0.192", true),
            ("[fe80::1]", true),
            ("[febf::1]", true),
            ("[fd00:ec2::254]", true),
            ("[fd00:ec2::23]", true),
            ("[fd20:ce::254]", true),
            ("[::ffff:168.63.129.16]", true),
            ("[::]", true),
            ("[::ffff:169.254.169.254]", true),
            ("[64:ff9b::a9fe:a9fe]", true),
            ("127.0.0.1", false),
            ("[::1]", false),
            ("10.0.0.1", false),
            ("[fd00::1]", false),
            ("[fd00:ec2::22]", false),
            ("168.63.129.17", false),
            ("192.0.0.193", false),
            ("[64:ff9b::a00:1]", false),
        ] {
            for scheme in ["https", "ssh"] {
                let url = format!("{scheme}://{host}/r");
                assert_eq!(!allows(&[], &url), is_refused, "{url}");
                assert!(allows(&[host], &url), "{url}");
            }
        }
        // The notations of an IPv4 address that https and the resolver understand.
        for url in [
            "https://0xa9fea9fe/r",
            "https://2852039166/r",
            "https://169.254.43518/r",
        ] {
            assert!(!allows(&[], url), "{url}");
        }
    }

    #[test]
    fn a_pattern_of_a_domain_does_not_permit_addresses_of_the_surroundings() {
        let address = "169.254.169.254".parse().unwrap();
        assert!(!hosts(&["*.example.com"]).permits("git.example.com", address));
        assert!(hosts(&["git.example.com"]).permits("git.example.com", address));
        assert!(hosts(&["*.example.com", "169.254.169.254"]).permits("git.example.com", address));
    }

    #[tokio::test]
    async fn names_are_checked_when_they_are_resolved() {
        // The resolver of the system understands this notation of 169.254.169.254 without a request.
        let error = hosts(&[]).resolve("0xa9fea9fe", 80).await.unwrap_err();
        assert!(matches!(error, ResolveError::Forbidden(_)), "{error}");
        let found = hosts(&[]).resolve("127.0.0.1", 80).await.unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
    }
}
