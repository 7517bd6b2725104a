//! Second step: validates an object and its references, and determines their meaning. Pure.

use std::time::Duration;

use stoker_api::detection::{GitRef, RepoUrl};
use stoker_api::{GatewaySync, Polling};
use stoker_git::{Credentials, Remote};

use super::announced::Announced;
use super::credentials::{CredentialsError, GitAccess};
use super::dereference::References;
use super::error::{ControllerError, MissingSecret};
use super::state::LookupKey;
use super::{duration, profiles};
use crate::github_app::InstallationToken;

/// The polling interval if that of the spec is invalid.
const FALLBACK_INTERVAL: Duration = Duration::from_mins(1);
/// The shortest polling interval. A typing error such as `60ms` must not flood the git server.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The state that an object requests.
#[derive(Debug)]
pub(super) struct Desired {
    /// The lookup of the ref.
    pub(super) lookup: Result<RefLookup, Unresolvable>,
    /// The inputs of the lookup.
    pub(super) lookup_key: LookupKey,
    /// Whether everything that the agents need exists.
    pub(super) gateway: Result<(), MissingSecret>,
    /// The faults of the profiles.
    pub(super) profiles: Result<(), String>,
    /// The polling interval. `None` without polling.
    pub(super) interval: Option<Duration>,
    /// The fault of the polling interval.
    pub(super) interval_fault: Option<String>,
    /// Whether the host keys of ssh servers are verified. `None` without ssh.
    pub(super) host_keys_verified: Option<bool>,
    /// The token of the object's GitHub App, which the agents need too.
    pub(super) app_token: Option<InstallationToken>,
}

/// The lookup of a ref.
#[derive(Debug)]
pub(super) struct RefLookup {
    pub(super) remote: Remote,
    pub(super) git_ref: GitRef,
    pub(super) requested: RequestedRef,
    /// What the sender of the request announces.
    pub(super) announced: Option<Announced>,
}

impl RefLookup {
    /// Returns all refs whose commits are needed, each once.
    pub(super) fn refs(&self) -> Vec<GitRef> {
        let alias = match &self.requested {
            RequestedRef::Alias(spec) => Some(spec),
            RequestedRef::Absent | RequestedRef::Differs | RequestedRef::Same => None,
        };
        let exact = [Some(&self.git_ref), alias].into_iter().flatten();
        let mut refs: Vec<GitRef> = Vec::new();
        for git_ref in exact
            .clone()
            .cloned()
            .chain(exact.filter_map(GitRef::other_spelling))
        {
            if !refs.contains(&git_ref) {
                refs.push(git_ref);
            }
        }
        refs
    }
}

/// The relation of the requested ref to the ref of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestedRef {
    /// No ref is requested.
    Absent,
    /// They are different.
    Differs,
    /// They are the same text.
    Same,
    /// They are spellings of the same name. Only the repository shows whether both have the same meaning.
    Alias(GitRef),
}

/// The reason why the ref cannot be looked up.
#[derive(Debug)]
pub(super) enum Unresolvable {
    /// A Secret with credentials is missing. It may be created later.
    MissingSecret(MissingSecret),
    /// The credentials cannot be used. They may change later.
    Credentials(CredentialsError),
    /// The spec or the requested ref is invalid. Only a change of the object can fix it.
    Invalid(ControllerError),
}

/// Validates an object, what it refers to, and how its repository is read.
pub(super) fn validate(
    sync: &GatewaySync,
    refs: &References,
    git: &Result<GitAccess, CredentialsError>,
) -> Desired {
    let spec = &sync.spec;
    let (interval, interval_fault) = interval(&spec.polling.clone().unwrap_or_default());
    let auth = spec.git.auth.as_ref();
    Desired {
        lookup: match git {
            Ok(access) => lookup(sync, &access.credentials).map_err(Unresolvable::Invalid),
            Err(CredentialsError::Missing(missing)) => {
                Err(Unresolvable::MissingSecret(missing.clone()))
            }
            Err(error) => Err(Unresolvable::Credentials(error.clone())),
        },
        lookup_key: LookupKey::of(sync),
        gateway: refs.gateway_secret.clone(),
        profiles: profiles::check(&spec.sync),
        interval,
        interval_fault,
        host_keys_verified: auth
            .and_then(|auth| auth.ssh_key.as_ref())
            .map(|key| key.known_hosts.is_some()),
        app_token: git
            .as_ref()
            .ok()
            .and_then(|access| access.app_token.clone()),
    }
}

