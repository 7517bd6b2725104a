use axum::http::StatusCode;

/// The reasons of the receiver's own answers. The outcomes of requests have codes of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::receiver) enum Reason {
    /// The proof is missing or wrong, or the source is not allowed.
    Unauthorized,
    /// A configured secret cannot be used.
    SecretUnusable,
    /// The API server does not answer.
    ApiUnavailable,
    /// There is no such route.
    NoRoute,
    /// The method is not POST.
    WrongMethod,
    /// The handshake of a sender of CloudEvents names no host.
    InvalidOrigin,
    /// The body exceeds the limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The connection ended before the body.
    BodyIncomplete,
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
    /// A plugin recognised the delivery, which announces no ref.
    IgnoredByPlugin,
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
    /// Returns the stable code.
    pub(in crate::receiver) const fn code(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::SecretUnusable => "secret-unusable",
            Self::ApiUnavailable => "api-unavailable",
            Self::NoRoute => "no-route",
            Self::WrongMethod => "wrong-method",
            Self::InvalidOrigin => "invalid-origin",
            Self::BodyTooLarge => "body-too-large",
            Self::BodyTimeout => "body-timeout",
            Self::BodyIncomplete => "body-incomplete",
            Self::ChunksTooSmall => "chunks-too-small",
            Self::TooManyValues => "too-many-values",
            Self::Compressed => "compressed",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::NotJson => "not-json",
            Self::Unrecognised => "unrecognised",
            Self::Malformed => "malformed",
            Self::IgnoredByPlugin => "ignored-by-plugin",
            Self::PluginUnavailable => "plugin-unavailable",
            Self::PluginFailed => "plugin-failed",
            Self::RateLimited => "rate-limited",
            Self::Overloaded => "overloaded",
        }
    }

    /// Returns the status of answers with the reason.
    pub(in crate::receiver) const fn status(self) -> StatusCode {
        match self {
            Self::IgnoredByPlugin => StatusCode::OK,
            Self::InvalidOrigin
            | Self::ChunksTooSmall
            | Self::BodyIncomplete
            | Self::NotJson
            | Self::Unrecognised
            | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge | Self::TooManyValues => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Compressed | Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::PluginFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::SecretUnusable
            | Self::ApiUnavailable
            | Self::PluginUnavailable
            | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes and statuses are documented, and programs of users depend on them.
    #[test]
    fn codes_and_statuses_are_stable() {
        for (reason, code, status) in [
            (Reason::Unauthorized, "unauthorized", 401),
            (Reason::SecretUnusable, "secret-unusable", 503),
            (Reason::ApiUnavailable, "api-unavailable", 503),
            (Reason::NoRoute, "no-route", 404),
            (Reason::WrongMethod, "wrong-method", 405),
            (Reason::InvalidOrigin, "invalid-origin", 400),
            (Reason::BodyTooLarge, "body-too-large", 413),
            (Reason::BodyTimeout, "body-timeout", 408),
            (Reason::BodyIncomplete, "body-incomplete", 400),
            (Reason::ChunksTooSmall, "chunks-too-small", 400),
            (Reason::TooManyValues, "too-many-values", 413),
            (Reason::Compressed, "compressed", 415),
            (Reason::UnsupportedMediaType, "unsupported-media-type", 415),
            (Reason::NotJson, "not-json", 400),
            (Reason::Unrecognised, "unrecognised", 400),
            (Reason::Malformed, "malformed", 400),
            (Reason::IgnoredByPlugin, "ignored-by-plugin", 200),
            (Reason::PluginUnavailable, "plugin-unavailable", 503),
            (Reason::PluginFailed, "plugin-failed", 500),
            (Reason::RateLimited, "rate-limited", 429),
            (Reason::Overloaded, "overloaded", 503),
        ] {
            assert_eq!((reason.code(), reason.status().as_u16()), (code, status));
        }
    }
}
