//! A guest whose `describe` never returns.

#![cfg(target_arch = "wasm32")]

use exports::stoker::detect::detector::{Descriptor, Guest, Outcome};
use stoker::detect::payload::Request;

wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "payload-detector" });

struct Silent;

impl Guest for Silent {
    fn describe() -> Descriptor {
        let mut number = 0_u64;
        loop {
            number = std::hint::black_box(number.wrapping_add(1));
        }
    }

    fn detect(_: &Request) -> Result<Outcome, String> {
        Ok(Outcome::NotMine)
    }
}

export!(Silent);
