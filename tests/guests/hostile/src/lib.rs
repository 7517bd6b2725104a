//! A guest whose behaviour the header `x-behaviour` selects.

#![cfg(target_arch = "wasm32")]

mod behaviour;

use exports::stoker::detect::detector::{Descriptor, Detection, Guest, Outcome};
use stoker::detect::payload::Request;

wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "payload-detector" });

struct Hostile;

impl Guest for Hostile {
    fn describe() -> Descriptor {
        Descriptor {
            name: "hostile".into(),
            version: "1.0.0".into(),
            summary: "Does what the header x-behaviour says".into(),
            headers: vec!["x-behaviour".into()],
            pointers: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn detect(request: &Request) -> Result<Outcome, String> {
        let behaviour = request.header("x-behaviour").unwrap_or_default();
        behaviour::behave(&behaviour, request)
    }
}

/// Returns an answer with one ref, which may be invalid.
fn found(git_ref: String) -> Detection {
    Detection {
        git_ref,
        commit: None,
        repositories: Vec::new(),
        occurred_at: None,
        delivery_id: None,
        attributes: Vec::new(),
    }
}

export!(Hostile);
