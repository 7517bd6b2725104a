//! A guest that is asked about every delivery, claims deliveries that have `/unfiltered`, and traps where its settings
//! require it.

#![cfg(target_arch = "wasm32")]

use exports::stoker::detect::detector::{Descriptor, Detection, Guest, Outcome};
use stoker::detect::payload::Request;
use stoker::detect::settings;

wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "payload-detector" });

struct Unfiltered;

impl Guest for Unfiltered {
    fn describe() -> Descriptor {
        Descriptor {
            name: "unfiltered".into(),
            version: "1.0.0".into(),
            summary: "Has no pre-filter".into(),
            headers: Vec::new(),
            pointers: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn detect(req: &Request) -> Result<Outcome, String> {
        assert!(settings::get("fails").is_none(), "its settings say so");
        let Some(git_ref) = req.string_at("/unfiltered") else {
            return Ok(Outcome::NotMine);
        };
        Ok(Outcome::Found(vec![Detection {
            git_ref,
            commit: None,
            repositories: Vec::new(),
            occurred_at: None,
            delivery_id: None,
            attributes: Vec::new(),
        }]))
    }
}

export!(Unfiltered);
