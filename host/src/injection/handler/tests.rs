use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use kube::Client;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::fake_client::{self, status};

/// An object in the namespace `plants`.
fn object(name: &str) -> Value {
    json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
        "metadata": { "name": name, "namespace": "plants" },
        "spec": {
            "git": { "repo": "https://git.example.com/plant.git", "ref": "main" },
            "gateway": { "api": { "secretName": "gw-key" } },
            "sync": { "profiles": { "default": { "mappings": [] } } },
        },
    })
}

/// A client of an API server with these objects in the namespace `plants`. Without a list, it is not available.
fn client(objects: Option<Vec<Value>>) -> Client {
    fake_client::client(move |request| {
        let objects = objects.clone();
        async move {
            let path = "/apis/stoker.io/v1alpha1/namespaces/plants/gatewaysyncs";
            let rest = request.uri().path().strip_prefix(path).map(str::to_owned);
            let failure = |code: u16| {
                let reason = if code == 404 { "NotFound" } else { "no" };
                status(code, reason, "no")
            };
            match (rest.as_deref(), objects) {
                (_, None) => failure(500),
                (Some(""), Some(objects)) => (
                    200,
                    json!({ "kind": "List", "apiVersion": "v1", "metadata": {}, "items": objects }),
                ),
                (rest, Some(objects)) => {
                    let name = rest.unwrap_or_default().trim_start_matches('/');
                    let mut objects = objects.into_iter();
                    let found = objects.find(|object| object["metadata"]["name"] == name);
                    found.map_or_else(|| failure(404), |object| (200, object))
                }
            }
        }
    })
}

struct Answer {
    status: u16,
    body: Value,
    metrics: String,
}

async fn post(objects: Option<Vec<Value>>, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("Content-Type", "application/json");
    send(objects, request.body(body.into()).unwrap()).await
}

async fn send(objects: Option<Vec<Value>>, request: Request<Body>) -> Answer {
    let mut registry = Registry::default();
    let metrics = InjectorMetrics::register(&mut registry);
    let settings = Settings {
        agent_image: "agent:1".to_owned(),
    };
    let injector = Injector::new(Objects::new(client(objects)), settings, metrics);
    let response = router(Arc::new(injector)).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    Answer {
        status,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        metrics,
    }
}

fn admission_review(annotations: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "namespace": "plants", "operation": "CREATE",
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "generateName": "gw-", "annotations": annotations },
                "spec": { "containers": [{ "name": "gateway" }], "volumes": [{ "name": "data" }] },
            },
            "oldObject": null,
        },
    })
}

async fn review(objects: Option<Vec<Value>>, annotations: Value) -> Answer {
    let body = admission_review(&annotations).to_string();
    let answer = post(objects, "/mutate-v1-pod", body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer.body["kind"], "AdmissionReview");
    assert_eq!(answer.body["response"]["uid"], "u-1");
    answer
}

fn counted(answer: &Answer, result: &str) -> bool {
    let line = format!(
        "stoker_webhook_injector_injections_total{{namespace=\"plants\",result=\"{result}\"}} 1"
    );
    answer.metrics.contains(&line)
}

#[tokio::test]
async fn a_pod_gets_the_agent_of_the_object_that_it_names() {
    let annotations = json!({ "stoker.io/inject": "true", "stoker.io/cr-name": "b" });
    let answer = review(Some(vec![object("a"), object("b")]), annotations).await;
    let response = &answer.body["response"];
    assert_eq!(response["allowed"], true);
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD
        .decode(response["patch"].as_str().unwrap())
        .unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert_eq!(patch[2]["path"], "/spec/initContainers");
    assert_eq!(
        patch[2]["value"][0]["env"][2],
        json!({ "name": "CR_NAME", "value": "b" })
    );
    assert_eq!(response["status"], json!({ "code": 200 }));
    assert_eq!(response.get("warnings"), None);
    assert!(counted(&answer, "injected"), "{}", answer.metrics);
}

#[tokio::test]
async fn a_pod_without_a_name_gets_the_only_object() {
    let answer = review(
        Some(vec![object("a")]),
        json!({ "stoker.io/inject": "true" }),
    )
    .await;
    let patch = answer.body["response"]["patch"].as_str().unwrap();
    let patch: Value = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
    let named =
        json!({ "op": "add", "path": "/metadata/annotations/stoker.io~1cr-name", "value": "a" });
    assert_eq!(patch[0], named);
}