fn lookup(sync: &GatewaySync, credentials: &Credentials) -> Result<RefLookup, ControllerError> {
    let git = &sync.spec.git;
    let repo = RepoUrl::parse(&git.repo).map_err(ControllerError::Repo)?;
    let text = sync.effective_ref();
    let git_ref = GitRef::parse(text).map_err(|source| ControllerError::Ref {
        text: text.chars().take(64).collect(),
        source,
    })?;
    let requested = match sync.requested_ref() {
        None => RequestedRef::Absent,
        Some(requested) if requested == git.git_ref => RequestedRef::Same,
        Some(_) => match GitRef::parse(&git.git_ref) {
            Ok(spec) if bare_name(&spec) == bare_name(&git_ref) => RequestedRef::Alias(spec),
            _ => RequestedRef::Differs,
        },
    };
    let pinned = pinned_host_key(sync, &repo, credentials);
    let mut remote = Remote::new(repo, credentials.clone());
    if let Some(key) = pinned {
        remote = remote.with_pinned_host_key(key);
    }
    if let Some(bundle) = git.ca_bundle() {
        remote = remote.with_ca_bundle(bundle);
    }
    Ok(RefLookup {
        remote,
        git_ref,
        requested,
        announced: Announced::of(sync),
    })
}

/// Returns the only host key that is accepted, if known hosts do not determine it.
fn pinned_host_key<'a>(
    sync: &'a GatewaySync,
    repo: &RepoUrl,
    credentials: &Credentials,
) -> Option<&'a str> {
    match credentials {
        Credentials::SshKey {
            known_hosts: None, ..
        } => sync.pinned_host_key(repo),
        Credentials::SshKey { .. } | Credentials::Token(_) | Credentials::Anonymous => None,
    }
}

/// The name without `refs/heads/` or `refs/tags/`, and without one leading `v`.
fn bare_name(git_ref: &GitRef) -> &str {
    let short = git_ref.short();
    short.strip_prefix('v').unwrap_or(short)
}

