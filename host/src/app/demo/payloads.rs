//! The webhooks of the demo, in the documented formats of their senders.

use http::HeaderMap;
use serde_json::{Value, json};
use stoker_api::detection::CommitId;

/// A webhook to send.
pub(super) struct Sent {
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Sent {
    fn new(body: Value) -> Self {
        Self {
            headers: HeaderMap::new(),
            body,
        }
    }
}

/// Returns a release webhook of GitHub ("Webhook events and payloads", `release`).
pub(super) fn github_release(tag: &str) -> Sent {
    let mut sent = Sent::new(json!({
        "action": "published",
        "release": {
            "id": 178_264_311, "tag_name": tag, "target_commitish": "main", "name": tag,
            "draft": false, "prerelease": false,
            "created_at": "2026-03-02T08:15:00Z", "published_at": "2026-03-02T08:20:41Z",
            "author": {"login": "octo-plant", "id": 5_934_012, "type": "User"}, "assets": [], "body": "Line 1 at full speed.",
        },
        "repository": {
            "id": 611_204_988, "name": "plant", "full_name": "demo/plant", "private": true, "default_branch": "main",
            "owner": {"login": "demo", "id": 5_934_001, "type": "Organization"},
        },
        "sender": {"login": "octo-plant", "id": 5_934_012, "type": "User"},
    }));
    sent.headers
        .insert("x-github-event", http::HeaderValue::from_static("release"));
    sent.headers.insert(
        "x-github-delivery",
        http::HeaderValue::from_static("5d1f9c1e-0f0b-4e39-9a27-4c1c4a3f0d11"),
    );
    sent
}

/// Returns a sync webhook of Argo CD. Argo CD has no webhook format of its own, so the body has the format of this
/// project's user guide.
pub(super) fn argocd(tag: &str, repo: &str) -> Sent {
    Sent::new(json!({"app": {
        "metadata": {"name": "plant-edge", "namespace": "argocd", "annotations": {"git.ref": tag}},
        "spec": {"project": "default", "source": {"repoURL": repo, "path": "edge", "targetRevision": tag}},
        "status": {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}},
    }}))
}

/// Returns a promotion webhook of Kargo, as its `http` step sends it in the format of this project's user guide.
pub(super) fn kargo(tag: &str, commit: &CommitId, repo: &str) -> Sent {
    Sent::new(json!({"freight": {
        "name": "f5f87aa23c9e97f43eb83dd63768ee41f5ba3766", "alias": "quiet-ocelot",
        "commits": [{"repoURL": repo, "id": commit.as_str(), "tag": tag}],
    }}))
}

/// Returns a webhook in the format of the plugin `generic`.
pub(super) fn generic(git_ref: &str) -> Sent {
    Sent::new(json!({"ref": git_ref}))
}

/// Returns a webhook in a custom format, which no built-in plugin recognizes.
pub(super) fn shipit(version: &str, commit: &CommitId) -> Sent {
    Sent::new(json!({"shipit": {
        "pipeline": "plant-edge", "at": "2026-03-02T09:00:00Z",
        "promoted": {"version": version, "revision": commit.as_str(), "repository": "demo/plant"},
    }}))
}