#[tokio::test]
async fn a_pod_that_does_not_ask_is_allowed_without_a_read() {
    let answer = review(None, json!({})).await;
    let expected = json!({
        "uid": "u-1", "allowed": true,
        "status": { "code": 200, "message": "injection not requested" },
    });
    assert_eq!(answer.body["response"], expected);
    assert!(counted(&answer, "skipped"), "{}", answer.metrics);
}

#[tokio::test]
async fn a_pod_is_denied_with_the_reason() {
    let several = "multiple GatewaySync CRs in namespace 'plants': [a, b] — set annotation 'stoker.io/cr-name' explicitly";
    let cases = [
        (
            vec![],
            None,
            "no GatewaySync CR found in namespace 'plants'",
        ),
        (vec![object("b"), object("a")], None, several),
        (
            vec![object("a")],
            Some("c"),
            "GatewaySync 'c' not found in namespace 'plants'",
        ),
        (
            vec![object("a")],
            Some("../secrets"),
            "GatewaySync '../secrets' not found in namespace 'plants'",
        ),
    ];
    for (objects, name, message) in cases {
        let mut annotations = json!({ "stoker.io/inject": "true" });
        if let Some(name) = name {
            annotations["stoker.io/cr-name"] = name.into();
        }
        let answer = review(Some(objects), annotations).await;
        let expected = json!({
            "uid": "u-1", "allowed": false,
            "status": { "code": 403, "reason": "Forbidden", "message": message },
        });
        assert_eq!(answer.body["response"], expected);
        assert!(counted(&answer, "denied"), "{}", answer.metrics);
    }
}

#[tokio::test]
async fn a_pod_is_refused_for_now_if_the_object_cannot_be_read() {
    let mut invalid = object("a");
    invalid["spec"] = json!({ "git": 5 });
    for objects in [None, Some(vec![invalid])] {
        let answer = review(objects, json!({ "stoker.io/inject": "true" })).await;
        let response = &answer.body["response"];
        assert_eq!(response["allowed"], false);
        assert_eq!(response["status"]["code"], 500);
        let line = "stoker_webhook_injector_errors_total{reason=\"lookup\"} 1";
        assert!(answer.metrics.contains(line), "{}", answer.metrics);
    }
}

/// Answers a review after a change.
async fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut review = admission_review(&json!({ "stoker.io/inject": "true" }));
    change(&mut review);
    let objects = Some(vec![object("a")]);
    let answer = post(objects, "/mutate-v1-pod", review.to_string()).await;
    assert_eq!(answer.status, 200);
    answer.body
}

#[tokio::test]
async fn a_review_is_answered_in_its_version() {
    for (sent, answered) in [
        (json!("admission.k8s.io/v1"), "admission.k8s.io/v1"),
        (
            json!("admission.k8s.io/v1beta1"),
            "admission.k8s.io/v1beta1",
        ),
        (json!(null), "admission.k8s.io/v1"),
    ] {
        let body = changed(|review| {
            review["apiVersion"] = sent;
            review.as_object_mut().unwrap().remove("kind");
        })
        .await;
        assert_eq!(body["apiVersion"], answered);
        assert_eq!(body["kind"], "AdmissionReview");
        assert_eq!(body["response"]["patchType"], "JSONPatch");
    }
}

#[tokio::test]
async fn a_request_without_a_uid_is_answered_with_an_empty_one() {
    let body = changed(|review| {
        review["request"].as_object_mut().unwrap().remove("uid");
    })
    .await;
    assert_eq!(body["response"]["uid"], "");
    assert_eq!(body["response"]["allowed"], true);
}

#[tokio::test]
async fn without_a_namespace_in_the_request_that_of_the_pod_is_used() {
    for namespace in [json!(null), json!("")] {
        let body = changed(|review| {
            review["request"]["namespace"] = namespace;
            review["request"]["object"]["metadata"]["namespace"] = "plants".into();
        })
        .await;
        assert_eq!(body["response"]["patchType"], "JSONPatch", "{body}");
    }
}

#[tokio::test]
async fn a_pod_with_quantities_as_numbers_gets_the_agent() {
    let body = changed(|review| {
        review["request"]["object"]["spec"]["containers"][0]["resources"] =
            json!({ "limits": { "cpu": 1 } });
    })
    .await;
    assert_eq!(body["response"]["patchType"], "JSONPatch", "{body}");
}

/// Returns the answer to a request that cannot be read.
fn refused(uid: &str, message: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {
            "uid": uid, "allowed": false, "status": { "code": 400, "message": message },
        },
    })
}

