//! Third step: the commit of the ref. Looks it up in the repository, together with the other objects of the repository,
//! unless the last lookup is still valid.

use std::collections::HashMap;
use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef, ObjectKey, RefName};
use stoker_api::names::reason;
use stoker_api::{SshHostKey, SyncedRefKind};
use stoker_git::{RefKind, RefSource, ResolvedRef};

use super::Context;
use super::error::MissingSecret;
use super::state::{Lookup, ResolvedCommit, Retry, Usable};
use super::validate::{Desired, RefLookup, RequestedRef, Unresolvable};
use crate::lookups::{HostWait, LookupError, Question};

/// The delay until the pass that notices what no watch reports, such as a Secret that was removed, if there is no pass
/// earlier. The polls of a remote start a pass of one of its objects.
const CHECK: Duration = Duration::from_mins(5);
/// The shortest time after which a token is replaced, in case that GitHub issues tokens that end at once.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(30);

/// The delay until a pass that waits for a git server is repeated, if the answer does not start it earlier. It is longer
/// than any lookup.
const PENDING_RETRY: Duration = Duration::from_mins(2);

/// The commit is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    /// The time until the next pass, if the answer of the git server does not start it earlier.
    pub(super) next: Duration,
}

/// The git server has not answered yet.
const UNANSWERED: Pending = Pending {
    next: PENDING_RETRY,
};

/// The result of the step.
#[derive(Debug, Clone)]
pub(super) enum Resolution {
    /// The ref has a commit.
    Resolved(ResolutionSuccess),
    /// The ref is invalid, or its lookup failed.
    Failed(ResolutionFailure),
    /// The ref was not looked up, because a Secret with credentials is missing.
    Blocked(Blocked),
}

/// A ref and its commit.
#[derive(Debug, Clone)]
pub(super) struct ResolutionSuccess {
    pub(super) found: ResolvedCommit,
    /// The commit that the sender of the request announced, if the server does not have it.
    pub(super) missing: Option<CommitId>,
    /// The host key of the ssh server, if the repository was read by ssh.
    pub(super) host_key: Option<SshHostKey>,
    /// Whether the requested ref can be removed without a change of what is resolved.
    pub(super) request_is_obsolete: bool,
    /// The time until the next check of what no watch reports, or until the token of the object's GitHub App is to be
    /// replaced. `None` without both.
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

/// Resolves the ref of an object. Without a commit, it is pending while the git server has not answered, or while the
/// server seems to be behind what the sender of the request announces. The answer starts the next pass.
pub(super) async fn resolve<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    desired: &Desired,
) -> Result<Resolution, Pending> {
    let retry = || {
        let (states, lookup_key) = (&context.states, &desired.lookup_key);
        states.record_failure(key, lookup_key, None)
    };
    let unresolvable = match &desired.lookup {
        Ok(wanted) => return look_up_and_decide(context, key, desired, wanted).await,
        Err(unresolvable) => unresolvable,
    };
    context.lookups.forget(key);
    let (reason, message, retry) = match unresolvable {
        Unresolvable::MissingSecret(secret) => {
            let (secret, retry) = (secret.clone(), retry());
            return Ok(Resolution::Blocked(Blocked { secret, retry }));
        }
        Unresolvable::Credentials(error) => {
            let message = stoker_report::chain(error).to_string();
            (error.reason(), message, Some(retry()))
        }
        Unresolvable::Invalid(error) => {
            let message = stoker_report::chain(error).to_string();
            (error.reason(), message, None)
        }
    };
    Ok(Resolution::Failed(ResolutionFailure {
        reason,
        message,
        retry,
    }))
}

async fn look_up_and_decide<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    desired: &Desired,
    wanted: &RefLookup,
) -> Result<Resolution, Pending> {
    let Found { lookup, host, next } = look_up(context, key, desired, wanted).await?;
    Ok(match lookup.result {
        Ok(found) => Resolution::Resolved(ResolutionSuccess {
            missing: lookup.missing,
            host_key: host_key(context, wanted),
            request_is_obsolete: match wanted.requested {
                RequestedRef::Absent | RequestedRef::Differs => false,
                RequestedRef::Same => true,
                RequestedRef::Alias(_) => found.alias_agrees,
            },
            found,
            next_pass: [next_pass(context, desired), next]
                .into_iter()
                .flatten()
                .min(),
        }),
        Err(message) => {
            let (states, lookup_key) = (&context.states, &desired.lookup_key);
            let retry = states.record_failure(key, lookup_key, host);
            Resolution::Failed(ResolutionFailure {
                reason: reason::REF_RESOLUTION_FAILED,
                message,
                retry: Some(Retry {
                    left: next.map_or(retry.left, |next| next.min(retry.left)),
                    ..retry
                }),
            })
        }
    })
}

/// What is known of an object's refs.
struct Found {
    lookup: Lookup,
    /// The time for which the host is not asked, after an error.
    host: Option<HostWait>,
    /// The time until a newer lookup is needed, if it is known.
    next: Option<Duration>,
}

impl Found {
    fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            host: None,
            next: None,
        }
    }
}

fn host_key<G: RefSource>(context: &Context<G>, wanted: &RefLookup) -> Option<SshHostKey> {
    let key = context.lookups.host_key(&wanted.remote)?;
    Some(SshHostKey {
        server: wanted.remote.url().ssh_server(),
        key: key.to_string(),
    })
}

