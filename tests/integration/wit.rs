//! Released WIT files never change, because compiled components depend on them.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The released directories of `wit/`, with the digests of their files. A new version is a new directory and a new
/// line.
const RELEASED: [(&str, &str); 1] = [(
    "v0.1.0",
    "1c0f2e81e4e80e2486699ff578c1a3037c795024eb71d7fd4aec92f845bcfab7",
)];

fn digest(directory: &Path) -> String {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut hash = Sha256::new();
    for path in paths {
        hash.update(path.file_name().unwrap().as_encoded_bytes());
        hash.update([0]);
        hash.update(fs::read(&path).unwrap());
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

#[test]
fn released_interfaces_are_frozen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    for (version, expected) in RELEASED {
        assert_eq!(
            digest(&root.join(version)),
            expected,
            "wit/{version} is released and must not change: add a new directory"
        );
    }
}

#[test]
fn every_directory_is_listed_and_has_the_version_of_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(
            RELEASED.iter().any(|(version, _)| *version == name),
            "wit/{name} is not in the list of releases"
        );
        let mut resolve = wit_parser::Resolve::default();
        let (package, _) = resolve.push_path(&path).unwrap();
        let version = resolve.packages[package].name.version.as_ref().unwrap();
        assert_eq!(format!("v{version}"), name);
    }
}