#[tokio::test]
async fn a_review_without_a_pod_is_refused_with_its_uid() {
    let no_pod = "the AdmissionReview contains no pod";
    for pod in [json!(null), json!([]), json!("pod")] {
        let body = changed(|review| review["request"]["object"] = pod).await;
        assert_eq!(body, refused("u-1", no_pod));
    }
    let body = changed(|review| {
        review["request"]["object"]["metadata"]["annotations"] = json!([]);
    })
    .await;
    let said = body["response"]["status"]["message"].as_str().unwrap();
    let start =
        "the AdmissionReview contains an invalid pod: invalid type: sequence, expected a map";
    assert!(said.starts_with(start), "{said}");
    assert_eq!(body, refused("u-1", said));
    let body = changed(|review| review["request"] = json!(null)).await;
    assert_eq!(body, refused("", no_pod));
}

#[tokio::test]
async fn a_body_that_is_no_review_is_refused() {
    let json = "the body is not an AdmissionReview: ";
    for (body, message) in [
        ("", json),
        ("pod", json),
        ("[]", json),
        (r#"{"request":{"uid":5}}"#, json),
        (
            r#"{"apiVersion":"v1","kind":"Pod"}"#,
            "the body is Pod of v1, and not AdmissionReview of admission.k8s.io/v1",
        ),
    ] {
        let answer = post(None, "/mutate-v1-pod", body).await;
        assert_eq!(answer.status, 200);
        let said = answer.body["response"]["status"]["message"].as_str();
        assert!(said.unwrap().starts_with(message), "{said:?}");
        assert_eq!(answer.body, refused("", said.unwrap()));
    }
}

#[tokio::test]
async fn a_body_of_another_content_type_is_refused() {
    for (content_type, is_read) in [
        (None, false),
        (Some("text/plain"), false),
        (Some("application/json-patch+json"), false),
        (Some("application/json"), true),
        (Some("Application/JSON; charset=utf-8"), true),
    ] {
        let mut request = Request::post("/mutate-v1-pod");
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let body = Body::from(admission_review(&json!({})).to_string());
        let answer = send(None, request.body(body).unwrap()).await;
        assert_eq!(answer.status, 200);
        if is_read {
            assert_eq!(answer.body["response"]["allowed"], true, "{content_type:?}");
        } else {
            let expected = refused("", "the content type is not application/json");
            assert_eq!(answer.body, expected, "{content_type:?}");
        }
    }
}

#[tokio::test]
async fn the_review_of_a_pod_with_escaped_characters_is_read() {
    let mut review = admission_review(&json!({}));
    review["request"]["object"]["spec"]["note"] = json!("<".repeat(750_000));
    let review = review.to_string().replace('<', "\\u003c");
    assert_eq!(post(None, "/mutate-v1-pod", review).await.status, 200);
}

#[tokio::test]
async fn other_requests_are_not_served() {
    let large = vec![b' '; BODY_BYTES + 1];
    let answer = post(None, "/mutate-v1-pod", large).await;
    assert_eq!(answer.status, 413);
    let counted = r#"stoker_webhook_injector_errors_total{reason="body"} 1"#;
    assert!(answer.metrics.contains(counted), "{}", answer.metrics);
    assert_eq!(post(None, "/", "{}").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_bodies_does_not_keep_others_out() {
    let settings = Settings {
        agent_image: "agent:1".to_owned(),
    };
    let objects = Objects::new(client(None));
    let injector = Injector::new(objects, settings, InjectorMetrics::default());
    let routes = router(Arc::new(injector));
    let send = |address: [u8; 4], body: Body| {
        let peer = Peer((address, 1).into());
        let request = Request::post("/mutate-v1-pod").extension(peer);
        let request = request.header("Content-Type", "application/json");
        let answered = routes.clone().oneshot(request.body(body).unwrap());
        async { answered.await.unwrap().status().as_u16() }
    };
    let silent = || futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let silent = (0..3).map(|_| send([192, 0, 2, 1], Body::from_stream(silent())));
    let mut silent = Box::pin(futures::future::join_all(silent));
    assert!(futures::poll!(&mut silent).is_pending());
    let review = admission_review(&json!({})).to_string();
    let other = send([192, 0, 2, 2], review.into());
    assert_eq!(other.now_or_never(), Some(200));
    assert_eq!(silent.await, [408, 408, 503]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let silent = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let answer = post(None, "/mutate-v1-pod", Body::from_stream(silent)).await;
    assert_eq!(answer.status, 408);
}
