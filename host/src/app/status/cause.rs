//! What to do about a ref that cannot be resolved, by the message about it. Pure.

use stoker_api::messages;

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The ref, or the address of the repository.
    Ref,
    /// A Secret of the object lacks a usable value.
    Secret,
    /// The server refuses the credentials, or there are none.
    Access,
    /// The ssh server has another key than the known ones.
    HostKey,
    /// The host may not be contacted.
    Host,
    /// The authority of the certificate is not trusted.
    Certificate,
    /// The server cannot be reached, or does not answer as it should.
    Server,
}

/// Parts of the messages about git servers, and their cause. The first part that a message has decides. Those that
/// texts of servers follow are the first.
const PARTS: [(&str, Cause); 31] = [
    ("the git server reports", Cause::Server),
    ("answered with HTTP status", Cause::Server),
    ("the git server's", Cause::Server),
    ("the ref \"", Cause::Ref),
    ("spec.git.repo is invalid", Cause::Ref),
    ("the path of the repository contains", Cause::Ref),
    ("not found in remote", Cause::Ref),
    ("has no commit", Cause::Ref),
    ("is not a commit", Cause::Ref),
    ("cannot be verified", Cause::Ref),
    ("the dumb protocol", Cause::Ref),
    ("not a git repository", Cause::Ref),
    ("is not one of the allowed hosts", Cause::Host),
    (", which is refused", Cause::Host),
    ("known_hosts cannot be used", Cause::HostKey),
    ("known_hosts has no key", Cause::HostKey),
    ("the host key of", Cause::HostKey),
    ("refuses access", Cause::Access),
    ("refuses the user", Cause::Access),
    ("requires the authentication", Cause::Access),
    ("there is no repository at", Cause::Access),
    ("the ssh key cannot be used", Cause::Access),
    ("the token is", Cause::Access),
    ("cannot be used, because the address", Cause::Access),
    ("has no usable CA certificates", Cause::Certificate),
    ("cannot connect to", Cause::Server),
    ("the git server ", Cause::Server),
    ("the ssh server ", Cause::Server),
    ("the connection to the git server", Cause::Server),
    ("the lookup of the ref", Cause::Server),
    ("cannot set up the HTTP client", Cause::Server),
];

impl Cause {
    /// Returns what a message is about. A message that is not known is about the ref.
    pub(super) fn of(message: &str) -> Self {
        Self::known(message).unwrap_or(Self::Ref)
    }

    /// Returns what a message is about, if it is known.
    fn known(message: &str) -> Option<Self> {
        if messages::is_about_secret(message) {
            return Some(Self::Secret);
        }
        if stoker_http_client::is_untrusted(message) {
            return Some(Self::Certificate);
        }
        let mut parts = PARTS.iter();
        let found = parts.find(|(part, _)| message.contains(part));
        found.map(|(_, cause)| *cause)
    }

    /// Returns what to do about it, except about a ref. The sentence ends with the command that edits the object.
    pub(super) fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Ref => None,
            Self::Secret => Some("correct the Secret, or its name and key in spec.git.auth"),
            Self::Access => Some(
                "add credentials as spec.git.auth, or correct them, their rights, or spec.git.repo",
            ),
            Self::HostKey => Some(
                "compare the key with the one that the operator of the git server publishes; then correct the known \
                 hosts, or accept it by the annotation stoker.io/accepted-host-key",
            ),
            Self::Host => {
                Some("add the host to --git-allowed-hosts of Stoker, or correct spec.git.repo")
            }
            Self::Certificate => Some("add the authority of the certificate as spec.git.caBundle"),
            Self::Server => Some(
                "check the git server, and the way to it, such as its name, a proxy, and \
                 networkPolicy.egress.gitPorts of the Helm values; or correct spec.git.repo",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
