//! The handshake of CloudEvents.

use super::*;

impl Fixture {
    async fn options(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder().method(Method::OPTIONS).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

const ORIGIN: (&str, &str) = ("WebHook-Request-Origin", "eventemitter.example.com");

#[tokio::test]
async fn every_sender_may_ask_whether_it_may_send() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let rate = ("WebHook-Request-Rate", "120");
    let callback = ("WebHook-Request-Callback", "https://callback.example.com/");
    for path in [PATH, "/webhook/plants/absent", "/webhook/%ff/No_Name"] {
        let reply = fixture.options(path, &[ORIGIN, rate, callback]).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(reply.headers["webhook-allowed-origin"], ORIGIN.1);
        assert_eq!(reply.headers["webhook-allowed-rate"], "*");
        assert_eq!(reply.headers["allow"], "POST");
    }
    let reply = fixture.options(PATH, &[ORIGIN]).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(!reply.headers.contains_key("webhook-allowed-rate"));
    assert_eq!((fixture.reads(), fixture.submitted()), (0, 0));
}

#[tokio::test]
async fn an_invalid_origin_is_refused_and_not_sent_back() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    for origin in ["", "a b", "<script>", "é", &"x".repeat(256)] {
        let reply = fixture.options(PATH, &[(ORIGIN.0, origin)]).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{origin}");
        assert!(!reply.headers.contains_key("webhook-allowed-origin"));
    }
    let twice = fixture.options(PATH, &[ORIGIN, ORIGIN]).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    let metrics = fixture.metrics_text();
    for line in [
        "outcomes_total{reason=\"invalid-origin\"} 6",
        "requests_total{source=\"unknown\",status_code=\"400\"} 6",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn without_an_origin_the_method_is_wrong() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let reply = fixture.options(PATH, &[]).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.headers["allow"], "POST");
    assert!(!reply.headers.contains_key("webhook-allowed-origin"));
}
