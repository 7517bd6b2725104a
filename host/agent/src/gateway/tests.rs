use std::io::Write as _;

use stoker_local_cluster::FakeGateway;

use super::*;

fn client(gateway: &FakeGateway, key_file: Option<PathBuf>) -> GatewayClient {
    GatewayClient::new(GatewayAddress {
        port: gateway.port(),
        tls: false,
        key_file,
    })
    .unwrap()
}

#[tokio::test]
async fn projects_are_scanned_before_the_configuration_and_only_what_changed() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = client(&gateway, None);
    let (projects, configuration) = (true, true);
    for (scans, answer) in [
        (Scans::ALL, "projects=200 config=200"),
        (
            Scans {
                projects,
                ..Scans::default()
            },
            "projects=200",
        ),
        (
            Scans {
                configuration,
                ..Scans::default()
            },
            "config=200",
        ),
        (Scans::default(), ""),
    ] {
        assert_eq!(client.scan(scans).await.unwrap(), answer);
    }
    assert_eq!(
        gateway.scans(),
        ["projects", "config", "projects", "config"]
    );
}

#[tokio::test]
async fn a_failing_scan_is_tried_three_times() {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.answer_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let mut client = client(&gateway, None);
    assert_eq!(client.scan_retries.map(|wait| wait.as_secs()), [2, 4]);
    client.scan_retries = [Duration::ZERO; 2];
    let error = client.scan(Scans::ALL).await.unwrap_err();
    let text = stoker_report::chain(&error).to_string();
    assert_eq!(text, "scan/projects: after 3 retries: HTTP 500");
    assert_eq!(gateway.calls().len(), 3);
}

#[tokio::test]
async fn the_key_is_read_at_each_call() {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.require_key("agent:second");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let client = client(&gateway, Some(file.path().to_owned()));
    let status = |error: GatewayError| match error {
        GatewayError::Status(status) => status.as_u16(),
        other => panic!("{other}"),
    };
    assert_eq!(status(client.check().await.unwrap_err()), 401);
    file.write_all(b"agent:first\n").unwrap();
    assert_eq!(status(client.check().await.unwrap_err()), 401);
    file.as_file().set_len(0).unwrap();
    std::fs::write(file.path(), " agent:second\n").unwrap();
    client.check().await.unwrap();
    assert_eq!(client.designers().await.unwrap(), []);
}

#[tokio::test]
async fn a_gateway_without_the_call_is_asked_for_its_page() {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.answer_with(Some(StatusCode::NOT_FOUND));
    assert!(client(&gateway, None).check().await.is_err());
    assert_eq!(
        gateway.calls(),
        [
            "GET /data/api/v1/gateway-info 404",
            "GET /system/gwinfo 404"
        ]
    );
}

#[tokio::test]
async fn designers_are_read() {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.set_designers(&[("admin", "p1")]);
    let expected = Designer {
        user: "admin".to_owned(),
        project: "p1".to_owned(),
    };
    assert_eq!(
        client(&gateway, None).designers().await.unwrap(),
        [expected]
    );
}

#[test]
fn a_designer_counts_whatever_is_known_about_it() {
    for (text, expected) in [
        ("{}", ""),
        (r#"{"items":null}"#, ""),
        (r#"{"items":[{}]}"#, "unknown user on unknown project"),
        (r#"{"items":[null]}"#, "unknown user on unknown project"),
        (
            r#"{"items":[{"user":"admin","project":null},{"user":null,"project":"p"}]}"#,
            "admin on unknown project, unknown user on p",
        ),
        (
            r#"{"items":[{"user":7,"project":{"name":"p"},"id":null}]}"#,
            "unknown user on unknown project",
        ),
    ] {
        let found: Designers = serde_json::from_str(text).unwrap();
        let found: Vec<Designer> = found.into();
        let found = found
            .iter()
            .map(|one| format!("{} on {}", one.user, one.project));
        assert_eq!(found.collect::<Vec<_>>().join(", "), expected, "{text}");
    }
}

#[tokio::test]
async fn a_key_that_no_header_can_contain_is_an_error_that_does_not_show_it() {
    let gateway = FakeGateway::start().await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "agent:sec\nret").unwrap();
    let client = client(&gateway, Some(file.path().to_owned()));
    let error = client.check().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the API key contains a character that is not allowed in a header"
    );
    assert_eq!(gateway.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn any_answer_but_unavailable_is_that_of_a_gateway_that_has_started() {
    let gateway = FakeGateway::start().await.unwrap();
    for (status, state) in [
        (401, Availability::Refusing),
        (403, Availability::Refusing),
        (404, Availability::Refusing),
        (500, Availability::Refusing),
        (503, Availability::Down),
    ] {
        gateway.answer_with(Some(StatusCode::from_u16(status).unwrap()));
        let error = client(&gateway, None).check().await.unwrap_err();
        assert_eq!(error.availability(), state, "{status}");
    }
    // Nothing listens on a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let address = GatewayAddress {
        port,
        tls: false,
        key_file: None,
    };
    let error = GatewayClient::new(address)
        .unwrap()
        .check()
        .await
        .unwrap_err();
    assert_eq!(error.availability(), Availability::Down);
}
