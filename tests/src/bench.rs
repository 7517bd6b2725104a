//! The parts of the benchmarks: bodies, a minimal server, a load generator, measurements and a report.

pub mod agent;
pub mod calls;
pub mod floor;
pub mod inside;
pub mod load;
pub mod plugins;
pub mod process;
pub mod refusals;
pub mod report;
pub mod scale;
pub mod server;
pub mod svg;
pub mod threads;
pub mod webhooks;

use serde_json::{Value, json};

/// The size of the measured bodies in bytes.
pub const BODY_BYTES: usize = 8 << 10;

/// Returns a release webhook of GitHub with this tag, and with enough assets to fill [`BODY_BYTES`].
#[must_use]
pub fn release(tag: &str) -> Vec<u8> {
    release_with_id(tag, 178_264_311)
}

/// Returns such a webhook of the release with this id. Releases with different ids are different deliveries.
#[must_use]
pub fn release_with_id(tag: &str, id: usize) -> Vec<u8> {
    let mut assets: Vec<Value> = Vec::new();
    loop {
        let body = serde_json::to_vec(&document(tag, id, &assets)).unwrap_or_default();
        let missing = BODY_BYTES.saturating_sub(body.len());
        if missing < 160 {
            // White space after the last brace is valid JSON, and makes the size exact.
            let mut body = body;
            body.resize(BODY_BYTES, b' ');
            return body;
        }
        let number = assets.len();
        assets.push(json!({"id": 90_000 + number, "name": format!("plant-{number}.zip"), "state": "uploaded",
            "content_type": "application/zip", "size": 1_048_576 + number, "download_count": number}));
    }
}

fn document(tag: &str, id: usize, assets: &[Value]) -> Value {
    json!({
        "action": "published",
        "release": {
            "id": id, "tag_name": tag, "target_commitish": "main", "name": tag, "draft": false,
            "prerelease": false, "created_at": "2026-03-02T08:15:00Z", "published_at": "2026-03-02T08:20:41Z",
            "author": {"login": "octo-plant", "id": 5_934_012, "type": "User"}, "assets": assets,
        },
        "repository": {"id": 611_204_988, "name": "plant", "full_name": "demo/plant", "private": true},
        "sender": {"login": "octo-plant", "id": 5_934_012, "type": "User"},
    })
}
