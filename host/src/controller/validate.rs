//! Second step: what the object's texts mean. Pure.

use std::time::Duration;

use super::error::ControllerError;
use super::{duration, profiles};
use crate::api::{GatewaySync, GitAuth, Polling};
use crate::detection::{GitRef, RepoUrl};

/// What holds where the interval is no duration.
const FALLBACK_INTERVAL: Duration = Duration::from_mins(1);
/// An interval below this is one second: a slip such as `60ms` must not become a flood at the git server.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// An object whose texts were read.
#[derive(Debug)]
pub(super) struct Validated {
    /// What to ask the repository, unless the repository's address or the ref is none.
    pub(super) target: Result<Target, ControllerError>,
    /// What keeps the profiles from being used.
    pub(super) profiles: Result<(), String>,
    /// How often the repository is asked without a request; never, if there is none.
    pub(super) interval: Option<Duration>,
    /// What is wrong with the interval.
    pub(super) interval_fault: Option<String>,
    /// Whether ssh host keys are checked, where ssh is used.
    pub(super) host_keys_checked: Option<bool>,
    /// Whether the object has credentials for the repository.
    pub(super) has_credentials: bool,
}

/// What to ask the repository.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) repo: RepoUrl,
    pub(super) git_ref: GitRef,
    pub(super) request: Request,
}

/// How a requested ref relates to the one of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// There is none.
    Absent,
    /// It is another one.
    Differs,
    /// It is the same text.
    Same,
    /// It is the same name in other words. Whether both mean the same, only the repository can tell.
    Alias(GitRef),
}

/// Reads the texts of an object.
pub(super) fn validate(sync: &GatewaySync) -> Validated {
    let spec = &sync.spec;
    let (interval, interval_fault) = interval(&spec.polling.clone().unwrap_or_default());
    let auth = spec.git.auth.as_ref();
    Validated {
        target: target(sync),
        profiles: profiles::check(&spec.sync),
        interval,
        interval_fault,
        host_keys_checked: auth
            .and_then(|auth| auth.ssh_key.as_ref())
            .map(|key| key.known_hosts.is_some()),
        has_credentials: auth.is_some_and(|auth| *auth != GitAuth::default()),
    }
}

fn target(sync: &GatewaySync) -> Result<Target, ControllerError> {
    let git = &sync.spec.git;
    let repo = RepoUrl::parse(&git.repo).map_err(ControllerError::Repo)?;
    let text = sync.requested_ref().unwrap_or(&git.git_ref);
    let git_ref = GitRef::parse(text).map_err(|source| ControllerError::Ref {
        text: text.chars().take(64).collect(),
        source,
    })?;
    let request = match sync.requested_ref() {
        None => Request::Absent,
        Some(requested) if requested == git.git_ref => Request::Same,
        Some(_) => match GitRef::parse(&git.git_ref) {
            Ok(spec) if bare_name(&spec) == bare_name(&git_ref) => Request::Alias(spec),
            _ => Request::Differs,
        },
    };
    Ok(Target {
        repo,
        git_ref,
        request,
    })
}

/// The name without `refs/heads/` or `refs/tags/` and without one leading `v`.
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
    use crate::controller::tests::fixture::GatewaySyncExt as _;

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
    fn an_interval_that_is_none_is_a_minute_and_told() {
        let (interval, fault) = interval(&polling(true, "5 minutes"));
        assert_eq!(interval, Some(Duration::from_mins(1)));
        assert!(
            fault
                .unwrap()
                .starts_with("\"5 minutes\" is not a duration")
        );
    }

    #[test]
    fn the_requested_ref_goes_before_the_spec() {
        let alias = |text| Request::Alias(GitRef::parse(text).unwrap());
        let cases = [
            ("main", None, "main", Request::Absent),
            ("main", Some(""), "main", Request::Absent),
            ("main", Some("main"), "main", Request::Same),
            ("main", Some("dev"), "dev", Request::Differs),
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
            ("vv1", Some("1"), "1", Request::Differs),
            ("", Some("v1"), "v1", Request::Differs),
        ];
        for (spec, requested, git_ref, request) in cases {
            let mut sync = GatewaySync::sample().git_ref(spec);
            if let Some(requested) = requested {
                sync = sync.requested(requested, None);
            }
            let target = validate(&sync).target.unwrap();
            assert_eq!(
                (target.git_ref.as_str(), target.request),
                (git_ref, request),
                "{spec} {requested:?}"
            );
        }
    }

    #[test]
    fn a_ref_or_repository_that_is_none_is_refused() {
        let requested = validate(&GatewaySync::sample().requested("--upload-pack=x", None))
            .target
            .unwrap_err();
        assert!(
            matches!(&requested, ControllerError::Ref { text, .. } if text == "--upload-pack=x")
        );
        let empty = validate(&GatewaySync::sample().git_ref(""))
            .target
            .unwrap_err();
        assert!(matches!(empty, ControllerError::Ref { .. }));
        let repo = validate(&GatewaySync::sample().repo("/srv/git"))
            .target
            .unwrap_err();
        assert!(matches!(repo, ControllerError::Repo(_)));
        for error in [requested, empty, repo] {
            assert!(error.is_final());
            assert_eq!(error.reason(), "RefResolutionFailed");
        }
    }

    #[test]
    fn tells_how_the_repository_is_signed_in_at() {
        let with = |auth| validate(&GatewaySync::sample().auth(auth));
        let plain = with(json!({}));
        assert_eq!(
            (plain.host_keys_checked, plain.has_credentials),
            (None, false)
        );
        let secret = json!({"name": "s", "key": "k"});
        let token = with(json!({"token": {"secretRef": secret}}));
        assert_eq!(
            (token.host_keys_checked, token.has_credentials),
            (None, true)
        );
        let ssh = with(json!({"sshKey": {"secretRef": secret}}));
        assert_eq!(
            (ssh.host_keys_checked, ssh.has_credentials),
            (Some(false), true)
        );
        let known =
            with(json!({"sshKey": {"secretRef": secret, "knownHosts": {"secretRef": secret}}}));
        assert_eq!(known.host_keys_checked, Some(true));
    }
}
