//! The component's side of the interface, for [`crate::detector!`]. Plugins do not use it directly.

use alloc::vec::Vec;

/// Public for the macro.
pub use alloc::string::String;

use bindings::exports::stoker::detect::detector;
use bindings::stoker::detect::{diagnostics, payload, settings};

use crate::Kind;

pub use bindings::exports::stoker::detect::detector::Guest;
pub use detector::Descriptor;
pub use payload::Request;

#[expect(
    missing_docs,
    clippy::pedantic,
    reason = "generated; its words are those of the interface"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/v0.1.0",
        world: "payload-detector",
        pub_export_macro: true,
        default_bindings_module: "stoker_plugin::guest::bindings",
        // The bindings use the types of this crate, so no type is converted.
        with: {
            "stoker:detect/detector@0.1.0/detection": crate::Detection,
            "stoker:detect/detector@0.1.0/outcome": crate::Outcome,
        },
    });
}

/// Writes a line to the host's log at debug level.
pub fn log(message: &str) {
    diagnostics::log(message);
}

/// The settings outside a call of `detect`.
#[derive(Debug)]
pub struct Configured;

impl crate::Settings for Configured {
    fn setting(&self, key: &str) -> Option<String> {
        settings::get(key)
    }
}

impl crate::Settings for Request {
    fn setting(&self, key: &str) -> Option<String> {
        settings::get(key)
    }
}

impl crate::Request for Request {
    fn header(&self, name: &str) -> Option<String> {
        self.header(name)
    }

    fn string_at(&self, pointer: &str) -> Option<String> {
        self.string_at(pointer)
    }

    fn kind_at(&self, pointer: &str) -> Option<Kind> {
        self.kind_at(pointer).map(|kind| match kind {
            payload::Kind::Null => Kind::Null,
            payload::Kind::Boolean => Kind::Boolean,
            payload::Kind::Number => Kind::Number,
            payload::Kind::Text => Kind::Text,
            payload::Kind::Array => Kind::Array,
            payload::Kind::Object => Kind::Object,
        })
    }

    fn len_at(&self, pointer: &str) -> Option<u32> {
        self.len_at(pointer)
    }

    fn json_at(&self, pointer: &str) -> Option<String> {
        self.json_at(pointer)
    }

    fn body(&self) -> Vec<u8> {
        self.body()
    }
}

/// Returns the descriptor in the type of the interface, with this pre-filter instead of its own.
#[must_use]
pub fn describe(descriptor: &crate::Descriptor, filter: crate::PreFilter) -> Descriptor {
    Descriptor {
        name: descriptor.name.into(),
        version: descriptor.version.into(),
        summary: descriptor.summary.into(),
        headers: filter.headers,
        pointers: filter.pointers,
        attributes: Vec::new(),
    }
}
