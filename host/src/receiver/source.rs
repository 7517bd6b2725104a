//! The address from which a delivery comes, and the addresses that are allowed.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies append the address of their client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a network: use an address, or an address and a prefix length such as 192.0.2.0/24"
)]
pub struct NetworkError(String);

/// A set of networks. The default contains no address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Parses networks in CIDR notation, or single addresses. IPv6 networks of mapped IPv4 addresses
    /// (`::ffff:192.0.2.0/120`) are IPv4 networks.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, NetworkError> {
        let networks = texts.iter().map(|text| network(text.as_ref().trim()));
        Ok(Self(networks.collect::<Result<_, _>>()?))
    }

    /// Returns whether the address is in one of the networks.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The length of the prefix of IPv6 addresses that are mapped IPv4 addresses (RFC 4291 §2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

fn network(text: &str) -> Result<IpNet, NetworkError> {
    let network = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| NetworkError(text.to_owned()))?;
    let address = network.addr().to_canonical();
    match network.prefix_len().checked_sub(MAPPED_PREFIX) {
        Some(length) if network.addr().is_ipv6() && address.is_ipv4() => {
            IpNet::new(address, length).map_err(|_| NetworkError(text.to_owned()))
        }
        _ => Ok(network),
    }
}

/// Returns the address of the sender.
///
/// Everybody can send `X-Forwarded-For`, so it is used only if the peer is a trusted proxy. Each proxy appends the
/// address of its client. Therefore, the right-most address that is not a trusted proxy is the sender's, and everything
/// to the left of it is only the sender's claim. If an entry is not an address, the proxy that sent it is the source.
pub(super) fn source(peer: SocketAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let mut source = peer.ip().to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut entries = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    while trusted.contain(source) {
        match entries.next().and_then(forwarded) {
            Some(address) => source = address,
            None => break,
        }
    }
    source
}

/// Parses an entry of `X-Forwarded-For`. Some proxies append the port.
fn forwarded(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry
        .strip_prefix('[')
        .and_then(|entry| entry.strip_suffix(']'))
        .unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::parse(texts).unwrap()
    }

    fn source_of(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let trusted = networks(&["10.0.0.0/8", "fd00::/8"]);
        source(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_name_the_source() {
        for (peer, forwarded, expected) in [
            ("192.0.2.1:5", &[][..], "192.0.2.1"),
            ("192.0.2.1:5", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1:5", &["198.51.100.7"], "198.51.100.7"),
            (
                "[::ffff:10.0.0.1]:5",
                &["::ffff:198.51.100.7"],
                "198.51.100.7",
            ),
            ("[fd00::1]:5", &["2001:db8::7"], "2001:db8::7"),
            // The sender's own claim is to the left of what the proxies append.
            (
                "10.0.0.1:5",
                &["203.0.113.9, 198.51.100.7, 10.2.3.4"],
                "198.51.100.7",
            ),
            (
                "10.0.0.1:5",
                &["203.0.113.9", "198.51.100.7,10.2.3.4"],
                "198.51.100.7",
            ),
            ("10.0.0.1:5", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1:5", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1:5", &["[2001:db8::7]"], "2001:db8::7"),
            // What no proxy would write does not name a source.
            ("10.0.0.1:5", &["198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1:5", &["198.51.100.7, , 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1:5", &[""], "10.0.0.1"),
            ("10.0.0.1:5", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(source_of(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_network_contains_mapped_addresses() {
        let contains =
            |network: &str, address: &str| networks(&[network]).contain(address.parse().unwrap());
        assert!(contains("192.0.2.0/24", "::ffff:192.0.2.9"));
        assert!(contains("::ffff:192.0.2.0/120", "192.0.2.9"));
        assert!(!contains("::ffff:192.0.2.0/120", "192.0.3.9"));
        assert!(contains("192.0.2.9", "192.0.2.9") && !contains("192.0.2.9", "192.0.2.8"));
        assert!(contains(" 2001:db8::/32", "2001:db8::1") && !contains("0.0.0.0/0", "::1"));
        assert!(!Networks::default().contain("192.0.2.9".parse().unwrap()));
    }

    #[test]
    fn other_texts_are_not_networks() {
        for text in ["", "x", "192.0.2.0/33", "192.0.2/24", "example.com", "*"] {
            let error = Networks::parse(&["192.0.2.1", text]).unwrap_err();
            assert!(error.to_string().contains("not a network"), "{text}");
        }
    }
}
