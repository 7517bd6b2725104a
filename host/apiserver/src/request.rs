//! Parses a request: its path, its query, and the accepted media types.
//!
//! This module does not read or write objects.

use std::borrow::Cow;

use crate::status::Failure;
use crate::table::Include;

/// A request without its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: Vec<u8>,
}

/// The pairs of the query, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    /// A value that is present and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self
            .0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Returns whether a flag is present and not false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self
            .0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str());
        value.is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Failure::bad_request(format!(
                "invalid query parameter {name}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })
    }

    /// Returns whether the request is a dry run.
    pub(crate) fn dry_run(&self) -> Result<bool, Failure> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Failure::bad_request(format!(
                "dryRun: Unsupported value: {other:?}: supported values: \"All\""
            ))),
        }
    }
}

/// The target of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Objects.
    Resource(Place),
    /// Any other path, as its parts.
    Other(Vec<String>),
}

/// One object, or all objects of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    pub(crate) fn parse(path: &str) -> Self {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| decoded(part).into_owned())
            .collect();
        let texts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let place = match texts.as_slice() {
            ["api", version, rest @ ..] => Place::parse("", version, rest),
            ["apis", group, version, rest @ ..] => Place::parse(group, version, rest),
            _ => None,
        };
        place.map_or(Self::Other(parts), Self::Resource)
    }
}

impl Place {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        let owned = |text: &str| Some(text.to_owned());
        let mut place = Self {
            group: group.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        };
        let rest = match rest {
            // The path of a namespace is also the beginning of the paths of its objects.
            ["namespaces", namespace, inner @ ..]
                if !matches!(inner, [] | ["status" | "finalize"]) =>
            {
                place.namespace = owned(namespace);
                inner
            }
            other => other,
        };
        match rest {
            [] => return None,
            [resource, rest @ ..] => {
                (*resource).clone_into(&mut place.resource);
                if let [name, subresource @ ..] = rest {
                    place.name = owned(name);
                    place.subresource = (!subresource.is_empty()).then(|| subresource.join("/"));
                }
            }
        }
        Some(place)
    }
}

/// Decodes percent-encoding. An invalid escape is kept.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = code
            .filter(|_| *first == b'%')
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Table(Include),
    Partial,
    /// All groups with all their resources in one document.
    Discovery,
}

/// The supported media types, for messages.
const OFFERED: &str = "application/json, application/json;stream=watch";

/// Returns the first supported form that the client accepts. `discovery` states whether aggregated discovery is
/// supported.
pub(crate) fn form(accept: &str, query: &Query, discovery: bool) -> Result<Form, Failure> {
    if accept.trim().is_empty() {
        return Ok(Form::Plain);
    }
    for entry in accept.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "application/*" | "*/*") {
            continue;
        }
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name: &str| {
            parameters
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        };
        match (parameter("as"), parameter("g"), parameter("v")) {
            (None, _, _) => return Ok(Form::Plain),
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) if !discovery => {
                return include(query).map(Form::Table);
            }
            (
                Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                Some("meta.k8s.io"),
                Some("v1"),
            ) if !discovery => {
                return Ok(Form::Partial);
            }
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2"))
                if discovery =>
            {
                return Ok(Form::Discovery);
            }
            _ => {}
        }
    }
    let message = format!("only the following media types are accepted: {OFFERED}");
    Err(Failure::new(406, "NotAcceptable", message))
}

fn include(query: &Query) -> Result<Include, Failure> {
    match query.get("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("Object") => Ok(Include::Object),
        Some("None") => Ok(Include::None),
        Some(other) => Err(Failure::bad_request(format!(
            "includeObject: Unsupported value: {other:?}: supported values: \"Metadata\", \"None\", \"Object\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Place {
        match Target::parse(path) {
            Target::Resource(place) => place,
            Target::Other(parts) => panic!("{path} leads to {parts:?}"),
        }
    }

    #[test]
    fn paths_lead_to_objects() {
        let found = place("/apis/stoker.io/v1alpha1/namespaces/a/gatewaysyncs/x/status");
        assert_eq!(
            (found.group.as_str(), found.version.as_str()),
            ("stoker.io", "v1alpha1")
        );
        assert_eq!(found.namespace.as_deref(), Some("a"));
        assert_eq!(
            (found.resource.as_str(), found.name.as_deref()),
            ("gatewaysyncs", Some("x"))
        );
        assert_eq!(found.subresource.as_deref(), Some("status"));
        let found = place("/api/v1/namespaces/a");
        assert_eq!(
            (
                found.resource.as_str(),
                found.name.as_deref(),
                found.namespace
            ),
            ("namespaces", Some("a"), None)
        );
        assert_eq!(
            place("/api/v1/namespaces/a/status").subresource.as_deref(),
            Some("status")
        );
        assert_eq!(
            place("/api/v1/namespaces/a/configmaps")
                .namespace
                .as_deref(),
            Some("a")
        );
        assert_eq!(place("/api/v1/secrets").name, None);
        assert_eq!(
            place("/api/v1/namespaces/a/secrets/x%2Ey").name.as_deref(),
            Some("x.y")
        );
    }

    #[test]
    fn other_paths_do_not() {
        for path in [
            "/",
            "/api",
            "/apis/apps",
            "/api/v1",
            "/apis/stoker.io/v1alpha1",
            "/version",
        ] {
            assert!(matches!(Target::parse(path), Target::Other(_)), "{path}");
        }
    }

    #[test]
    fn the_first_known_form_is_taken() {
        let query = Query::default();
        let cases = [
            ("", Form::Plain),
            ("application/json", Form::Plain),
            ("*/*", Form::Plain),
            (
                "application/vnd.kubernetes.protobuf, application/json",
                Form::Plain,
            ),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Form::Table(Include::Metadata),
            ),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Form::Plain,
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Form::Partial,
            ),
        ];
        for (accept, expected) in cases {
            assert_eq!(form(accept, &query, false), Ok(expected), "{accept}");
        }
        let refused =
            form("application/vnd.kubernetes.protobuf", &query, false).expect_err("protobuf");
        assert_eq!((refused.code, refused.reason), (406, "NotAcceptable"));
    }
}
