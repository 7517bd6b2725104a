//! Third step: the commit of the ref in use. Asks the git client, and only where what is remembered does not answer.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Context;
use super::error::{ControllerError, GIT_TIMEOUT};
use super::memory::{Found, Look, Matter, Retry};
use super::validate::{Request, Target, Validated};
use crate::api::SyncedRefKind;
use crate::api::names::reason;
use crate::detection::{GitRef, ObjectKey, RepoUrl};
use crate::git::{RefKind, RefSource, ResolvedRef};
use crate::report;

/// What became of the ref in use.
#[derive(Debug, Clone)]
pub(super) enum Resolution {
    /// It has a commit.
    Resolved(Resolved),
    /// It has none.
    Unresolved(Unresolved),
}

/// A ref and its commit.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) git_ref: GitRef,
    pub(super) found: Found,
    /// Whether the requested ref can be taken away without changing what is resolved.
    pub(super) request_is_obsolete: bool,
    /// When to look again.
    pub(super) next_look: Option<Duration>,
}

/// A ref without a commit.
#[derive(Debug, Clone)]
pub(super) struct Unresolved {
    pub(super) reason: &'static str,
    pub(super) text: String,
    /// When to try again; never, where only a change of the object can help.
    pub(super) retry: Option<Retry>,
}

/// Finds the commit of the ref in use.
pub(super) async fn resolve<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    matter: &Matter,
    validated: &Validated,
) -> Resolution {
    let target = match &validated.target {
        Ok(target) => target,
        Err(error) => {
            let text = report::chain(error).to_string();
            return Resolution::Unresolved(Unresolved {
                reason: error.reason(),
                text,
                retry: None,
            });
        }
    };
    let started = Instant::now();
    let look = match context.memory.recall(key, matter, validated.interval) {
        Some(look) => look,
        None => look(context, key, matter, validated, target).await,
    };
    context.metrics.observe_resolution(key, started.elapsed());
    match look.outcome {
        Ok(found) => Resolution::Resolved(Resolved {
            git_ref: target.git_ref.clone(),
            request_is_obsolete: match target.request {
                Request::Absent | Request::Differs => false,
                Request::Same => true,
                Request::Alias(_) => found.alias_agrees,
            },
            found,
            next_look: validated
                .interval
                .map(|interval| interval.saturating_sub(look.at.elapsed())),
        }),
        Err(text) => {
            let retry = Some(context.memory.fail(key, matter));
            Resolution::Unresolved(Unresolved {
                reason: reason::REF_RESOLUTION_FAILED,
                text,
                retry,
            })
        }
    }
}

async fn look<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    matter: &Matter,
    validated: &Validated,
    target: &Target,
) -> Look {
    let at = Instant::now();
    let outcome = match ask(&*context.git, &target.repo, &target.git_ref).await {
        Ok(resolved) => {
            let alias_agrees = match &target.request {
                Request::Alias(spec) => ask(&*context.git, &target.repo, spec)
                    .await
                    .is_ok_and(|other| is_same(&other, &resolved)),
                Request::Absent | Request::Differs | Request::Same => false,
            };
            Ok(Found {
                commit: resolved.commit().clone(),
                kind: kind(resolved.kind()),
                alias_agrees,
            })
        }
        Err(error) if validated.has_credentials => Err(format!(
            "{} (asked anonymously: the credentials in spec.git.auth are not used yet)",
            report::chain(&error)
        )),
        Err(error) => Err(report::chain(&error).to_string()),
    };
    let look = Look { at, outcome };
    context.memory.keep(key, matter, look.clone());
    look
}

async fn ask<G: RefSource>(
    git: &G,
    repo: &RepoUrl,
    git_ref: &GitRef,
) -> Result<ResolvedRef, ControllerError> {
    timeout(GIT_TIMEOUT, git.resolve(repo, git_ref))
        .await
        .map_err(|_| ControllerError::GitTimeout)?
        .map_err(ControllerError::from)
}

/// Whether both are the same thing. A tag and a branch on one commit are not: they part with the next push.
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
