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

    /// The pattern of `spec.webhook.allowedSources` in the schema of the custom resource.
    fn pattern() -> regex::Regex {
        use kube::CustomResourceExt as _;
        let definition = serde_json::to_value(stoker_api::GatewaySync::crd()).unwrap();
        let items = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/webhook/properties/allowedSources/items/pattern";
        let pattern = definition.pointer(items).unwrap().as_str().unwrap();
        regex::Regex::new(pattern).unwrap()
    }

    /// Returns whether a text is an address of the standard library, perhaps with a prefix length.
    fn is_network(text: &str) -> bool {
        let (address, length) = text.split_once('/').unwrap_or((text, "0"));
        let Ok(address) = address.parse::<IpAddr>() else {
            return false;
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (0..=longest).any(|known: u8| known.to_string() == length)
    }

    const NETWORKS: &[&str] = &[
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.0.0/32",
        "255.255.255.255",
        "192.0.2.1/24",
        "::/0",
        "::",
        "::1",
        "1::",
        "2001:db8::/32",
        "2001:db8::1/128",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1::8/99",
        "::ffff:192.0.2.0/120",
        "64:ff9b::192.0.2.33",
        "1:2:3:4:5:6:192.0.2.1",
        "FE80::1",
    ];
    const OTHERS: &[&str] = &[
        "10.0.0.0/99",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.256",
        "10.0.0.01",
        "010.0.0.1",
        "10.0.0.0/",
        "/8",
        "10.0.0.0/8/8",
        "::/129",
        "2001:db8::/200",
        "example.com",
        "fe80::1%eth0",
        "10.0.0.0-10.0.0.9",
        "*",
        "",
    ];

    #[test]
    fn the_schema_accepts_what_is_a_network() {
        let pattern = pattern();
        for text in NETWORKS {
            assert!(
                pattern.is_match(text) && Networks::parse(&[text]).is_ok(),
                "{text}"
            );
        }
        for text in OTHERS {
            assert!(
                !pattern.is_match(text) && Networks::parse(&[text]).is_err(),
                "{text:?}"
            );
        }
        // The schema checks IPv6 by its characters only.
        for text in [
            ":::",
            "1::2::3",
            "1:2:3:4:5:6:7",
            "12345::",
            "1:2:3:4:5:6:7:8:9",
        ] {
            assert!(Networks::parse(&[text]).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_schema_accepts_every_network(text in "[0-9./]{1,20}|([0-9]{1,3}\\.){3}[0-9]{1,3}(/[0-9]{1,3})?|[0-9af:./]{1,24}|([0-9a-f]{1,5}::?){1,8}[0-9a-f.]{0,4}(/[0-9]{1,3})?") {
            let is_accepted = pattern().is_match(&text);
            if text.contains(':') {
                proptest::prop_assert!(is_accepted || !is_network(&text), "{}", text);
            } else {
                proptest::prop_assert_eq!(is_accepted, is_network(&text), "{}", text);
                proptest::prop_assert!(!is_accepted || Networks::parse(&[&text]).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn other_texts_are_not_networks() {
        for text in ["", "x", "192.0.2.0/33", "192.0.2/24", "example.com", "*"] {
            let error = Networks::parse(&["192.0.2.1", text]).unwrap_err();
            assert!(error.to_string().contains("not a network"), "{text}");
        }
    }
}
