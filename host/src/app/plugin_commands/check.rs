//! `stoker plugin check`: checks whether a host and a cluster accept a component.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use http::HeaderMap;

use super::{answer, load, question};
use crate::app::text;
use crate::auth::is_withheld;
use crate::plugin::{Capacity, Descriptor, Plugin, Sandbox, Tuning};

/// The maximum size of a ConfigMap in bytes, for text and for binary data (Kubernetes, "ConfigMaps").
const CONFIG_MAP_BYTES: u64 = 1 << 20;
/// The maximum size of all annotations of an object together, in bytes. A plain `kubectl apply` keeps a copy of the
/// manifest, in base64, in one of them (Kubernetes, "Annotations").
const ANNOTATION_BYTES: u64 = 256 << 10;
/// The size of the rest of that copy, rounded up.
const MANIFEST_BYTES: u64 = 4 << 10;

/// What is said of a header that is withheld from plugins.
const WITHHELD: &str = " (plugins see that it is present, but not its value)";

pub(super) async fn run(file: &Path, tuning: Tuning) -> Result<ExitCode> {
    let sandbox = Sandbox::new(Capacity::of_command())?;
    let started = Instant::now();
    let loaded = load(file, &sandbox, tuning).await?;
    let load_time = started.elapsed();
    let trial = try_empty_object(&loaded.plugin, &sandbox).await?;
    let verdict = if trial.failed {
        "can be loaded, but fails on a delivery"
    } else {
        "can be used"
    };
    let descriptor = loaded.plugin.descriptor();
    let imports = loaded.plugin.imports().join(", ");
    let mut lines = vec![
        format!("{} {verdict}", file.display()),
        format!("name:     {}", descriptor.name),
        format!("version:  {}", descriptor.version),
        format!("summary:  {}", descriptor.summary),
        format!("world:    {}", loaded.plugin.world()),
        format!(
            "imports:  {}",
            if imports.is_empty() { "none" } else { &imports }
        ),
        format!("called on: {}", pre_filter(descriptor)),
        format!("size:     {}", size_advice(loaded.size)),
        format!("loaded:   in {load_time:.1?}"),
        format!("on {{}}:    {}", trial.text),
    ];
    lines.extend(trial.notes.iter().map(|note| answer::note(note)));
    text::print_lines(&lines)?;
    Ok(if trial.failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The result of running a plugin on a delivery.
struct Trial {
    failed: bool,
    text: String,
    notes: Vec<String>,
}

/// Runs the plugin on `{}` without headers, to measure one call. A failure matters only if a host would offer this
/// delivery to the plugin, because a plugin may rely on the conditions of its pre-filter.
async fn try_empty_object(plugin: &Plugin, sandbox: &Sandbox) -> Result<Trial> {
    let (question, _) = question(HeaderMap::new(), b"{}".to_vec())?;
    let question = Arc::new(question);
    let (reply, report) = plugin.ask(sandbox, &question).await;
    if reply.is_err() && !plugin.wants(&question) {
        return Ok(Trial {
            failed: false,
            text: "never offered to it, because nothing in it matches the pre-filter".to_owned(),
            notes: report.notes,
        });
    }
    Ok(Trial {
        failed: reply.is_err(),
        text: format!(
            "{} ({} µs, at most {} KiB of memory)",
            answer::lines(&reply).join("; "),
            report.duration.as_micros(),
            report.peak_memory / 1024
        ),
        notes: report.notes,
    })
}

fn pre_filter(descriptor: &Descriptor) -> String {
    let headers = descriptor.headers.iter().map(|name| {
        let is_withheld = is_withheld(name.as_str());
        let limit = if is_withheld { WITHHELD } else { "" };
        format!("header {name}{limit}")
    });
    let pointers = descriptor
        .pointers
        .iter()
        .map(|pointer| format!("value at {pointer}"));
    let all = headers.chain(pointers).collect::<Vec<_>>();
    if all.is_empty() {
        "none: every webhook is offered to the plugin".to_owned()
    } else {
        all.join(", or ")
    }
}

/// Returns the size, and the ways to deploy a component of that size to a cluster.
fn size_advice(bytes: u64) -> String {
    let encoded = bytes.div_ceil(3) * 4;
    let advice = if bytes > CONFIG_MAP_BYTES {
        "too large for a ConfigMap; mount it from a volume or an image"
    } else if encoded + MANIFEST_BYTES > ANNOTATION_BYTES {
        "it fits a ConfigMap with `kubectl create` or `kubectl apply --server-side`; a plain `kubectl apply` would fail"
    } else {
        "it fits a ConfigMap"
    };
    format!("{bytes} bytes, {encoded} as base64: {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_withheld_is_marked() {
        let descriptor = Descriptor {
            name: "acme".into(),
            version: String::new(),
            summary: String::new(),
            headers: ["x-acme-event", "x-project-key"]
                .map(http::HeaderName::from_static)
                .into(),
            pointers: vec!["/acme".into()],
        };
        assert_eq!(
            pre_filter(&descriptor),
            "header x-acme-event, or header x-project-key (plugins see that it is present, but not its value), or value at /acme"
        );
    }

    #[test]
    fn the_advice_depends_on_the_size() {
        for (bytes, expected) in [
            (11_029, "11029 bytes, 14708 as base64: it fits a ConfigMap"),
            (193_536, "as base64: it fits a ConfigMap"),
            (193_537, "kubectl apply --server-side"),
            (1 << 20, "kubectl apply --server-side"),
            ((1 << 20) + 1, "too large for a ConfigMap"),
        ] {
            let advice = size_advice(bytes);
            assert!(advice.contains(expected), "{advice}");
        }
        assert!(size_advice(193_536).ends_with("it fits a ConfigMap"));
    }
}
