use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, push, text};

use crate::cdevents;

/// The header that an event has whose attributes are headers, and whose data is the body (CloudEvents, HTTP protocol
/// binding, 3.1).
pub(crate) const BINARY: &str = "ce-specversion";

/// The attributes of an event, and the pointer to its data.
pub(crate) struct Event {
    kind: String,
    id: Option<String>,
    time: Option<String>,
    data: String,
}

impl Event {
    pub(crate) fn binary(request: &impl Request) -> Result<Self, Malformed> {
        version(request.header(BINARY), BINARY)?;
        let Some(kind) = request.header("ce-type").filter(|kind| !kind.is_empty()) else {
            return Err(Malformed::at("ce-type", "is missing"));
        };
        Ok(Self {
            kind,
            id: request.header("ce-id"),
            time: request.header("ce-time"),
            data: String::new(),
        })
    }

    /// The attributes are members beside the data (CloudEvents, JSON event format, 3).
    pub(crate) fn structured(request: &impl Request, at: &str) -> Result<Self, Malformed> {
        let member = |name| text::concat(&[at, name]);
        let pointer = member("/specversion");
        version(request.string_at(&pointer), &pointer)?;
        Ok(Self {
            kind: request.required(&member("/type"))?,
            id: request.string_at(&member("/id")),
            time: request.string_at(&member("/time")),
            data: member("/data"),
        })
    }

    pub(crate) fn announce(self, request: &impl Request) -> Result<Outcome, Malformed> {
        if self.kind.starts_with("harbor.") {
            return Ok(Outcome::NotMine);
        }
        let types = request.configured("type");
        if types
            .as_deref()
            .is_some_and(|types| !text::matches_any(types, &self.kind))
        {
            return Ok(self.ignored());
        }
        let said = match self.kind.strip_prefix("dev.cdevents.") {
            Some(kind) => cdevents::announced(request, &self.data, kind)?,
            None => self.other(request, types.is_some())?,
        };
        Ok(match said {
            Some(Outcome::Found(found)) => Outcome::Found(
                found
                    .into_iter()
                    .map(|one| {
                        one.occurred_at(self.time.clone())
                            .delivery_id(self.id.clone())
                    })
                    .collect(),
            ),
            Some(other) => other,
            None => self.ignored(),
        })
    }

    /// What data announces of which nothing is known but where its ref is.
    fn other(&self, request: &impl Request, is_wanted: bool) -> Result<Option<Outcome>, Malformed> {
        let place = request.configured_pointer("ref")?;
        let place = text::concat(&[&self.data, place.as_deref().unwrap_or("/ref")]);
        if !is_wanted && request.kind_at(&place).is_none() {
            return Ok(None);
        }
        let git_ref = request.required(&place)?;
        if push::is_deletion(request, &self.data) {
            return Ok(Some(Outcome::ignored(&[&git_ref, " was deleted"])));
        }
        let commit = push::commit(request, &self.data, &git_ref);
        let detection = Detection::new(git_ref)
            .commit(commit)
            .repositories(push::repositories(request, &self.data));
        Ok(Some(detection.into()))
    }

    fn ignored(&self) -> Outcome {
        Outcome::ignored(&["event ", &self.kind])
    }
}

/// Within a major version attributes are only added.
fn version(said: Option<String>, place: &str) -> Result<(), Malformed> {
    if said.is_some_and(|version| version.starts_with("1.")) {
        Ok(())
    } else {
        Err(Malformed::at(place, "is not 1.0"))
    }
}
