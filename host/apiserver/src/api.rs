//! Routes a request to the module that handles it. This module does not handle connections.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::body;
use crate::patch::PatchKind;
use crate::read;
use crate::request::{self, Form, Place, Request, Target};
use crate::resource::Resource;
use crate::status::Failure;
use crate::store::Store;
use crate::watch::{Ends, Watch};
use crate::write::{self, Intent, Written};

mod other;

const JSON: &str = "application/json";

/// The server without its connections.
pub(crate) struct Api {
    pub(crate) store: Arc<Store>,
    pub(crate) outage: watch::Sender<bool>,
    pub(crate) stop: CancellationToken,
    pub(crate) address: String,
}

/// An answer.
pub(crate) enum Answer {
    Json {
        code: u16,
        media: &'static str,
        body: Value,
        warnings: Vec<String>,
    },
    Text {
        media: &'static str,
        text: String,
    },
    Watch(Box<Watch>),
}

impl Answer {
    fn json(code: u16, body: Value) -> Self {
        Self::Json {
            code,
            media: JSON,
            body,
            warnings: Vec::new(),
        }
    }

    fn code(&self) -> u16 {
        match self {
            Self::Json { code, .. } => *code,
            Self::Text { .. } | Self::Watch(_) => 200,
        }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::json(failure.code, failure.to_value())
    }
}

impl Api {
    /// Answers any request.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let target = Target::parse(&request.path);
        let place = match &target {
            Target::Resource(place) => Some(place),
            Target::Other(_) => None,
        };
        let verb = verb(request, place);
        let result = match &target {
            _ if *self.outage.borrow() => Err(unavailable()),
            Target::Resource(place) => self.resource(request, place, &verb),
            Target::Other(parts) => other::answer(self, request, parts),
        };
        let answer = result.unwrap_or_else(Answer::from);
        tracing::debug!(verb, path = request.path, code = answer.code(), "answered");
        answer
    }

    fn resource(&self, request: &Request, place: &Place, verb: &str) -> Result<Answer, Failure> {
        let resource = self.find(place)?;
        let form = request::form(&request.accept, &request.query, false)?;
        match verb {
            "watch" => self.watch(request, place, resource, form),
            "get" | "list" => self.read(request, place, &resource, form),
            "create" | "update" | "patch" => self.write(request, place, resource, form, verb),
            "delete" | "deletecollection" => self.delete(request, place, resource, form),
            _ => Err(not_allowed()),
        }
    }

    /// Returns the resource of a path, if the resource is served at that path.
    fn find(&self, place: &Place) -> Result<Arc<Resource>, Failure> {
        let registry = self.store.with(|state| state.registry.clone());
        let found = registry.find(&place.group, &place.version, &place.resource);
        let version = crate::resource::api_version(&place.group, &place.version);
        let unknown = |what: &str| Failure::no_such_resource(format!("{what} in {version}"));
        let resource = found.ok_or_else(|| unknown(&place.resource))?;
        let placed = match (resource.namespaced, &place.namespace, &place.name) {
            (true, None, Some(_)) | (false, Some(_), _) => false,
            (true, _, _) | (false, None, _) => true,
        };
        if !placed {
            return Err(unknown(&format!("{} at this path", place.resource)));
        }
        match place.subresource.as_deref() {
            Some("status") if !resource.status => {
                Err(unknown(&format!("{}/status", place.resource)))
            }
            Some(other) if other != "status" => {
                Err(unknown(&format!("{}/{other}", place.resource)))
            }
            _ => Ok(resource),
        }
    }

    fn watch(
        &self,
        request: &Request,
        place: &Place,
        resource: Arc<Resource>,
        form: Form,
    ) -> Result<Answer, Failure> {
        let ends = Ends {
            stop: self.stop.clone(),
            outage: self.outage.subscribe(),
        };
        let watch = Watch::start(
            &self.store,
            resource,
            place.clone(),
            &request.query,
            form,
            ends,
        )?;
        Ok(Answer::Watch(Box::new(watch)))
    }

    fn read(
        &self,
        request: &Request,
        place: &Place,
        resource: &Resource,
        form: Form,
    ) -> Result<Answer, Failure> {
        let query = &request.query;
        let body = if place.name.is_some() {
            let object = self
                .store
                .with(|state| read::get(state, resource, place, query))?;
            read::shown(resource, form, object)
        } else {
            let listed = self
                .store
                .with(|state| read::list(state, resource, place, query))?;
            read::shown_list(resource, form, &listed)
        };
        Ok(Answer::json(200, body))
    }

    fn write(
        &self,
        request: &Request,
        place: &Place,
        resource: Arc<Resource>,
        form: Form,
        verb: &str,
    ) -> Result<Answer, Failure> {
        let patch = match verb {
            "patch" => Some(PatchKind::of(&request.content_type, &resource)?),
            _ => None,
        };
        if let Some(kind) = patch {
            write::check_options(kind, &request.query)?;
        }
        let sent = if patch.is_none() {
            body::object(&request.content_type, &request.body)?
        } else {
            Value::Null
        };
        let shown = resource.clone();
        let written = self.store.with(|state| {
            let intent = Intent::new(state, resource, place, &request.query, &request.user_agent)?;
            match patch {
                Some(kind) => write::patch(state, &intent, kind, &request.body),
                None if verb == "create" => write::create(state, &intent, sent),
                None => write::update(state, &intent, sent),
            }
        })?;
        let Written {
            object,
            created,
            warnings,
        } = written;
        let code = if created { 201 } else { 200 };
        Ok(Answer::Json {
            code,
            media: JSON,
            body: read::shown(&shown, form, object),
            warnings,
        })
    }

    fn delete(
        &self,
        request: &Request,
        place: &Place,
        resource: Arc<Resource>,
        form: Form,
    ) -> Result<Answer, Failure> {
        let options = body::object(&request.content_type, &request.body)?;
        let policy = request.query.get("propagationPolicy");
        let selection = read::selection(&resource, &request.query)?;
        let shown = resource.clone();
        let body = self.store.with(|state| {
            let intent = Intent::new(state, resource, place, &request.query, &request.user_agent)?;
            if place.name.is_some() {
                let object = write::delete(state, &intent, &options, policy)?;
                return Ok(read::shown(&shown, form, object));
            }
            let objects = write::delete_all(state, &intent, &options, policy, &selection)?;
            let metadata = json!({ "resourceVersion": state.revision().to_string() });
            Ok(read::list_of(&shown, &metadata, &objects))
        })?;
        Ok(Answer::json(200, body))
    }
}

fn verb(request: &Request, place: Option<&Place>) -> String {
    let method = request.method.as_str();
    let Some(place) = place else {
        return method.to_lowercase();
    };
    let watching = request.query.flag("watch") && (place.subresource.is_none());
    let verb = match (method, place.name.is_some()) {
        ("GET", _) if watching => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", false) if place.subresource.is_none() => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) if place.subresource.is_none() => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return method.to_lowercase(),
    };
    verb.to_owned()
}

fn not_allowed() -> Failure {
    Failure::new(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
}

fn unavailable() -> Failure {
    Failure::new(
        503,
        "ServiceUnavailable",
        "the server is currently unable to handle the request",
    )
}
