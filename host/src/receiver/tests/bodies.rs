//! Bodies of every kind, with the built-in plugins behind them.

use std::time::Duration;

use super::*;

async fn fixture() -> Fixture {
    Fixture::new(with_object(Policy::default())).await
}

impl Fixture {
    /// Sends a signed webhook with these headers and bytes.
    pub(super) async fn deliver(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        self.deliver_to(PATH, headers, body).await
    }

    pub(super) async fn deliver_to(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        let body = body.into();
        let mut request =
            Request::post(path).header(SIGNATURE_HEADER, sign(SECRET.as_bytes(), &body));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// The refs of the last announcement.
    fn announced(&self) -> Vec<String> {
        let submitted = self.requests.submitted.lock().unwrap();
        let (_, announcement) = submitted.last().unwrap();
        let refs = announcement.detections.iter();
        refs.map(|one| one.git_ref.to_string()).collect()
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const PUSH: &[(&str, &str)] = &[("x-github-event", "push")];

#[tokio::test]
async fn what_the_headers_decide_is_decided_whatever_the_body_is() {
    let fixture = fixture().await;
    for (name, event) in [
        ("x-github-event", "star"),
        ("x-github-event", "ping"),
        ("x-gitlab-event", "Job Hook"),
        ("x-gitea-event", "issues"),
        ("x-event-key", "diagnostics:ping"),
        ("x-amz-sns-message-type", "SubscriptionConfirmation"),
        ("aeg-event-type", "SubscriptionValidation"),
    ] {
        for body in [&b""[..], b"{", b"\xff\xfe", b"payload=%7B%7D", b"<a/>"] {
            let reply = fixture.deliver(&[(name, event)], body).await;
            assert_eq!(reply.status, StatusCode::OK, "{event} {:?}", reply.body);
            assert!(reply.body["ignored"].is_string(), "{:?}", reply.body);
        }
    }
    for headers in [
        PUSH,
        &[("x-gitlab-event", "System Hook")],
        &[("ce-specversion", "1.0"), ("ce-type", "x")],
    ] {
        let reply = fixture.deliver(headers, "{").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{headers:?}");
        let error = reply.body["error"].as_str().unwrap();
        assert!(error.starts_with("the body ends too early"), "{error}");
    }
    assert_eq!(fixture.submitted(), 0);
}

/// Headers and body of a delivery, the status of the answer, and words of the error.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

#[tokio::test]
async fn a_body_that_cannot_be_read_is_explained() {
    let fixture = fixture().await;
    let json = ("content-type", "application/json");
    let cases: &[Case<'_>] = &[
        (&[json], b"", 400, "empty"),
        (&[json], b"{\"a\":\"caf\xe9\"}", 400, "not UTF-8"),
        (&[json], b"\x1f\x8b\x08\0", 400, "compressed with gzip"),
        (
            &[json, ("content-encoding", "br")],
            b"\x0b\x02\x80",
            415,
            "compressed with br",
        ),
        (
            &[("content-encoding", "identity")],
            b"{",
            400,
            "ends too early",
        ),
        (&[FORM], b"ref=v1", 415, "without the field payload"),
        (&[FORM], b"payload=%7B%7D&payload=1", 400, "several fields"),
        (&[FORM], b"payload=%7B%", 400, "the % at byte 12"),
        (&[FORM], b"payload=%7B%22a%22", 400, "ends too early"),
        (&[FORM], b"payload=%ff", 400, "not UTF-8"),
        (&[FORM], b"payload=", 400, "empty"),
        (&[json], b"payload=%7B%7D", 400, "set the content type"),
        (
            &[("content-type", "application/xml")],
            b"<push/>",
            415,
            "application/xml",
        ),
        (
            &[json],
            b"{\"ref\":\"v1\"}{\"ref\":\"v2\"}",
            400,
            "more than one JSON value",
        ),
    ];
    for (headers, body, status, word) in cases {
        let reply = fixture.deliver(headers, *body).await;
        let error = reply.body["error"].as_str().unwrap_or_default();
        assert_eq!(reply.status.as_u16(), *status, "{body:?} {error}");
        assert!(error.contains(word), "{body:?} {error}");
    }
    assert_eq!(fixture.submitted(), 0);
}

#[tokio::test]
async fn a_body_that_is_json_is_read_whatever_its_headers_are() {
    let fixture = fixture().await;
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-encoding", "gzip")],
        &[],
    ] {
        for body in [
            "{\"ref\":\"v1\"}",
            "\u{feff}{\"ref\":\"v1\"}",
            " {\"n\":1e400,\"ref\":\"v1\"}\n",
        ] {
            let reply = fixture.deliver(headers, body).await;
            assert_eq!(reply.status, StatusCode::ACCEPTED, "{headers:?} {body}");
            assert_eq!(fixture.announced(), ["v1"]);
        }
    }
}

#[tokio::test]
async fn the_json_in_a_form_is_read() {
    let fixture = fixture().await;
    let body = "payload=%7B%22ref%22%3A%20%22refs/tags/v1.0.0%22%2C%20%22repository%22%3A%20%7B%22full_name%22%3A%20%22demo/plant%22%7D%7D";
    let charset = "Application/X-WWW-Form-Urlencoded; charset=utf-8";
    for headers in [&[FORM][..], &[("content-type", charset)], &[]] {
        let headers = [PUSH, headers].concat();
        let reply = fixture.deliver(&headers, body).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
        assert_eq!(reply.body["plugin"], "github");
        assert_eq!(fixture.announced(), ["refs/tags/v1.0.0"]);
    }
}

#[tokio::test]
async fn the_message_in_an_envelope_of_sns_is_read() {
    let fixture = fixture().await;
    let detail = json!({
        "event": "referenceUpdated", "repositoryName": "plant", "referenceType": "branch", "referenceName": "main",
        "referenceFullName": "refs/heads/main", "commitId": "a1".repeat(20),
    });
    let envelope = |message: Value| {
        json!({
            "Type": "Notification", "MessageId": "m-17", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:plant",
            "Message": message.to_string(), "Timestamp": "2026-01-02T03:04:05.000Z",
        })
    };
    let text = ("content-type", "text/plain; charset=UTF-8");
    for (message, plugin, git_ref) in [
        (json!({"detail": detail}), "codecommit", "refs/heads/main"),
        (json!({"ref": "v1"}), "generic", "v1"),
    ] {
        for headers in [&[text, ("x-amz-sns-message-type", "Notification")][..], &[]] {
            let body = envelope(message.clone()).to_string();
            let reply = fixture.deliver(headers, body).await;
            assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
            assert_eq!(reply.body["plugin"], plugin);
            assert_eq!(fixture.announced(), [git_ref]);
        }
        // Raw delivery has no envelope.
        let reply = fixture.deliver(&[text], message.to_string()).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
    }
}

#[tokio::test]
async fn a_subscription_of_sns_is_not_confirmed_but_explained() {
    let fixture = fixture().await;
    let url = "https://sns.example.invalid/?Action=ConfirmSubscription&Token=2336412f37";
    let body = json!({
        "Type": "SubscriptionConfirmation", "MessageId": "m-0", "Token": "2336412f37", "SubscribeURL": url,
        "TopicArn": "arn:aws:sns:eu-west-1:111122223333:plant", "Message": "You have chosen to subscribe",
    });
    let reply = fixture.post(PATH, &body).await;
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    let reason = reply.body["ignored"].as_str().unwrap();
    assert!(reason.ends_with(&format!("open {url}")), "{reason}");
    assert_eq!(fixture.submitted(), 0);
}

#[tokio::test]
async fn a_lone_surrogate_affects_only_its_string() {
    let fixture = fixture().await;
    let body = r#"{"ref":"refs/heads/main","head_commit":{"message":"Tune the line \ud83d"}}"#;
    let reply = fixture.deliver(PUSH, body).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
    assert_eq!(fixture.announced(), ["refs/heads/main"]);
    let reply = fixture
        .deliver(PUSH, r#"{"ref":"refs/heads/\ud83d"}"#)
        .await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let error = reply.body["error"].as_str().unwrap();
    assert!(
        error.contains("/ref holds half of a surrogate pair"),
        "{error}"
    );
}

/// A push of some tags and then a branch, as Azure DevOps and Bitbucket Data Center send it.
fn pushes(tags: usize) -> [(&'static [(&'static str, &'static str)], Value); 2] {
    let (old, new) = ("0".repeat(40), "ab".repeat(20));
    let names: Vec<_> = (0..tags)
        .map(|number| format!("refs/tags/v0.{}.{}", number / 20, number % 20))
        .chain(["refs/heads/main".to_owned()])
        .collect();
    let updates = names
        .iter()
        .map(|name| json!({"name": name, "oldObjectId": old, "newObjectId": new}));
    let changes = names
        .iter()
        .map(|name| json!({"ref": {"id": name}, "fromHash": old, "toHash": new, "type": "ADD"}));
    let azure = json!({
        "publisherId": "tfs", "eventType": "git.push", "id": "0d9b6a2e-4c1f-4b7a-8e5d-3f2a1b0c9d8e",
        "resource": {
            "refUpdates": updates.collect::<Vec<_>>(),
            "repository": {"remoteUrl": "https://dev.azure.com/plant/controls/_git/line-7"},
            "date": "2026-03-02T09:41:17.3309587Z",
        },
    });
    let bitbucket = json!({
        "changes": changes.collect::<Vec<_>>(),
        "repository": {"slug": "line-7", "project": {"key": "PLANT"}},
    });
    [
        (&[], azure),
        (&[("x-event-key", "repo:refs_changed")], bitbucket),
    ]
}

#[tokio::test]
async fn a_push_of_thousands_of_refs_is_accepted() {
    // A build for tests is many times slower than a release.
    let limits = plugin::Limits {
        wall_time: Duration::from_secs(5),
        ..plugin::Limits::default()
    };
    let fixture = Fixture::with_limits(with_object(Policy::default()), limits).await;
    for tags in [299, 2897, 6000] {
        for (headers, body) in pushes(tags) {
            let reply = fixture.deliver(headers, body.to_string()).await;
            assert_eq!(
                reply.status,
                StatusCode::ACCEPTED,
                "{tags} {:?}",
                reply.body
            );
            let announced = fixture.announced();
            assert_eq!(announced.len(), (tags + 1).min(4096));
            assert_eq!(announced[0], "refs/tags/v0.0.0");
            assert_eq!(announced.last().unwrap(), "refs/heads/main");
        }
    }
}

#[tokio::test]
async fn a_ref_that_git_refuses_does_not_affect_the_others() {
    let fixture = fixture().await;
    let update = |name: &str| json!({"name": name, "newObjectId": "ab".repeat(20)});
    let push = |names: &[&str]| {
        let updates: Vec<_> = names.iter().map(|name| update(name)).collect();
        json!({"publisherId": "tfs", "eventType": "git.push", "resource": {"refUpdates": updates}})
    };
    let long = format!("refs/tags/{}", "x".repeat(300));
    let body = push(&[
        "refs/heads/a b",
        "refs/heads/main",
        &long,
        "refs/tags/v2.4.0",
    ]);
    let reply = fixture.post(PATH, &body).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
    assert_eq!(fixture.announced(), ["refs/heads/main", "refs/tags/v2.4.0"]);
    let reply = fixture.post(PATH, &push(&["refs/heads/a b", &long])).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let error = reply.body["error"].as_str().unwrap();
    assert!(error.contains("refs/heads/a b"), "{error}");
}

#[tokio::test]
async fn odd_but_valid_names_are_announced_as_they_are() {
    let fixture = fixture().await;
    for name in [
        "feature/größe+β",
        "release@2026",
        "user/#42",
        "fix/100%25",
        "refs-heads",
        "tags/x",
        "heads/main",
        "v1.0.0+build.7",
        "a.b.c",
        "日本語/枝",
        "HEAD",
        "x@y",
        "a=b",
        "a'b",
        "a\"b",
        "a&b;c",
        "(x)",
        "{x}",
        "@/x",
        "e\u{301}",
    ] {
        let reply = fixture.post(PATH, &json!({"ref": name})).await;
        assert_eq!(
            reply.status,
            StatusCode::ACCEPTED,
            "{name} {:?}",
            reply.body
        );
        assert_eq!(fixture.announced(), [name]);
    }
    for name in [
        "@", "a..b", "a/.b", "a.lock/b", "a\u{7f}b", "x.", "a@{b", "a\\b", "a[b",
    ] {
        let reply = fixture.post(PATH, &json!({"ref": name})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn a_form_of_gitea_announces_the_json_that_was_signed() {
    let fixture = fixture().await;
    let json = r#"{"ref": "v1.0.2", "ref_type": "tag"}"#;
    let field: String = url::form_urlencoded::byte_serialize(json.as_bytes()).collect();
    let signature = sign(SECRET.as_bytes(), json.as_bytes());
    for (secret, status) in [
        (signature.as_str(), 202),
        (&sign(b"other", json.as_bytes()), 401),
    ] {
        let request = Request::post(PATH)
            .header("x-gitea-event", "create")
            .header("x-gitea-signature", &secret["sha256=".len()..])
            .header(SIGNATURE_HEADER, secret)
            .header(FORM.0, FORM.1)
            .body(Body::from(format!("payload={field}")));
        let reply = fixture.send(request.unwrap()).await;
        assert_eq!(reply.status.as_u16(), status, "{:?}", reply.body);
    }
    assert_eq!(fixture.announced(), ["refs/tags/v1.0.2"]);
}
