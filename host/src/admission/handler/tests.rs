use axum::body::Body;
use axum::http::{Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use kube::Client;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

/// An object in the namespace `plants`.
fn object(name: &str) -> Value {
    json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
        "metadata": { "name": name, "namespace": "plants" },
        "spec": {
            "git": { "repo": "https://git.example.com/plant.git", "ref": "main" },
            "gateway": { "api": { "secretName": "gw-key" } },
            "sync": { "profiles": {} },
        },
    })
}

/// A client of an API server with these objects in the namespace `plants`. Without a list, it is not available.
fn client(objects: Option<Vec<Value>>) -> Client {
    let answer = move |request: Request<kube::client::Body>| {
        let objects = objects.clone();
        async move {
            let path = "/apis/stoker.io/v1alpha1/namespaces/plants/gatewaysyncs";
            let rest = request.uri().path().strip_prefix(path).map(str::to_owned);
            let failure = |code: u16| {
                let reason = if code == 404 { "NotFound" } else { "no" };
                let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "message": "no", "reason": reason, "code": code });
                (code, status)
            };
            let (code, body) = match (rest.as_deref(), objects) {
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
            };
            let response = Response::builder().status(code);
            let body = kube::client::Body::from(body.to_string().into_bytes());
            Ok::<_, tower::BoxError>(response.body(body).unwrap())
        }
    };
    Client::new(tower::service_fn(answer), "default")
}

struct Answer {
    status: u16,
    body: Value,
    metrics: String,
}

async fn post(objects: Option<Vec<Value>>, path: &str, body: impl Into<Body>) -> Answer {
    let mut registry = Registry::default();
    let metrics = InjectorMetrics::register(&mut registry);
    let settings = Settings {
        agent_image: "agent:1".to_owned(),
    };
    let injector = Injector::new(Objects::new(client(objects)), settings, metrics);
    let request = Request::post(path).body(body.into()).unwrap();
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

fn question(annotations: &Value) -> Value {
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
    let body = question(&annotations).to_string();
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

#[tokio::test]
async fn other_requests_are_refused() {
    let mut other_version = question(&json!({}));
    other_version["apiVersion"] = "admission.k8s.io/v1beta1".into();
    let mut no_pod = question(&json!({}));
    no_pod["request"]["object"] = json!(null);
    for body in [
        String::new(),
        "{}".to_owned(),
        other_version.to_string(),
        no_pod.to_string(),
    ] {
        assert_eq!(post(None, "/mutate-v1-pod", body).await.status, 400);
    }
    let large = vec![b' '; BODY_BYTES + 1];
    assert_eq!(post(None, "/mutate-v1-pod", large).await.status, 413);
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
        let answered = routes.clone().oneshot(request.body(body).unwrap());
        async { answered.await.unwrap().status().as_u16() }
    };
    let silent = || futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let silent = (0..4).map(|_| send([192, 0, 2, 1], Body::from_stream(silent())));
    let mut silent = Box::pin(futures::future::join_all(silent));
    assert!(futures::poll!(&mut silent).is_pending());
    let question = question(&json!({})).to_string();
    let other = send([192, 0, 2, 2], question.into());
    assert_eq!(other.now_or_never(), Some(200));
    assert_eq!(silent.await, [408, 408, 408, 503]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let silent = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let answer = post(None, "/mutate-v1-pod", Body::from_stream(silent)).await;
    assert_eq!(answer.status, 408);
}
