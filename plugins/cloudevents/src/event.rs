use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, cloud_event, push, release, text};

use crate::cdevents::Announcement;
use crate::data::{self, Unreadable};

/// A header of events in binary mode. In this mode, the attributes are headers and the data is the body (CloudEvents,
/// HTTP protocol binding, 3.1).
pub(crate) const BINARY: &str = "ce-specversion";

/// The place of the type of an event in structured mode.
pub(crate) const TYPE: &str = "/type";

/// The place of the ref in the data, unless the settings name another.
const REF: &str = "/ref";
/// The place of what happened to a release.
const ACTION: &str = "/action";

/// The settings.
pub(crate) struct Options {
    types: Option<String>,
    place: Result<Option<String>, Malformed>,
}

impl Options {
    pub(crate) fn of(request: &impl Request) -> Self {
        Self {
            types: request.configured("type"),
            place: request.configured_pointer("ref"),
        }
    }
}

/// The attributes of an event.
pub(crate) struct Event {
    kind: String,
    id: Option<String>,
    time: Option<String>,
    /// The pointer to the event in structured mode; `None` in binary mode.
    at: Option<&'static str>,
}

impl Event {
    /// Values of headers are percent-encoded (HTTP protocol binding, 3.1.3.2).
    pub(crate) fn binary(request: &impl Request) -> Result<Self, Malformed> {
        let header = |name| Some(text::percent_decoded(&request.header(name)?));
        version(header(BINARY), BINARY)?;
        let Some(kind) = header("ce-type").filter(|kind| !kind.is_empty()) else {
            return Err(Malformed::at("ce-type", "is missing"));
        };
        Ok(Self {
            kind,
            id: cloud_event::id(header("ce-source"), header("ce-id")),
            time: header("ce-time"),
            at: None,
        })
    }

    /// The attributes are members beside the data (CloudEvents, JSON event format, 3).
    pub(crate) fn structured(request: &impl Request) -> Result<Self, Malformed> {
        let pointer = "/specversion";
        version(request.string_at(pointer), pointer)?;
        Ok(Self {
            kind: request.required(TYPE)?,
            id: cloud_event::id(request.string_at("/source"), request.string_at("/id")),
            time: request.string_at("/time"),
            at: Some(""),
        })
    }

    pub(crate) fn announce(
        self,
        request: &impl Request,
        options: &Options,
    ) -> Result<Outcome, Malformed> {
        if self.kind.starts_with("harbor.") {
            return Ok(Outcome::NotMine);
        }
        let types = options.types.as_deref();
        if types.is_some_and(|types| !text::matches_any(types, &self.kind)) {
            return Ok(self.ignored());
        }
        let cdevent = match self.kind.strip_prefix("dev.cdevents.") {
            Some(kind) => match Announcement::of(kind) {
                Some(announcement) => Some(announcement),
                None => return Ok(self.ignored()),
            },
            None => None,
        };
        let data = match data::of_event(request, self.at) {
            Ok(data) => data,
            Err(Unreadable::Malformed(why)) => return Err(why),
            Err(Unreadable::NotJson(why)) if types.is_some() || cdevent.is_some() => {
                return Err(why);
            }
            Err(Unreadable::NotJson(Malformed(why))) => {
                return Ok(Outcome::ignored(&["event ", &self.kind, ": ", &why]));
            }
        };
        let outcome = match cdevent {
            Some(announcement) => announcement.outcome(&data)?,
            None => self.other(&data, options)?,
        };
        // In binary mode, a signature does not cover the attributes. What the data says is covered.
        let time = push::occurred_at(&data).or(self.time);
        Ok(match outcome {
            Outcome::Found(found) => Outcome::Found(
                found
                    .into_iter()
                    .map(|one| {
                        let time = one.occurred_at.clone().or_else(|| time.clone());
                        one.event(self.kind.clone())
                            .occurred_at(time)
                            .delivery_id(self.id.clone())
                    })
                    .collect(),
            ),
            other => other,
        })
    }

    /// An event that is not a CDEvent announces the ref, or the published release, in its data.
    fn other(&self, data: &impl Request, options: &Options) -> Result<Outcome, Malformed> {
        let is_there = |place| data.kind_at(place).is_some();
        if let Some(place) = options.place.clone()? {
            return if options.types.is_some() || is_there(&place) {
                at_configured_place(data, &place)
            } else {
                Ok(self.ignored())
            };
        }
        if !is_there(REF) && is_there(release::TAG) {
            released(data)
        } else if options.types.is_some() || is_there(REF) {
            pushed(data)
        } else {
            Ok(self.ignored())
        }
    }

    fn ignored(&self) -> Outcome {
        Outcome::ignored(&["event ", &self.kind])
    }
}

/// The settings decide which event announces a ref.
fn at_configured_place(data: &impl Request, place: &str) -> Result<Outcome, Malformed> {
    let git_ref = data.required(place)?;
    if push::is_deletion(data) {
        return Ok(Outcome::deleted(&git_ref));
    }
    Ok(detection(data, git_ref).into())
}

fn pushed(data: &impl Request) -> Result<Outcome, Malformed> {
    if let Some(outcome) = push::other_event(data) {
        return Ok(outcome);
    }
    let name = data.required(REF)?;
    if push::is_deletion(data) {
        return Ok(Outcome::deleted(&name));
    }
    let git_ref = push::full_name(data, name);
    if let Some(outcome) = push::test_delivery(data, &git_ref) {
        return Ok(outcome);
    }
    Ok(detection(data, git_ref).into())
}

fn released(data: &impl Request) -> Result<Outcome, Malformed> {
    let action = data
        .kind_at(ACTION)
        .map(|_| data.required(ACTION))
        .transpose()?;
    let about = Detection::default().repositories(push::repositories(data));
    release::announced(data, action.as_deref(), about)
}

fn detection(data: &impl Request, git_ref: String) -> Detection {
    let commit = push::commit(data, &git_ref);
    Detection::new(git_ref)
        .commit(commit)
        .repositories(push::repositories(data))
}

/// Within a major version, attributes are only added. Version 0.3 also has the attributes that are read here.
fn version(version: Option<String>, place: &str) -> Result<(), Malformed> {
    let is_known =
        |version: String| version == "1" || version.starts_with("1.") || version == "0.3";
    if version.is_some_and(is_known) {
        Ok(())
    } else {
        Err(Malformed::at(place, "is neither 1.0 nor 0.3"))
    }
}
