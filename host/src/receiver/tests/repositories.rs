//! The repositories that a body names, whatever the headers are. A signature covers the body alone.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;

/// Headers of each sender, for each of the events that announce a ref.
const OF_SENDERS: [&[(&str, &str)]; 20] = [
    &[],
    &[("x-github-event", "push")],
    &[("x-github-event", "create")],
    &[("x-github-event", "release")],
    &[("x-gitea-event", "push")],
    &[("x-gitea-event", "create")],
    &[("x-gitea-event", "release")],
    &[("x-forgejo-event", "push")],
    &[("x-gogs-event", "create")],
    &[("x-gitlab-event", "Push Hook")],
    &[("x-gitlab-event", "Tag Push Hook")],
    &[("x-gitlab-event", "Release Hook")],
    &[("x-gitlab-event", "System Hook")],
    &[("x-event-key", "repo:push")],
    &[("x-event-key", "repo:refs_changed")],
    &[("x-event-key", "mirror:repo_synchronized")],
    &[("ce-specversion", "1.0"), ("ce-type", "com.example.push")],
    &[
        ("ce-specversion", "1.0"),
        ("ce-type", "dev.cdevents.branch.created.0.2.0"),
    ],
    &[("x-amz-sns-message-type", "Notification")],
    &[("aeg-event-type", "Notification")],
];

/// What this test reads of a payload file of a plugin.
#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    settings: HashMap<String, String>,
    #[serde(default)]
    body: Value,
    expect: Value,
}

impl Payload {
    /// The repositories that the body names.
    fn repositories(&self) -> Vec<&str> {
        let found = self.expect["found"].as_array().into_iter().flatten();
        let names = found.filter_map(|one| one["repositories"].as_array());
        names.flatten().filter_map(Value::as_str).collect()
    }
}

fn payload_files() -> Vec<PathBuf> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let payloads = fs::read_dir(plugins).unwrap();
    let payloads =
        payloads.filter_map(|plugin| fs::read_dir(plugin.unwrap().path().join("payloads")).ok());
    payloads
        .flatten()
        .map(|file| file.unwrap().path())
        .collect()
}

#[tokio::test]
async fn headers_do_not_hide_the_repositories_that_a_body_names() {
    let bounds = Bounds {
        object_rate: 1_000_000,
        ..Bounds::default()
    };
    let fixture = Fixture::with_bounds(with_object(Policy::default()), bounds).await;
    let (mut combinations, mut lost) = (0, Vec::new());
    for file in payload_files() {
        let payload: Payload = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let named = payload.repositories();
        if named.is_empty() || !payload.settings.is_empty() {
            continue;
        }
        let body = payload.body.to_string();
        let own: Vec<_> = payload
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        for others in OF_SENDERS {
            for headers in [others.to_vec(), [others, &own].concat()] {
                let reply = fixture.deliver(&headers, body.clone()).await;
                combinations += 1;
                if reply.status != StatusCode::ACCEPTED {
                    continue;
                }
                let submitted = fixture.requests.submitted.lock().unwrap();
                let (_, announcement) = submitted.last().unwrap();
                let mut detections = announcement.detections.iter();
                if detections
                    .any(|one| !one.repositories.iter().any(|name| named.contains(&&**name)))
                {
                    lost.push(format!(
                        "{} by {}: {others:?}",
                        file.display(),
                        announcement.plugin
                    ));
                }
            }
        }
    }
    assert!(combinations > 4000, "{combinations}");
    assert!(
        lost.is_empty(),
        "{} are lost:\n{}",
        lost.len(),
        lost.join("\n")
    );
}
