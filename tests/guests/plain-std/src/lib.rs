//! A guest that finds the ref of a GitHub release. It uses only the standard library and the plain bindings.

#![cfg(target_arch = "wasm32")]

use exports::stoker::detect::detector::{Descriptor, Detection, Guest, Outcome};
use stoker::detect::payload::Request;

wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "payload-detector" });

struct Plain;

impl Guest for Plain {
    fn describe() -> Descriptor {
        Descriptor {
            name: "plain-std".into(),
            version: "1.0.0".into(),
            summary: "The tag of a release".into(),
            headers: Vec::new(),
            pointers: vec!["/release/tag_name".into()],
            attributes: Vec::new(),
        }
    }

    fn detect(request: &Request) -> Result<Outcome, String> {
        let Some(git_ref) = request.string_at("/release/tag_name") else {
            return Ok(Outcome::NotMine);
        };
        Ok(Outcome::Found(vec![Detection {
            git_ref,
            commit: None,
            repositories: request
                .string_at("/repository/full_name")
                .into_iter()
                .collect(),
            occurred_at: request.string_at("/release/published_at"),
            delivery_id: request.header("x-github-delivery"),
            attributes: Vec::new(),
        }]))
    }
}

export!(Plain);
