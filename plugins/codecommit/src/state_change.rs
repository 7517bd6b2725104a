//! AWS CodeCommit, "Monitoring CodeCommit events in Amazon EventBridge".

use stoker_plugin::{Detection, Malformed, Outcome, Request, text};

/// The pointer to the name of the repository.
pub(crate) const REPOSITORY: &str = "/detail/repositoryName";
/// The pointer to the names of the repositories, in events of pull requests.
pub(crate) const REPOSITORIES: &str = "/detail/repositoryNames";
/// The pointer to the name of what happened. Events of approval rule templates name no repository.
pub(crate) const EVENT: &str = "/detail/event";

pub(crate) fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    const SOURCE: &str = "aws.codecommit";
    let source = request.string_at("/source");
    let is_named = request.kind_at(REPOSITORY).is_some();
    match source.as_deref() {
        // A body that is written by hand may have both.
        Some(SOURCE) if !is_named && request.has_ref() => return Ok(Outcome::NotMine),
        Some(SOURCE) if !is_named => {
            let kind = request.string_at("/detail-type").unwrap_or_default();
            return Ok(Outcome::ignored(&["event ", &kind]));
        }
        Some(SOURCE) => {}
        // A rule of EventBridge may send only a part of the event.
        None if is_named => {}
        _ => return Ok(Outcome::NotMine),
    }
    let event = request.required(EVENT)?;
    if !event.starts_with("reference") {
        return Ok(Outcome::ignored(&["event ", &event]));
    }
    let git_ref = request.required("/detail/referenceFullName")?;
    let id = request.string_at("/detail/commitId").unwrap_or_default();
    if event == "referenceDeleted" || text::is_zero_id(&id) {
        return Ok(Outcome::deleted(&git_ref));
    }
    // The id of an annotated tag may be that of the tag object.
    let commit = git_ref.starts_with("refs/heads/").then_some(id);
    let name = request.required(REPOSITORY)?;
    let address = request
        .string_at("/region")
        .map(|region| crate::trigger::address(&region, &name));
    Ok(Detection::new(git_ref)
        .commit(commit)
        .repositories(address)
        .repositories([name])
        .event(event)
        .occurred_at(request.string_at("/time"))
        .delivery_id(request.string_at("/id"))
        .into())
}
