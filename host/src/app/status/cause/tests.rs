use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef};
use stoker_git::{GitError, SentCredentials};

use super::*;
use crate::lookups::{HostWait, LookupError};

const LIMIT: Duration = Duration::from_secs(10);
const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Names that contain words of messages.
const HOST: &str = "certificates.corp:443";
const URL: &str = "https://g/o/known_hosts.git";

fn id() -> CommitId {
    CommitId::parse(COMMIT).unwrap()
}

fn git_ref() -> GitRef {
    GitRef::parse("certificate/known_hosts").unwrap()
}

/// Defines the errors, each with its cause, or without one if only a fetch has it, and a function that fails to compile
/// if one is missing.
macro_rules! errors {
    ($($name:ident { $($field:tt: $value:expr),* } => $cause:expr,)*) => {
        fn errors() -> Vec<(GitError, Option<Cause>)> {
            vec![$((GitError::$name { $($field: $value),* }, $cause)),*]
        }

        #[expect(dead_code, reason = "it is only compiled")]
        fn is_listed(error: &GitError) {
            match error {
                $(GitError::$name { .. } => {})*
            }
        }
    };
}

errors! {
    ForbiddenPath {} => Some(Cause::Ref),
    Client { 0: "a cause".into() } => Some(Cause::Server),
    NoCertificates {} => Some(Cause::Certificate),
    HostNotAllowed { host: HOST.into() } => Some(Cause::Host),
    AddressForbidden { host: HOST.into(), address: [169, 254, 169, 254].into() } => Some(Cause::Host),
    Unreachable { host: HOST.into(), source: "connection refused".into() } => Some(Cause::Server),
    Tls { host: HOST.into(), source: "the server does not speak TLS at this port".into() } => Some(Cause::Server),
    ConnectTimeout { host: HOST.into(), limit: LIMIT } => Some(Cause::Server),
    Interrupted { 0: "broken pipe".into() } => Some(Cause::Server),
    Timeout { limit: LIMIT } => Some(Cause::Server),
    FetchTimeout { limit: LIMIT } => None,
    NoProgress { limit: LIMIT } => Some(Cause::Server),
    TooLarge { limit: 1 } => Some(Cause::Server),
    Truncated {} => Some(Cause::Server),
    Malformed { why: "it is not a commit".into() } => Some(Cause::Server),
    CredentialsMismatch {
        credentials: "a token", scheme: "ssh".into(), instead: "use an ssh key"
    } => Some(Cause::Access),
    Token { why: "empty" } => Some(Cause::Access),
    AccessDenied { status: 401, credentials: SentCredentials::None } => Some(Cause::Access),
    AuthenticationScheme { schemes: "NTLM".into() } => Some(Cause::Access),
    SshKey { why: "it is encrypted" } => Some(Cause::Access),
    KnownHosts { why: "line 1".into() } => Some(Cause::HostKey),
    HostUnknown { host: HOST.into() } => Some(Cause::HostKey),
    HostKeyUnknown { host: HOST.into(), expected: "a".into(), seen: "b".into() } => Some(Cause::HostKey),
    HostKeyRevoked { host: HOST.into(), seen: "b".into() } => Some(Cause::HostKey),
    HostKeyChanged { host: HOST.into(), expected: "a".into(), seen: "b".into() } => Some(Cause::HostKey),
    HostKeyUnsupported { host: HOST.into(), offered: "ssh-dss".into() } => Some(Cause::Server),
    SshAlgorithms {
        host: HOST.into(), kind: "cipher", offered: "3des-cbc".into(), setting: "Ciphers", example: "aes128-ctr"
    } => Some(Cause::Server),
    SshRefused { host: HOST.into(), user: "git", has_key: true } => Some(Cause::Access),
    RepositoryNotFound { url: URL.into(), credentials: SentCredentials::Sent } => Some(Cause::Access),
    Status {
        status: 500, retry_after: Some(LIMIT), text: "there is no repository at the backend".into()
    } => Some(Cause::Server),
    DumbProtocol { url: URL.into() } => Some(Cause::Ref),
    NotGit { url: URL.into(), content: "text/html".into() } => Some(Cause::Ref),
    Redirect { why: "there are more than ten in a row" } => Some(Cause::Server),
    Remote { message: "the token is not found in remote".into() } => Some(Cause::Server),
    RefNotFound { url: URL.into(), git_ref: git_ref() } => Some(Cause::Ref),
    CommitNotFound { id: id() } => Some(Cause::Ref),
    NotACommit { id: id(), found: "a directory".into() } => Some(Cause::Ref),
    RefNotACommit { name: "refs/tags/v1".into(), id: id(), found: "a directory" } => Some(Cause::Ref),
    CommitUnverifiable { id: id() } => Some(Cause::Ref),
    CommitMoved { id: id(), git_ref: git_ref(), now: id() } => None,
    Incomplete { id: id() } => None,
    Pack { 0: "a cause".into() } => None,
    TooManyObjects { count: 2, limit: 1 } => None,
    ObjectTooLarge { limit: 1 } => None,
    Store { 0: stoker_git::StoreError::NoCommit { id: id() } } => None,
}

/// Returns what a message of a lookup is about.
fn known(error: &LookupError) -> Option<Cause> {
    Cause::known(&format!(
        "Ref resolution failed: {}",
        stoker_report::chain(error)
    ))
}

#[test]
fn every_error_of_a_lookup_is_known() {
    let mut lookups = vec![
        (LookupError::Timeout, Some(Cause::Server)),
        (LookupError::Aborted, Some(Cause::Server)),
    ];
    lookups.extend(
        errors()
            .into_iter()
            .map(|(error, cause)| (LookupError::from(error), cause)),
    );
    for (error, cause) in lookups {
        if cause.is_none() {
            continue;
        }
        assert_eq!(known(&error), cause, "{error}");
        let waiting = LookupError::Waiting {
            host: HOST.into(),
            wait: HostWait {
                whole: LIMIT,
                left: LIMIT,
            },
            source: Box::new(error.clone()),
        };
        assert_eq!(known(&waiting), cause, "{error}");
        match error {
            // A further error belongs to the list above.
            LookupError::Git(_)
            | LookupError::Timeout
            | LookupError::Aborted
            | LookupError::Waiting { .. } => {}
        }
    }
}

#[test]
fn only_an_authority_that_is_not_trusted_is_to_be_added() {
    for (words, cause) in [
        (
            "the authority of the server's certificate is not trusted; add its certificate to the CA bundle of the remote",
            Cause::Certificate,
        ),
        (
            "the server's certificate is that of an authority (CA:TRUE), and it is not among the trusted certificates; add exactly this certificate to them",
            Cause::Certificate,
        ),
        (
            "invalid peer certificate: certificate expired: verification time 1, but certificate is not valid after 0",
            Cause::Server,
        ),
        (
            "the server's certificate is not for servers; make one whose extendedKeyUsage contains serverAuth",
            Cause::Server,
        ),
        (
            "the server requires a certificate of the client, which is not supported",
            Cause::Server,
        ),
    ] {
        let error = GitError::Unreachable {
            host: HOST.into(),
            source: words.into(),
        };
        assert_eq!(known(&error.into()), Some(cause), "{words}");
    }
}

#[test]
fn what_is_wrong_with_the_object_is_about_the_ref() {
    for message in [
        "the ref \"known_hosts cannot be used\" is invalid: git does not accept it",
        "spec.git.repo is invalid: \"x\" is not the address of a git repository",
        "something new",
    ] {
        assert_eq!(Cause::of(message), Cause::Ref, "{message}");
    }
}
