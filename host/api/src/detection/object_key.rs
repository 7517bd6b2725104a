//! Namespaces and names of objects.

use std::fmt;

use super::ParseError;

/// The namespace and name of a `GatewaySync`, or of another object such as a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    namespace: String,
    name: String,
}

impl ObjectKey {
    /// Checks the names by the rules of Kubernetes: the namespace must be an RFC 1123 label, the name an RFC 1123
    /// subdomain.
    pub fn new(namespace: &str, name: &str) -> Result<Self, ParseError> {
        if namespace.len() > 63 || !is_label(namespace) {
            return Err(ParseError::NameFormat {
                text: namespace.chars().take(64).collect(),
            });
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(ParseError::NameFormat {
                text: name.chars().take(64).collect(),
            });
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(inner)
        && bytes.last().copied().is_some_and(inner)
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_names_that_kubernetes_accepts() {
        assert_eq!(
            ObjectKey::new("my-ns", "plant-7.edge").unwrap().to_string(),
            "my-ns/plant-7.edge"
        );
        for (namespace, name) in [
            ("", "x"),
            ("Ns", "x"),
            ("a.b", "x"),
            ("ns", ""),
            ("ns", "-x"),
            ("ns", "x..y"),
            ("ns", "a/b"),
        ] {
            assert!(
                ObjectKey::new(namespace, name).is_err(),
                "{namespace} {name}"
            );
        }
    }
}
