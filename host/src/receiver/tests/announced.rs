//! What the built-in plugins tell the module of requests about a ref.

use super::*;

/// Returns the detections of the last accepted webhook.
async fn announced(
    fixture: &Fixture,
    headers: &[(&str, &str)],
    body: Value,
) -> Vec<stoker_api::detection::Detection> {
    let reply = fixture.deliver(headers, body.to_string()).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{body}");
    let submitted = fixture.requests.submitted.lock().unwrap();
    submitted.last().unwrap().1.detections.clone()
}

#[tokio::test]
async fn a_release_names_a_tag() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let github = json!({"action": "published", "release": {"tag_name": "v2"}});
    let artifact = json!({"specversion": "1.0", "id": "1", "source": "/ci",
        "type": "dev.cdevents.artifact.published.0.2.0",
        "data": {"subject": {"id": "pkg:generic/plant@v2"}}});
    let kargo = json!({"freight": {"commits": [{"tag": "v2"}]}});
    for (headers, body, is_tag) in [
        (&[("x-github-event", "release")][..], github.clone(), true),
        (&[("x-gitea-event", "release")], github, true),
        (
            &[("x-gitlab-event", "Release Hook")],
            json!({"action": "create", "tag": "v2"}),
            true,
        ),
        (&[], kargo, true),
        (&[], artifact, true),
        (&[], json!({"ref": "v2"}), false),
    ] {
        let detections = announced(&fixture, headers, body).await;
        assert_eq!(detections[0].git_ref.as_str(), "v2");
        assert_eq!(detections[0].is_tag, is_tag, "{headers:?}");
    }
}

#[tokio::test]
async fn cloud_events_of_two_sources_have_two_ids() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let mut ids = Vec::new();
    for source in ["/ci/a", "/ci/b"] {
        let body = json!({"specversion": "1.0", "id": "7", "source": source,
            "type": "com.example.release", "data": {"ref": "v1"}});
        ids.push(announced(&fixture, &[], body).await[0].delivery_id.clone());
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-type", "com.example.release"),
            ("ce-id", "8"),
            ("ce-source", source),
        ];
        let detections = announced(&fixture, &headers, json!({"ref": "v1"})).await;
        ids.push(detections[0].delivery_id.clone());
    }
    let ids: Vec<_> = ids.iter().map(|id| id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["/ci/a 7", "/ci/a 8", "/ci/b 7", "/ci/b 8"]);
}
