//! The headers that are hidden from plugins, because they contain a credential or a signature.

use super::scheme::SCHEMES;

/// Words that mark a header as withheld. A name is split into words at hyphens and underscores.
const WORDS: [&str; 23] = [
    "auth",
    "authentication",
    "authorization",
    "bearer",
    "cert",
    "cookie",
    "cookie2",
    "credential",
    "credentials",
    "hmac",
    "jwt",
    "key",
    "mac",
    "otp",
    "pass",
    "passwd",
    "password",
    "secret",
    "session",
    "sig",
    "sign",
    "signature",
    "token",
];
/// Parts of a word that mark a header as withheld, such as `apikey`, `x-ssl-client-verify` and
/// `x-amzn-oidc-accesstoken`.
const PARTS: [&str; 14] = [
    "accesskey",
    "apikey",
    "authoriz",
    "client-cert",
    "clientcert",
    "cookie",
    "credential",
    "hmac",
    "password",
    "secret",
    "signature",
    "ssl-client",
    "tls-client",
    "token",
];
/// Headers that are visible although their names match. They name events and things that plugins need.
const VISIBLE: [&str; 9] = [
    "ce-partitionkey",
    "idempotency-key",
    "x-event-key",
    "x-idempotency-key",
    "x-message-key",
    "x-object-key",
    "x-partition-key",
    "x-resource-key",
    "x-routing-key",
];

/// Returns whether a header is withheld from plugins, because it is in the table of schemes or its name matches. `name`
/// is in lower case.
#[must_use]
pub fn is_withheld(name: &str) -> bool {
    if SCHEMES.iter().any(|scheme| scheme.reads(name)) {
        return true;
    }
    let is_word = |word: &str| WORDS.contains(&word);
    let is_secret =
        name.split(['-', '_']).any(is_word) || PARTS.iter().any(|part| name.contains(part));
    is_secret && !VISIBLE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_signatures_are_withheld() {
        for name in [
            "authorization",
            "proxy-authorization",
            "x-forwarded-authorization",
            "cookie",
            "set-cookie",
            "x-hub-signature",
            "x-hub-signature-256",
            "x-gitea-signature",
            "x-forgejo-signature",
            "x-gogs-signature",
            "x-gitlab-token",
            "private-token",
            "job-token",
            "webhook-signature",
            "x-nexus-webhook-signature",
            "x-jfrog-event-auth",
            "x-api-key",
            "api-key",
            "apikey",
            "x-functions-key",
            "ocp-apim-subscription-key",
            "x-vault-token",
            "x-amz-security-token",
            "x-shopify-hmac-sha256",
            "stripe-signature",
            "x-slack-signature",
            "paypal-transmission-sig",
            "paypal-auth-algo",
            "x-webhook-secret",
            "x-goog-channel-token",
            "x-forwarded-client-cert",
            "x-forwarded-tls-client-cert-info",
            "ssl-client-cert",
            "ssl-client-subject-dn",
            "ssl-client-verify",
            "x-ssl-client-sha1",
            "x-arr-clientcert",
            "x-amzn-mtls-clientcert-leaf",
            "x-amzn-oidc-accesstoken",
            "cf-access-jwt-assertion",
            "x-goog-iap-jwt-assertion",
            "x-auth-request-email",
            "x_hub_signature",
            "x-password",
            "x-session-id",
            "signature",
            "signature-input",
            "x-harness-webhook-signature",
            "x-tfe-notification-signature",
            "token",
        ] {
            assert!(is_withheld(name), "{name}");
        }
    }

    #[test]
    fn what_plugins_read_is_visible() {
        for name in [
            "idempotency-key",
            "x-event-key",
            "x-github-event",
            "x-github-delivery",
            "x-github-hook-id",
            "x-gitlab-event",
            "x-gitlab-event-uuid",
            "x-gitlab-webhook-uuid",
            "x-gitea-event",
            "x-gitea-delivery",
            "x-request-id",
            "x-request-uuid",
            "x-hook-uuid",
            "webhook-id",
            "webhook-timestamp",
            "ce-id",
            "ce-type",
            "ce-time",
            "ce-source",
            "ce-partitionkey",
            "content-type",
            "user-agent",
            "x-harbor-event",
            "x-author",
            "x-authority",
            "x-monkey",
            "x-design",
            "x-signal",
            "x-passenger",
            "x-machine",
            "x-build-number",
            "x-certified",
            "x-keycloak-event",
        ] {
            assert!(!is_withheld(name), "{name}");
        }
    }
}
