//! Paths that are not paths of objects: discovery, schemas, health.

use crate::api::{Answer, Api, not_allowed};
use crate::discovery;
use crate::openapi;
use crate::request::{self, Form, Request};
use crate::status::Failure;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn answer(api: &Api, request: &Request, parts: &[String]) -> Result<Answer, Failure> {
    if request.method != "GET" && request.method != "HEAD" {
        return Err(not_allowed());
    }
    let registry = api.store.with(|state| state.registry.clone());
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let body = match parts.as_slice() {
        [] => Some(serde_json::json!({ "paths": PATHS })),
        ["healthz" | "livez" | "readyz", ..] => {
            return Ok(Answer::Text {
                media: "text/plain; charset=utf-8",
                text: "ok".to_owned(),
            });
        }
        ["version"] => Some(discovery::version()),
        [root @ ("api" | "apis")] => {
            let core = *root == "api";
            if request::form(&request.accept, &request.query, true)? == Form::Discovery {
                let body = discovery::aggregated(&registry, core);
                return Ok(Answer::Json {
                    code: 200,
                    media: AGGREGATED,
                    body,
                    warnings: Vec::new(),
                });
            }
            Some(if core {
                discovery::core_versions(&api.address)
            } else {
                discovery::groups(&registry)
            })
        }
        ["api", version] => discovery::resources(&registry, "", version),
        ["apis", group] => discovery::group(&registry, group),
        ["apis", group, version] => discovery::resources(&registry, group, version),
        ["openapi", "v2"] if request.accept.contains(openapi::V2_PROTOBUF) => {
            return Ok(Answer::Text {
                media: openapi::V2_PROTOBUF_ANSWER,
                text: openapi::V2_EMPTY.to_owned(),
            });
        }
        ["openapi", "v2"] => Some(openapi::without_schemas()),
        ["openapi", "v3"] => Some(openapi::index(&registry)),
        ["openapi", "v3", "api", version] => openapi::document(&registry, "", version),
        ["openapi", "v3", "apis", group, version] => openapi::document(&registry, group, version),
        _ => None,
    };
    body.map(|body| Answer::json(200, body))
        .ok_or_else(|| Failure::no_such_resource(&request.path))
}

const PATHS: [&str; 8] = [
    "/api",
    "/api/v1",
    "/apis",
    "/healthz",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
    "/version",
];
