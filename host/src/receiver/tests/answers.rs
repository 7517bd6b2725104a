//! The order and the form of answers.

use super::*;

#[tokio::test]
async fn a_webhook_that_no_object_could_use_is_refused_for_what_it_is() {
    let fixture = Fixture::new(FakeRequests::default()).await;
    for path in [PATH, "/webhook/No_Name/x"] {
        for (headers, body, status) in [
            (&[][..], "{}", 400),
            (&[], r#"{"ref": ""}"#, 400),
            (&[], "not json", 400),
            (&[("content-type", "text/xml")], "<a/>", 415),
            (&[("x-github-event", "push")], "{}", 400),
            (&[("x-github-event", "ping")], "{}", 404),
            (&[], r#"{"ref": "v1"}"#, 404),
        ] {
            let reply = fixture.deliver_to(path, headers, body).await;
            assert_eq!(reply.status.as_u16(), status, "{path} {body}");
        }
    }
    let nowhere = fixture.deliver_to("/webhook/plants", &[], "{}").await;
    assert_eq!(nowhere.body["reason"], "no-route");
    assert!(fixture.requests.reported.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_answer_ends_with_a_newline() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let requests = [
        Request::post(PATH).body(Body::empty()),
        Request::get(PATH).body(Body::empty()),
        Request::get("/other").body(Body::empty()),
    ];
    for request in requests {
        let response = fixture
            .router
            .clone()
            .oneshot(request.unwrap())
            .await
            .unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(body.ends_with(b"}\n"), "{body:?}");
    }
}
