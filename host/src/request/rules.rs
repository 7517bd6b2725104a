//! The rules of `spec.webhook`: which of the announced refs may be requested for an object.

mod pattern;
mod refs;
mod versions;

use stoker_api::detection::{Detection, GitRef, RefName, RepoUrl};
use stoker_api::{OrderCheck, RepositoryCheck, WebhookSpec};

use super::Ignored;
use pattern::Patterns;
use refs::RefRule;
use versions::VersionRange;

/// The maximum number of names of repositories in a message.
const MAX_NAMES: usize = 3;

/// The rules of one object, parsed.
#[derive(Debug)]
pub(super) struct Rules {
    repository: RepositoryRule,
    refs: RefRule,
    events: Option<Patterns>,
    versions: Option<VersionRange>,
    /// Whether events that happened earlier than the last accepted one are ignored.
    pub(super) is_order_checked: bool,
}

impl Rules {
    /// Parses the rules of an object that follows a repository. The error names the field and what is wrong with it.
    pub(super) fn parse(webhook: &WebhookSpec, repo: &str) -> Result<Self, String> {
        let events = webhook.events.as_deref().map(Patterns::of_events);
        let versions = webhook.semver.as_deref().map(VersionRange::parse);
        Ok(Self {
            repository: RepositoryRule {
                check: webhook.repository_check.unwrap_or_default(),
                followed: RepoUrl::parse(repo).map_err(|error| error.to_string()),
            },
            refs: RefRule::parse(webhook.refs.as_deref()).map_err(in_field("refs"))?,
            events: events.transpose().map_err(in_field("events"))?,
            versions: versions.transpose().map_err(in_field("semver"))?,
            is_order_checked: webhook.order_check.unwrap_or_default() == OrderCheck::Strict,
        })
    }

    /// Returns the detections that the rules accept, in the sender's order.
    ///
    /// If the rules accept none, the result is the reason why the detection that came furthest is not accepted.
    pub(super) fn accepted<'d>(
        &self,
        detections: &'d [Detection],
    ) -> Result<Vec<&'d Detection>, Rejection> {
        let own = self.repository.own(detections)?;
        let (mut accepted, mut furthest) = (Vec::new(), None::<(u8, Ignored)>);
        for detection in own {
            match self.judge(detection) {
                Ok(()) => accepted.push(detection),
                Err((step, reason)) => {
                    if furthest.as_ref().is_none_or(|(before, _)| *before < step) {
                        furthest = Some((step, reason));
                    }
                }
            }
        }
        match furthest {
            Some((_, reason)) if accepted.is_empty() => Err(Rejection::Ignored(reason)),
            _ => Ok(accepted),
        }
    }

    /// Returns the full name of a bare name of which the object accepts only one kind. An object that accepts versions
    /// only accepts tags only. The name of a tag stays bare only if a branch of the name would be accepted too.
    pub(super) fn qualify(&self, detection: &Detection) -> Option<GitRef> {
        let git_ref = &detection.git_ref;
        let is_tag =
            self.versions.is_some() || detection.is_tag && self.refs.check(git_ref).is_err();
        if is_tag {
            tag(git_ref)
        } else {
            self.refs.qualify(git_ref)
        }
    }

    /// Applies the rules about the ref, the event and the version. The error contains the number of the step.
    fn judge(&self, detection: &Detection) -> Result<(), (u8, Ignored)> {
        let git_ref = &detection.git_ref;
        // If a branch of the name is not meant, the patterns apply to the tag.
        let means_tag = detection.is_tag || self.versions.is_some();
        let tag = means_tag.then(|| tag(git_ref)).flatten();
        self.refs
            .check(tag.as_ref().unwrap_or(git_ref))
            .map_err(|why| {
                let git_ref = git_ref.clone();
                (0, Ignored::RefNotAccepted { git_ref, why })
            })?;
        if let Some(events) = &self.events {
            let event = detection.event.as_deref();
            // What excludes some events does not require one.
            if !event.map_or(events.includes.is_empty(), |event| events.accept(event)) {
                let event = detection.event.clone();
                return Err((1, Ignored::EventNotAccepted { event }));
            }
        }
        if let Some(versions) = &self.versions {
            versions.check(git_ref).map_err(|why| {
                let git_ref = git_ref.clone();
                (2, Ignored::VersionNotAccepted { git_ref, why })
            })?;
        }
        Ok(())
    }
}

/// Returns the tag that a bare name means, or `None` for another ref.
fn tag(git_ref: &GitRef) -> Option<GitRef> {
    match git_ref.name() {
        RefName::Bare(name) => GitRef::parse(&format!("refs/tags/{name}")).ok(),
        _ => None,
    }
}

/// The reason why no detection is accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The rules exclude all detections.
    Ignored(Ignored),
    /// The rules cannot be applied, because a field of the object is invalid.
    Invalid(String),
}

/// Which repositories a delivery may be about.
#[derive(Debug)]
struct RepositoryRule {
    check: RepositoryCheck,
    /// `spec.git.repo`, or why it is invalid.
    followed: Result<RepoUrl, String>,
}

impl RepositoryRule {
    /// Returns the detections that are about the object's repository.
    fn own<'d>(&self, detections: &'d [Detection]) -> Result<Vec<&'d Detection>, Rejection> {
        // All refs of a push have the same names of the repository, and there may be thousands.
        let mut latest: Option<(&[String], bool)> = None;
        let mut own = Vec::with_capacity(detections.len());
        for detection in detections {
            let names = detection.repositories.as_slice();
            let is_own = match latest {
                Some((before, is_own)) if before == names => is_own,
                _ => self.accepts(names)?,
            };
            latest = Some((names, is_own));
            if is_own {
                own.push(detection);
            }
        }
        match &self.followed {
            Ok(followed) if own.is_empty() => {
                Err(Rejection::Ignored(foreign(detections, followed)))
            }
            _ => Ok(own),
        }
    }

    fn accepts(&self, names: &[String]) -> Result<bool, Rejection> {
        let is_strict = match self.check {
            RepositoryCheck::Off => return Ok(true),
            RepositoryCheck::Lenient if names.is_empty() => return Ok(true),
            RepositoryCheck::Lenient => false,
            RepositoryCheck::Strict => true,
        };
        let followed = self.followed.as_ref();
        let followed =
            followed.map_err(|why| Rejection::Invalid(format!("spec.git.repo: {why}")))?;
        Ok(names.iter().any(|name| {
            if is_strict {
                followed.is_named_in_full_by(name)
            } else {
                followed.is_named_by(name)
            }
        }))
    }
}

/// Returns the reason for ignoring a delivery that is about other repositories, or that names none.
fn foreign(detections: &[Detection], followed: &RepoUrl) -> Ignored {
    let mut named = Vec::new();
    for name in detections.iter().flat_map(|one| &one.repositories) {
        // A URL may contain a credential.
        let name = RepoUrl::display_name(name);
        if !named.contains(&name) {
            named.push(name);
        }
        if named.len() == MAX_NAMES {
            break;
        }
    }
    let followed = followed.to_string();
    if named.is_empty() {
        Ignored::NoRepository { followed }
    } else {
        let named = named.join(", ");
        Ignored::OtherRepository { named, followed }
    }
}

fn in_field(field: &'static str) -> impl Fn(String) -> String {
    move |why| format!("spec.webhook.{field}: {why}")
}

#[cfg(test)]
mod tests;
