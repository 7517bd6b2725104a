//! The reasons of the answers to webhooks, with their codes and statuses. Users depend on both.

use http::StatusCode;

/// The reason of an answer to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// The test goes through all reasons.
#[cfg_attr(test, derive(clap::ValueEnum))]
pub enum Reason {
    /// The ref is requested on the object.
    Requested,
    /// The object has this request already.
    AlreadyRequested,
    /// The same delivery was accepted before.
    Duplicate,
    /// A plugin recognised the delivery, which announces no ref.
    IgnoredByPlugin,
    /// The delivery is about another repository.
    OtherRepository,
    /// The delivery names no repository, and the object requires one.
    NoRepository,
    /// The object does not accept the ref.
    RefNotAccepted,
    /// The object does not accept the version of the tag.
    VersionNotAccepted,
    /// The object does not accept the event.
    EventNotAccepted,
    /// The event happened before the last accepted one.
    Superseded,
    /// The object is being deleted.
    BeingDeleted,
    /// Very many refs are announced, and the object follows none of them.
    NotFollowed,
    /// The proof is missing or wrong, or the source is not allowed.
    Unauthorized,
    /// A configured secret cannot be used.
    SecretUnusable,
    /// The API server does not answer.
    ApiUnavailable,
    /// The API server refused the request.
    ApiRefused,
    /// There is no such object.
    NotFound,
    /// A field of the object is invalid.
    InvalidObject,
    /// There is no such route.
    NoRoute,
    /// The method is not POST.
    WrongMethod,
    /// The handshake of a sender of CloudEvents names no host.
    InvalidOrigin,
    /// The header `Host` is missing, repeated or invalid.
    InvalidHost,
    /// The sender waits for 100 before it sends the body over HTTP/2.
    ExpectationFailed,
    /// The body exceeds the limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The connection ended before the body.
    BodyIncomplete,
    /// The chunks of the body are not valid HTTP.
    InvalidChunks,
    /// The body is sent in very many tiny parts.
    ChunksTooSmall,
    /// Parsing the body would take too much memory.
    TooManyValues,
    /// The body is compressed.
    Compressed,
    /// The body has another media type than JSON.
    UnsupportedMediaType,
    /// The body is not JSON.
    NotJson,
    /// No plugin recognised the format.
    Unrecognised,
    /// A plugin recognised the format, and the delivery lacks something.
    Malformed,
    /// A plugin is not called at the moment.
    PluginUnavailable,
    /// A plugin failed.
    PluginFailed,
    /// There were too many deliveries for an object, or refused ones from a source.
    RateLimited,
    /// Too many deliveries are being handled.
    Overloaded,
}

impl Reason {
    /// Returns the stable code, in kebab case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code_and_status().0
    }

    /// Returns the status of answers with the reason.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.code_and_status().1
    }

    const fn code_and_status(self) -> (&'static str, StatusCode) {
        match self {
            Self::Requested => ("requested", StatusCode::ACCEPTED),
            Self::AlreadyRequested => ("already-requested", StatusCode::ACCEPTED),
            Self::Duplicate => ("duplicate", StatusCode::ACCEPTED),
            Self::IgnoredByPlugin => ("ignored-by-plugin", StatusCode::OK),
            Self::OtherRepository => ("other-repository", StatusCode::OK),
            Self::NoRepository => ("no-repository", StatusCode::OK),
            Self::RefNotAccepted => ("ref-not-accepted", StatusCode::OK),
            Self::VersionNotAccepted => ("version-not-accepted", StatusCode::OK),
            Self::EventNotAccepted => ("event-not-accepted", StatusCode::OK),
            Self::Superseded => ("superseded", StatusCode::OK),
            Self::BeingDeleted => ("being-deleted", StatusCode::OK),
            Self::NotFollowed => ("not-followed", StatusCode::OK),
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED),
            Self::SecretUnusable => ("secret-unusable", StatusCode::SERVICE_UNAVAILABLE),
            Self::ApiUnavailable => ("api-unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::ApiRefused => ("api-refused", StatusCode::INTERNAL_SERVER_ERROR),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND),
            Self::InvalidObject => ("invalid-object", StatusCode::UNPROCESSABLE_ENTITY),
            Self::NoRoute => ("no-route", StatusCode::NOT_FOUND),
            Self::WrongMethod => ("wrong-method", StatusCode::METHOD_NOT_ALLOWED),
            Self::InvalidOrigin => ("invalid-origin", StatusCode::BAD_REQUEST),
            Self::InvalidHost => ("invalid-host", StatusCode::BAD_REQUEST),
            Self::ExpectationFailed => ("expectation-failed", StatusCode::EXPECTATION_FAILED),
            Self::BodyTooLarge => ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::BodyTimeout => ("body-timeout", StatusCode::REQUEST_TIMEOUT),
            Self::BodyIncomplete => ("body-incomplete", StatusCode::BAD_REQUEST),
            Self::InvalidChunks => ("invalid-chunks", StatusCode::BAD_REQUEST),
            Self::ChunksTooSmall => ("chunks-too-small", StatusCode::BAD_REQUEST),
            Self::TooManyValues => ("too-many-values", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Compressed => ("compressed", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::NotJson => ("not-json", StatusCode::BAD_REQUEST),
            Self::Unrecognised => ("unrecognised", StatusCode::BAD_REQUEST),
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST),
            Self::PluginUnavailable => ("plugin-unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::PluginFailed => ("plugin-failed", StatusCode::INTERNAL_SERVER_ERROR),
            Self::RateLimited => ("rate-limited", StatusCode::TOO_MANY_REQUESTS),
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_code_is_documented_with_its_status() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference.md");
        let document = fs::read_to_string(path).unwrap();
        let rows = document
            .lines()
            .skip_while(|line| *line != "| Status | Reason | Meaning |")
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let mut documented = BTreeSet::new();
        for row in rows {
            let mut cells = row.split('|').skip(1);
            let (status, codes) = (cells.next().unwrap(), cells.next().unwrap());
            let status: u16 = status.trim().parse().unwrap();
            for code in codes.split(',') {
                let code = code.trim().trim_matches('`').to_owned();
                assert!(documented.insert((status, code)), "twice: {row}");
            }
        }
        let answered: BTreeSet<_> = Reason::value_variants()
            .iter()
            .map(|reason| (reason.status().as_u16(), reason.code().to_owned()))
            .collect();
        assert_eq!(answered, documented);
        let codes: BTreeSet<_> = answered.iter().map(|(_, code)| code).collect();
        assert_eq!(codes.len(), answered.len(), "each reason has its own code");
    }
}