fn interval(polling: &Polling) -> (Option<Duration>, Option<String>) {
    if !polling.enabled {
        return (None, None);
    }
    let Some(nanoseconds) = duration::parse(&polling.interval) else {
        let text: String = polling.interval.chars().take(64).collect();
        let fault = format!("{text:?} is not a duration such as \"90s\" or \"5m\"; 60s is used");
        return (Some(FALLBACK_INTERVAL), Some(fault));
    };
    let interval = u64::try_from(nanoseconds)
        .ok()
        .filter(|nanoseconds| *nanoseconds > 0);
    (
        interval.map(|nanoseconds| Duration::from_nanos(nanoseconds).max(SHORTEST_INTERVAL)),
        None,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::tests::fixture::{GatewaySyncExt as _, desired};

    fn polling(enabled: bool, interval: &str) -> Polling {
        Polling {
            enabled,
            interval: interval.to_owned(),
        }
    }

    #[test]
    fn reads_the_polling_interval() {
        let seconds = Duration::from_secs;
        let cases = [
            (polling(true, "5m"), Some(seconds(300))),
            (polling(true, "0"), None),
            (polling(true, "0s"), None),
            (polling(true, "-1s"), None),
            (polling(true, "10ms"), Some(seconds(1))),
            (polling(false, "5m"), None),
            (polling(false, "soon"), None),
            (Polling::default(), Some(seconds(60))),
        ];
        for (polling, expected) in cases {
            assert_eq!(interval(&polling), (expected, None), "{polling:?}");
        }
    }

    #[test]
    fn an_invalid_interval_is_a_minute_and_reported() {
        let (interval, fault) = interval(&polling(true, "5 minutes"));
        assert_eq!(interval, Some(Duration::from_mins(1)));
        assert!(
            fault
                .unwrap()
                .starts_with("\"5 minutes\" is not a duration")
        );
    }

    #[test]
    fn the_requested_ref_has_precedence_over_the_spec() {
        let alias = |text| RequestedRef::Alias(GitRef::parse(text).unwrap());
        let cases = [
            ("main", None, "main", RequestedRef::Absent),
            ("main", Some(""), "main", RequestedRef::Absent),
            ("main", Some("main"), "main", RequestedRef::Same),
            ("main", Some("dev"), "dev", RequestedRef::Differs),
            ("2.2.3", Some("v2.2.3"), "v2.2.3", alias("2.2.3")),
            (
                "v2.2.3",
                Some("refs/tags/v2.2.3"),
                "refs/tags/v2.2.3",
                alias("v2.2.3"),
            ),
            (
                "refs/heads/main",
                Some("refs/tags/main"),
                "refs/tags/main",
                alias("refs/heads/main"),
            ),
            ("vv1", Some("1"), "1", RequestedRef::Differs),
            ("", Some("v1"), "v1", RequestedRef::Differs),
        ];
        for (spec, requested, git_ref, request) in cases {
            let mut sync = GatewaySync::sample().git_ref(spec);
            if let Some(requested) = requested {
                sync = sync.requested(requested, None);
            }
            let lookup = desired(&sync).lookup.unwrap();
            assert_eq!(
                (lookup.git_ref.as_str(), lookup.requested),
                (git_ref, request),
                "{spec} {requested:?}"
            );
        }
    }

    #[test]
    fn each_ref_is_needed_once() {
        let refs = |spec, requested| {
            let sync = GatewaySync::sample()
                .git_ref(spec)
                .requested(requested, None);
            let refs = desired(&sync).lookup.unwrap().refs();
            refs.iter().map(GitRef::to_string).collect::<Vec<_>>()
        };
        assert_eq!(refs("main", "main"), ["main"]);
        assert_eq!(refs("main", "v1"), ["v1", "1"]);
        assert_eq!(refs("1", "v1"), ["v1", "1"]);
        assert_eq!(
            refs("1", "refs/tags/v1"),
            ["refs/tags/v1", "1", "refs/tags/1", "v1"]
        );
    }

    #[test]
    fn an_invalid_ref_or_repository_is_an_error() {
        let invalid = |sync: &GatewaySync| match desired(sync).lookup.unwrap_err() {
            Unresolvable::Invalid(error) => error,
            other => panic!("{other:?}"),
        };
        let requested = invalid(&GatewaySync::sample().requested("--upload-pack=x", None));
        assert!(
            matches!(&requested, ControllerError::Ref { text, .. } if text == "--upload-pack=x")
        );
        let empty = invalid(&GatewaySync::sample().git_ref(""));
        assert!(matches!(empty, ControllerError::Ref { .. }));
        let repo = invalid(&GatewaySync::sample().repo("/srv/git"));
        assert!(matches!(repo, ControllerError::Repo(_)));
        for error in [requested, empty, repo] {
            assert!(error.is_final());
            assert_eq!(error.reason(), "RefResolutionFailed");
        }
    }

    #[test]
    fn the_host_key_that_was_seen_first_or_accepted_is_pinned() {
        let sync = GatewaySync::sample()
            .repo("git@example.com:o/r.git")
            .with(|sync| {
                sync.status.get_or_insert_default().ssh_host_key = Some(stoker_api::SshHostKey {
                    server: "example.com:22".to_owned(),
                    key: "ssh-ed25519 SHA256:seen".to_owned(),
                });
            });
        let ssh = |known_hosts: Option<&str>| Credentials::SshKey {
            private_key: stoker_git::Sensitive::new("key"),
            known_hosts: known_hosts.map(Into::into),
        };
        let pinned = |sync: &GatewaySync, credentials: &Credentials| {
            let remote = lookup(sync, credentials).unwrap().remote;
            remote.pinned_host_key().map(str::to_owned)
        };
        assert_eq!(
            pinned(&sync, &ssh(None)).as_deref(),
            Some("ssh-ed25519 SHA256:seen")
        );
        assert_eq!(pinned(&sync, &ssh(Some("example.com ssh-ed25519 A"))), None);
        assert_eq!(pinned(&sync, &Credentials::Anonymous), None);
        for other in ["git@example.org:o/r.git", "ssh://git@example.com:2222/o/r"] {
            assert_eq!(pinned(&sync.clone().repo(other), &ssh(None)), None);
        }
        let accepted = sync.with(|sync| {
            let annotations = sync.metadata.annotations.get_or_insert_default();
            let name = stoker_api::names::annotation::ACCEPTED_HOST_KEY;
            annotations.insert(name.to_owned(), " SHA256:accepted ".to_owned());
        });
        assert_eq!(
            pinned(&accepted, &ssh(None)).as_deref(),
            Some("SHA256:accepted")
        );
    }

    #[test]
    fn the_certificates_of_the_spec_are_trusted() {
        for (bundle, expected) in [
            (None, None),
            (Some(" "), None),
            (Some("PEM\n"), Some("PEM")),
        ] {
            let bundle = bundle.map(str::to_owned);
            let sync = GatewaySync::sample().with(|sync| sync.spec.git.ca_bundle = bundle);
            assert_eq!(desired(&sync).lookup.unwrap().remote.ca_bundle(), expected);
        }
    }

    #[test]
    fn the_spec_says_whether_host_keys_are_verified() {
        let with = |auth| desired(&GatewaySync::sample().auth(auth));
        assert_eq!(with(json!({})).host_keys_verified, None);
        let secret = json!({"name": "s", "key": "k"});
        let token = with(json!({"token": {"secretRef": secret}}));
        assert_eq!(token.host_keys_verified, None);
        let ssh = with(json!({"sshKey": {"secretRef": secret}}));
        assert_eq!(ssh.host_keys_verified, Some(false));
        let known =
            with(json!({"sshKey": {"secretRef": secret, "knownHosts": {"secretRef": secret}}}));
        assert_eq!(known.host_keys_verified, Some(true));
    }
}
