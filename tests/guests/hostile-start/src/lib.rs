//! A guest that computes for some milliseconds before a host calls any of its functions.

#![cfg(target_arch = "wasm32")]

use std::hint::black_box;

use exports::stoker::detect::detector::{Descriptor, Guest, Outcome};
use stoker::detect::payload::Request;

wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "payload-detector" });

/// The work takes about ten milliseconds. Even on a slow machine, it takes less than the fifty that a call may take.
const STEPS: u32 = 8_000_000;

/// This name makes the function the start function of a component.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    let mut number = 0_u64;
    for _ in 0..STEPS {
        number = black_box(number.wrapping_mul(3).wrapping_add(1));
    }
}

struct Slow;

impl Guest for Slow {
    fn describe() -> Descriptor {
        Descriptor {
            name: "hostile-start".into(),
            version: "1.0.0".into(),
            summary: "Takes its time before it starts".into(),
            headers: vec!["x-slow-start".into()],
            pointers: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn detect(_: &Request) -> Result<Outcome, String> {
        Ok(Outcome::Ignored("started".into()))
    }
}

export!(Slow);
