//! The plugin `dozen` with the standard library.

use stoker_plugin::{Descriptor, Detection, Malformed, Outcome, Request};

/// The pre-filter names the tag.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "dozen-std",
    version: "1.0.0",
    summary: "What the build of ACME announces",
    headers: &[],
    pointers: &["/acme/tag"],
};

/// Returns the ref of a build.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    Ok(Detection::new(request.required("/acme/tag")?)
        .commit(request.string_at("/acme/commit"))
        .repositories(request.string_at("/acme/repository"))
        .into())
}

stoker_plugin::detector!(DESCRIPTOR, detect);

#[cfg(test)]
mod tests {
    #[test]
    fn says_of_each_payload_what_its_file_expects() {
        let payloads = concat!(env!("CARGO_MANIFEST_DIR"), "/payloads");
        stoker_plugin::testing::check_payloads(payloads, &super::DESCRIPTOR, super::detect);
    }
}
