//! docs/plugin-authoring.md, followed to the letter.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{ended, shell};

const GUIDE: &str = include_str!("../../../docs/plugin-authoring.md");

/// The lines of the guide's `sh` blocks. What needs a cluster stands in `console` blocks.
fn script() -> String {
    let mut script = String::new();
    for block in GUIDE.split("\n```sh\n").skip(1) {
        script.push_str(block.split("\n```").next().unwrap());
        script.push('\n');
    }
    script
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let folder = TempDir::new().unwrap();
    let script = script();
    assert!(script.contains("stoker plugin new"), "{script}");
    let followed = ended(shell(&script).current_dir(folder.path()));
    assert_eq!(followed.code, 0, "{}{}", followed.out, followed.err);
    for expected in ["can be used", "0 failed", "found: v2.4.0"] {
        assert!(followed.out.contains(expected), "{}", followed.out);
    }
    // What the guide shows of the written expectation.
    let payload = fs::read_to_string(folder.path().join("anvil/payloads/passed.json")).unwrap();
    let expectation = &payload[payload.find("  \"expect\"").unwrap()..];
    assert!(GUIDE.contains(expectation.trim_end()), "{payload}");
}

#[test]
fn every_file_that_the_guide_names_is_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let links = GUIDE.split("](").skip(1);
    for link in links.map(|rest| rest.split(')').next().unwrap()) {
        let file = link.split('#').next().unwrap();
        assert!(link.contains("://") || docs.join(file).exists(), "{link}");
    }
}
