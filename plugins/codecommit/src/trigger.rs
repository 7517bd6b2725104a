//! AWS CodeCommit, "Manage triggers for a repository".

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Detection, Malformed, Outcome, Request, list, pointer, text};

const RECORDS: &str = "/Records";
/// The pointer to the content of the first record. A trigger sends one record.
pub(crate) const FIRST: &str = "/Records/0/codecommit";

pub(crate) fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    list::changes(request, RECORDS, record)
}

fn record<R: Request>(request: &R, index: u32) -> Result<Outcome, Malformed> {
    let at = |rest| pointer::element(RECORDS, index, rest);
    let event = request.string_at(&at("/eventName")).unwrap_or_default();
    if event == "TriggerEventTest" {
        return Ok(Outcome::ignored(&["test of a trigger"]));
    }
    let arn = request.string_at(&at("/eventSourceARN"));
    let time = request.string_at(&at("/eventTime"));
    let about = Detection::default()
        .repositories(arn.as_deref().map(names).unwrap_or_default())
        .event(event)
        .occurred_at(time.as_deref().and_then(text::rfc3339))
        .delivery_id(request.string_at(&at("/eventId")));
    let references = at("/codecommit/references");
    list::changes(request, &references, |request, index| {
        reference(request, &references, index, &about)
    })
}

fn reference(
    request: &impl Request,
    references: &str,
    index: u32,
    about: &Detection,
) -> Result<Outcome, Malformed> {
    let at = |rest| pointer::element(references, index, rest);
    let git_ref = request.required(&at("/ref"))?;
    let id = request.string_at(&at("/commit")).unwrap_or_default();
    if request.is_true(&at("/deleted")) || text::is_zero_id(&id) {
        return Ok(Outcome::deleted(&git_ref));
    }
    // The id of an annotated tag may be that of the tag object.
    let commit = git_ref.starts_with("refs/heads/").then_some(id);
    let detection = Detection {
        git_ref,
        ..about.clone()
    };
    Ok(detection.commit(commit).into())
}

/// Returns the URL and the name of the repository with an ARN: `arn:aws:codecommit:REGION:ACCOUNT:NAME`.
fn names(arn: &str) -> Vec<String> {
    let mut parts = arn.splitn(6, ':').skip(3);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(region), Some(_), Some(name)) => Vec::from([address(region, name), name.into()]),
        _ => Vec::new(),
    }
}

/// Returns the URL of a repository. The regions in China have a domain of their own.
pub(crate) fn address(region: &str, name: &str) -> String {
    let domain = if region.starts_with("cn-") {
        ".amazonaws.com.cn/v1/repos/"
    } else {
        ".amazonaws.com/v1/repos/"
    };
    text::concat(&["https://git-codecommit.", region, domain, name])
}
