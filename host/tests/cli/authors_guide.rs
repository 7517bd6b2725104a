//! Runs the commands of docs/plugin-authoring.md.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{ended, shell};

const GUIDE: &str = include_str!("../../../docs/plugin-authoring.md");

/// Returns the lines of the `sh` blocks of the guide. Commands that need a cluster are in other blocks.
fn script() -> String {
    let mut script = String::new();
    for block in GUIDE.split("\n```sh\n").skip(1) {
        script.push_str(block.split("\n```").next().unwrap());
        script.push('\n');
    }
    script
}

#[test]
fn every_command_of_the_guide_succeeds() {
    let directory = TempDir::new().unwrap();
    let script = script();
    assert!(script.contains("stoker plugin new"), "{script}");
    let output = ended(shell(&script).current_dir(directory.path()));
    assert_eq!(output.code, 0, "{}{}", output.out, output.err);
    for expected in ["can be used", "0 failed", "found: v2.4.0"] {
        assert!(output.out.contains(expected), "{}", output.out);
    }
    // The guide shows the answer that `--update` writes.
    let payload = fs::read_to_string(directory.path().join("anvil/payloads/passed.json")).unwrap();
    let answer = &payload[payload.find("  \"expect\"").unwrap()..];
    assert!(GUIDE.contains(answer.trim_end()), "{payload}");
}

#[test]
fn every_file_that_the_guide_links_to_exists() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let links = GUIDE.split("](").skip(1);
    for link in links.map(|rest| rest.split(')').next().unwrap()) {
        let file = link.split('#').next().unwrap();
        assert!(link.contains("://") || docs.join(file).exists(), "{link}");
    }
}
