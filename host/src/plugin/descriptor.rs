//! What a component says about itself, unchecked and checked.

use super::error::LoadError;
use super::reply::printable;

/// The maximum number of headers, and of pointers, that a pre-filter may name.
const MAX_FILTERS: usize = 32;
/// The maximum length of a header name or pointer, in bytes.
const MAX_FILTER_BYTES: usize = 256;

/// The description of a component, unchecked.
#[derive(Debug, Default)]
pub(super) struct RawDescriptor {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    pub(super) headers: Vec<String>,
    pub(super) pointers: Vec<String>,
}

/// The description of a component, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The name, a DNS label.
    pub name: String,
    /// The version, as printable text for people.
    pub version: String,
    /// The summary, as one printable line for people.
    pub summary: String,
    /// The headers of the pre-filter. The plugin is asked about a delivery that has any of them.
    pub headers: Vec<http::HeaderName>,
    /// The JSON pointers of the pre-filter. The plugin is asked about a delivery that has a value at any of them.
    pub pointers: Vec<String>,
}

impl TryFrom<RawDescriptor> for Descriptor {
    type Error = LoadError;

    fn try_from(raw: RawDescriptor) -> Result<Self, LoadError> {
        let refuse = |why: String| LoadError::Descriptor { why };
        if !is_dns_label(&raw.name) {
            let name = printable(&raw.name, 64);
            return Err(refuse(format!(
                "the name {name:?} is not 1 to 63 lower-case letters, digits and hyphens"
            )));
        }
        if raw.headers.len() > MAX_FILTERS || raw.pointers.len() > MAX_FILTERS {
            return Err(refuse(format!(
                "its pre-filter names more than {MAX_FILTERS} headers or pointers"
            )));
        }
        let mut filters = raw.headers.iter().chain(&raw.pointers);
        if let Some(long) = filters.find(|filter| filter.len() > MAX_FILTER_BYTES) {
            let (count, long) = (long.len(), printable(long, 64));
            return Err(refuse(format!(
                "{long:?} in its pre-filter has {count} bytes, more than {MAX_FILTER_BYTES}"
            )));
        }
        let headers = raw.headers.iter().map(|name| {
            let header = http::HeaderName::try_from(name.as_str());
            let name = || printable(name, 64);
            header.map_err(|_| refuse(format!("{:?} is not the name of a header", name())))
        });
        let headers = headers.collect::<Result<_, _>>()?;
        if let Some(pointer) = raw.pointers.iter().find(|pointer| !is_pointer(pointer)) {
            let pointer = printable(pointer, 64);
            return Err(refuse(format!(
                "{pointer:?} is not a JSON pointer: it must start with a slash"
            )));
        }
        let version = printable(&raw.version, 64);
        let summary = printable(&raw.summary, 256);
        Ok(Self {
            name: raw.name,
            version,
            summary,
            headers,
            pointers: raw.pointers,
        })
    }
}

fn is_dns_label(name: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    matches!(bytes.len(), 1..=63)
        && bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
}

fn is_pointer(pointer: &str) -> bool {
    pointer.is_empty() || pointer.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str) -> RawDescriptor {
        RawDescriptor {
            name: name.to_owned(),
            ..RawDescriptor::default()
        }
    }

    #[test]
    fn a_name_is_a_dns_label() {
        for name in ["github", "a", "gitea-1"] {
            assert!(Descriptor::try_from(raw(name)).is_ok(), "{name}");
        }
        for name in [
            "",
            "GitHub",
            "-a",
            "a-",
            "a.b",
            "a b",
            "a\n",
            &"a".repeat(64),
        ] {
            assert!(Descriptor::try_from(raw(name)).is_err(), "{name:?}");
        }
    }

    #[test]
    fn text_for_people_is_made_printable() {
        let raw = RawDescriptor {
            version: "1\u{1b}[31m".into(),
            summary: "two\nlines".into(),
            ..raw("x")
        };
        let descriptor = Descriptor::try_from(raw).unwrap();
        assert_eq!(
            (descriptor.version.as_str(), descriptor.summary.as_str()),
            ("1\u{fffd}[31m", "two\u{fffd}lines")
        );
    }

    #[test]
    fn a_pre_filter_must_be_valid() {
        let headers = RawDescriptor {
            headers: vec!["x y".into()],
            ..raw("x")
        };
        assert!(Descriptor::try_from(headers).is_err());
        let pointers = RawDescriptor {
            pointers: vec!["ref".into()],
            ..raw("x")
        };
        assert!(Descriptor::try_from(pointers).is_err());
        let many = RawDescriptor {
            pointers: vec!["/x".into(); 33],
            ..raw("x")
        };
        assert!(Descriptor::try_from(many).is_err());
        for (headers, pointers) in [
            (vec!["x".repeat(257)], Vec::new()),
            (Vec::new(), vec![format!("/{}", "x".repeat(256))]),
        ] {
            let long = RawDescriptor {
                headers,
                pointers,
                ..raw("x")
            };
            let why = Descriptor::try_from(long).unwrap_err().to_string();
            assert!(why.contains("has 257 bytes, more than 256"), "{why}");
        }
        let longest = RawDescriptor {
            headers: vec!["x".repeat(256)],
            pointers: vec![format!("/{}", "x".repeat(255))],
            ..raw("x")
        };
        assert!(Descriptor::try_from(longest).is_ok());
    }
}
