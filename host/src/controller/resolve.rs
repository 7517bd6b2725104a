//! Third step: the commit of the ref. Looks it up in the repository, unless the last lookup is still valid.

use std::time::Duration;

use jiff::Timestamp;
use stoker_api::SyncedRefKind;
use stoker_api::detection::{GitRef, ObjectKey};
use stoker_api::names::reason;
use stoker_git::{RefKind, RefSource, Remote, ResolvedRef};
use tokio::time::{Instant, timeout};

use super::Context;
use super::error::{ControllerError, GIT_TIMEOUT, MissingSecret};
use super::state::{Lookup, ResolvedCommit, Retry};
use super::validate::{Desired, LookupError, RefLookup, RequestedRef};

/// The shortest time after which a token is replaced, in case that GitHub issues tokens that end at once.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(30);

/// The result of the step.
#[derive(Debug, Clone)]
pub(super) enum Resolution {
    /// The ref has a commit.
    Resolved(Resolved),
    /// The ref is invalid, or its lookup failed.
    Failed(ResolutionFailure),
    /// The ref was not looked up, because a Secret with credentials is missing.
    Blocked(Blocked),
}

/// A ref and its commit.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) git_ref: GitRef,
    pub(super) found: ResolvedCommit,
    /// Whether the requested ref can be removed without a change of what is resolved.
    pub(super) request_is_obsolete: bool,
    /// The time until the next lookup, or until the token of the object's GitHub App is to be replaced. `None` without
    /// both.
    pub(super) next_pass: Option<Duration>,
}

/// A ref without a commit.
#[derive(Debug, Clone)]
pub(super) struct ResolutionFailure {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// The delay until the next try, or `None` if only a change of the object can help.
    pub(super) retry: Option<Retry>,
}

/// A step that waits for a Secret.
#[derive(Debug, Clone)]
pub(super) struct Blocked {
    pub(super) secret: MissingSecret,
    pub(super) retry: Retry,
}

/// Resolves the ref of an object.
pub(super) async fn resolve<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    desired: &Desired,
) -> Resolution {
    let wanted = match &desired.lookup {
        Ok(wanted) => wanted,
        Err(LookupError::MissingSecret(secret)) => {
            return Resolution::Blocked(Blocked {
                secret: secret.clone(),
                retry: context.states.record_failure(key, &desired.lookup_key),
            });
        }
        Err(LookupError::Credentials(error)) => {
            return Resolution::Failed(ResolutionFailure {
                reason: error.reason(),
                message: stoker_report::chain(error).to_string(),
                retry: Some(context.states.record_failure(key, &desired.lookup_key)),
            });
        }
        Err(LookupError::Invalid(error)) => {
            return Resolution::Failed(ResolutionFailure {
                reason: error.reason(),
                message: stoker_report::chain(error).to_string(),
                retry: None,
            });
        }
    };
    let started = Instant::now();
    let cached = context
        .states
        .cached_lookup(key, &desired.lookup_key, desired.interval);
    let lookup = match cached {
        Some(lookup) => lookup,
        None => look_up(context, key, desired, wanted).await,
    };
    context.metrics.observe_resolution(key, started.elapsed());
    match lookup.result {
        Ok(found) => Resolution::Resolved(Resolved {
            git_ref: wanted.git_ref.clone(),
            request_is_obsolete: match wanted.requested {
                RequestedRef::Absent | RequestedRef::Differs => false,
                RequestedRef::Same => true,
                RequestedRef::Alias(_) => found.alias_agrees,
            },
            found,
            next_pass: next_pass(desired, lookup.at, (context.clock)()),
        }),
        Err(message) => Resolution::Failed(ResolutionFailure {
            reason: reason::REF_RESOLUTION_FAILED,
            message,
            retry: Some(context.states.record_failure(key, &desired.lookup_key)),
        }),
    }
}

fn next_pass(desired: &Desired, looked_up: Instant, now: Timestamp) -> Option<Duration> {
    let poll = desired
        .interval
        .map(|interval| interval.saturating_sub(looked_up.elapsed()));
    let renewal = desired.app_token.as_ref().map(|token| {
        let left = token.renewal().duration_since(now);
        Duration::try_from(left)
            .unwrap_or_default()
            .max(SHORTEST_RENEWAL)
    });
    [poll, renewal].into_iter().flatten().min()
}

async fn look_up<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    desired: &Desired,
    wanted: &RefLookup,
) -> Lookup {
    let at = Instant::now();
    let git = &*context.git;
    let result = match look_up_ref(git, &wanted.remote, &wanted.git_ref).await {
        Ok(resolved) => {
            let alias_agrees = match &wanted.requested {
                RequestedRef::Alias(spec) => look_up_ref(git, &wanted.remote, spec)
                    .await
                    .is_ok_and(|other| is_same(&other, &resolved)),
                RequestedRef::Absent | RequestedRef::Differs | RequestedRef::Same => false,
            };
            Ok(ResolvedCommit {
                commit: resolved.commit().clone(),
                kind: kind(resolved.kind()),
                alias_agrees,
            })
        }
        Err(error) => Err(stoker_report::chain(&error).to_string()),
    };
    let lookup = Lookup { at, result };
    context
        .states
        .store_lookup(key, &desired.lookup_key, lookup.clone());
    lookup
}

async fn look_up_ref<G: RefSource>(
    git: &G,
    remote: &Remote,
    git_ref: &GitRef,
) -> Result<ResolvedRef, ControllerError> {
    let refs = std::slice::from_ref(git_ref);
    let mut results = timeout(GIT_TIMEOUT, git.resolve(remote, refs))
        .await
        .map_err(|_| ControllerError::GitTimeout)??;
    Ok(results.remove(0)?)
}

/// Returns whether two refs are the same. A tag and a branch with the same commit differ, because the next push moves
/// only the branch.
fn is_same(one: &ResolvedRef, other: &ResolvedRef) -> bool {
    one.commit() == other.commit() && kind(one.kind()) == kind(other.kind())
}

fn kind(kind: RefKind) -> SyncedRefKind {
    match kind {
        RefKind::Tag => SyncedRefKind::Tag,
        RefKind::Branch => SyncedRefKind::Branch,
        RefKind::Commit => SyncedRefKind::Commit,
        RefKind::Other => SyncedRefKind::Other,
    }
}
