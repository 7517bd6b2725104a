//! An example of a plugin for a custom format: the message that a plant's release board sends when a pipeline changes
//! its state. A new format needs a plugin like this one, which is built and copied to a running host.
//!
//! ```json
//! {
//!   "shipit": {
//!     "pipeline": "line-7",
//!     "promoted": {
//!       "version": "v2.4.0",
//!       "revision": "6c1f0a3f0e3b9d57c8f2a4e1d0b6c7a8f9e0d1c2",
//!       "repository": "https://git.example.com/plant/line-7.git"
//!     },
//!     "at": "2026-03-02T06:15:00Z"
//!   }
//! }
//! ```
//!
//! The name of the member beside the pipeline is the state. Only `promoted` announces a ref. Some boards also write the
//! state as a string.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Detection, Kind, Malformed, Outcome, Request};

/// The plugin is asked about bodies with a `shipit`.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "shipit",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Promotions of a Shipit pipeline",
    headers: &[],
    pointers: &["/shipit"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Returns what a change of a pipeline announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if let Some(state) = request.string_at("/shipit/state")
        && state != "promoted"
    {
        return Ok(Outcome::ignored(&["state ", &state]));
    }
    if request.kind_at("/shipit/promoted") != Some(Kind::Object) {
        return Ok(Outcome::ignored(&["nothing was promoted"]));
    }
    let detection = Detection::new(request.required("/shipit/promoted/version")?)
        .commit(request.string_at("/shipit/promoted/revision"))
        .repositories(request.string_at("/shipit/promoted/repository"))
        .occurred_at(request.string_at("/shipit/at"));
    Ok(detection.into())
}