fn next_pass<G>(context: &Context<G>, desired: &Desired) -> Option<Duration> {
    // Two intervals, so that an object on its own remote has no passes between its polls.
    let check = desired
        .interval
        .map(|interval| CHECK.max(interval.saturating_mul(2)));
    let renewal = desired.app_token.as_ref().map(|token| {
        let left = token.renewal().duration_since((context.clock)());
        Duration::try_from(left)
            .unwrap_or_default()
            .max(SHORTEST_RENEWAL)
    });
    [check, renewal].into_iter().flatten().min()
}

/// Returns the result of the last lookup of an object's refs, or of a new one if that is too old. If the server does not
/// answer at once, returns the last commit for the same spec and request, if there is one. The object is then woken later.
/// While the server seems to be behind, nothing is stored, so that the next pass looks again.
async fn look_up<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    desired: &Desired,
    wanted: &RefLookup,
) -> Result<Found, Pending> {
    let (states, lookup_key) = (&context.states, &desired.lookup_key);
    let requested_at = lookup_key.requested_at();
    let arrived =
        requested_at.and_then(|at| context.lookups.take_prefetch(key, &wanted.git_ref, at));
    let usable = states.usable(key, lookup_key, desired.interval, arrived);
    let (not_before, is_first, is_requested) = match usable {
        Usable::Lookup { lookup, next } => {
            return Ok(Found {
                next,
                ..Found::new(lookup)
            });
        }
        Usable::Later(next) => return Err(Pending { next }),
        Usable::NotBefore {
            at,
            is_first,
            is_requested,
        } => (at, is_first, is_requested),
    };
    let last_commit = states.last_commit(key, lookup_key);
    let refs = wanted.refs();
    let question = Question {
        object: key,
        remote: &wanted.remote,
        refs: &refs,
        not_before,
        is_requested,
        interval: desired.interval,
    };
    let Some(reply) = context.lookups.look_up(question).await else {
        return last_commit.map(Found::new).ok_or(UNANSWERED);
    };
    let results: HashMap<_, _> = refs.iter().zip(reply.results).collect();
    let result = commit(wanted, &results);
    let announced = wanted.announced.as_ref().filter(|_| is_first);
    let missing = announced.filter(|announced| announced.is_missing(&result));
    if missing.is_some()
        && let Some(next) = states.record_behind(key, lookup_key)
    {
        return Err(Pending { next });
    }
    let refused = result.as_ref().err().and_then(LookupError::refused_for);
    let host = refused.or_else(|| context.lookups.host_wait(key).filter(|_| result.is_err()));
    let lookup = Lookup {
        at: reply.began,
        result: result.map_err(|error| error.message()),
        missing: missing.map(|announced| announced.commit.clone()),
    };
    let lookup = if let Some(HostWait { left, .. }) = refused {
        states.store_refusal(key, lookup_key, lookup, left)
    } else {
        states.store_lookup(key, lookup_key, lookup.clone());
        lookup
    };
    Ok(Found {
        // A lookup that found a commit stays while the host is not asked.
        next: refused
            .filter(|_| lookup.result.is_ok())
            .map(|wait| wait.left),
        lookup,
        host,
    })
}

type Results<'a> = HashMap<&'a GitRef, Result<ResolvedRef, LookupError>>;

/// Returns the commit of the effective ref.
fn commit(wanted: &RefLookup, results: &Results<'_>) -> Result<ResolvedCommit, LookupError> {
    let resolved = in_either_spelling(&wanted.git_ref, results)?;
    let alias_agrees = match &wanted.requested {
        RequestedRef::Alias(spec) => {
            in_either_spelling(spec, results).is_ok_and(|other| is_same(&other, &resolved))
        }
        RequestedRef::Absent | RequestedRef::Differs | RequestedRef::Same => false,
    };
    Ok(ResolvedCommit {
        git_ref: wanted.git_ref.clone(),
        commit: resolved.commit().clone(),
        kind: kind(resolved.kind()),
        short_name: short_name(&resolved),
        alias_agrees,
    })
}

/// Returns the short name of a tag or a branch. `None` if it would mean something else: a commit, or the tag where the
/// branch of the same name is meant, or the other way around. `git clone` takes the branch then, and `git fetch` the tag.
fn short_name(resolved: &ResolvedRef) -> Option<String> {
    if resolved.is_short_name_shared() {
        return None;
    }
    let full_name = GitRef::parse(resolved.full_name()?).ok()?;
    let (RefName::Tag(name) | RefName::Branch(name)) = full_name.name() else {
        return None;
    };
    let short = GitRef::parse(name).ok()?;
    matches!(short.name(), RefName::Bare(_)).then(|| name.to_owned())
}

/// Returns what a ref points to. If the repository has no such ref, but one with or without a leading `v`, that one is
/// meant.
fn in_either_spelling(git_ref: &GitRef, results: &Results<'_>) -> Result<ResolvedRef, LookupError> {
    let result = |git_ref: &GitRef| {
        let result = results.get(git_ref).cloned();
        result.unwrap_or(Err(LookupError::Aborted))
    };
    match result(git_ref) {
        Err(missing) if missing.is_missing_ref() => {
            let other = git_ref.other_spelling().map(|other| result(&other));
            other.and_then(Result::ok).ok_or(missing)
        }
        result => result,
    }
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
