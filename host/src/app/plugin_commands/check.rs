//! `stoker plugin check`: everything about one component that a host, or a cluster, could refuse.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use http::HeaderMap;

use super::ask::say;
use super::{load, question};
use crate::app::text;
use crate::plugin::{Capacity, Descriptor, Sandbox, Tuning};

/// What a ConfigMap holds, in bytes, whether they are text or base64 in the manifest (Kubernetes, "ConfigMaps").
const CONFIG_MAP_BYTES: u64 = 1 << 20;
/// What all annotations of an object hold together, in bytes. A plain `kubectl apply` keeps the whole manifest, base64
/// and all, in one (Kubernetes, "Annotations").
const ANNOTATION_BYTES: u64 = 256 << 10;
/// What else of a manifest is in that annotation, generously.
const MANIFEST_BYTES: u64 = 4 << 10;

pub(super) async fn run(file: &Path, tuning: Tuning) -> Result<ExitCode> {
    let sandbox = Sandbox::new(Capacity::default())?;
    let started = Instant::now();
    let plugin = load(file, &sandbox, tuning).await?;
    let loaded = started.elapsed();
    let nothing = Arc::new(question(HeaderMap::new(), b"{}".to_vec())?);
    let (reply, report) = plugin.ask(&sandbox, &nothing).await;
    let imports = plugin.imports().join(", ");
    let said = plugin.descriptor();
    let size = std::fs::metadata(file)?.len();
    let verdict = if reply.is_ok() {
        "can be used"
    } else {
        "can be loaded, and fails when it is asked"
    };
    text::print(&format!(
        "{} {verdict}\nname:     {}\nversion:  {}\nsummary:  {}\nworld:    {}\nimports:  {}\nasked on: {}\nsize:     {}\nloaded:   in {} µs\non {{}}:    {} ({} µs, {} KiB of memory at most)",
        file.display(),
        said.name,
        said.version,
        said.summary,
        plugin.world(),
        if imports.is_empty() { "none" } else { &imports },
        pre_filter(said),
        size_advice(size),
        loaded.as_micros(),
        say(&reply),
        report.duration.as_micros(),
        report.peak_memory / 1024,
    ))?;
    Ok(if reply.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn pre_filter(said: &Descriptor) -> String {
    let headers = said.headers.iter().map(|name| format!("header {name}"));
    let pointers = said
        .pointers
        .iter()
        .map(|pointer| format!("value at {pointer}"));
    let all = headers.chain(pointers).collect::<Vec<_>>();
    if all.is_empty() {
        "none: it is asked about every webhook".to_owned()
    } else {
        all.join(", or ")
    }
}

/// The size, and how a component of it comes into a cluster.
fn size_advice(bytes: u64) -> String {
    let encoded = bytes.div_ceil(3) * 4;
    let advice = if bytes > CONFIG_MAP_BYTES {
        "more than a ConfigMap holds; mount it from a volume or an image"
    } else if encoded + MANIFEST_BYTES > ANNOTATION_BYTES {
        "it fits a ConfigMap, by kubectl create or kubectl apply --server-side; for a plain apply it is too large"
    } else {
        "it fits a ConfigMap"
    };
    format!("{bytes} bytes, {encoded} as base64: {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_says_how_a_component_comes_into_a_cluster() {
        for (bytes, expected) in [
            (11_029, "11029 bytes, 14708 as base64: it fits a ConfigMap"),
            (193_536, "as base64: it fits a ConfigMap"),
            (193_537, "kubectl apply --server-side"),
            (1 << 20, "kubectl apply --server-side"),
            ((1 << 20) + 1, "more than a ConfigMap holds"),
        ] {
            let advice = size_advice(bytes);
            assert!(advice.contains(expected), "{advice}");
        }
        assert!(size_advice(193_536).ends_with("it fits a ConfigMap"));
    }
}
