//! Detects the git ref that a webhook of {{name}} announces, for Stoker.
//!
//! The detection is in `detect`; this file connects it to the interface in `wit/detect.wit`.

pub mod detect;

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::detect;

    use exports::stoker::detect::detector::{Descriptor, Detection, Guest, Outcome};
    use stoker::detect::payload::Request;

    wit_bindgen::generate!({ path: "wit", world: "payload-detector" });

    struct Component;

    impl Guest for Component {
        fn describe() -> Descriptor {
            Descriptor {
                name: detect::NAME.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                summary: detect::SUMMARY.into(),
                headers: Vec::new(),
                pointers: vec![detect::POINTER.into()],
                attributes: Vec::new(),
            }
        }

        fn detect(request: &Request) -> Result<Outcome, String> {
            Ok(match detect::detect(request)? {
                detect::Outcome::NotMine => Outcome::NotMine,
                detect::Outcome::Ignored(reason) => Outcome::Ignored(reason),
                detect::Outcome::Found(release) => Outcome::Found(vec![Detection {
                    git_ref: release.git_ref,
                    commit: release.commit,
                    repositories: release.repositories,
                    occurred_at: None,
                    delivery_id: None,
                    // What happened, if an object selects by it: vec![("event".into(), "released".into())].
                    attributes: Vec::new(),
                }]),
            })
        }
    }

    impl detect::Request for &Request {
        fn has(&self, pointer: &str) -> bool {
            self.kind_at(pointer).is_some()
        }

        fn string_at(&self, pointer: &str) -> Option<String> {
            Request::string_at(self, pointer)
        }
    }

    export!(Component);
}
