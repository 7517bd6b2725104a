//! Discovery, and the forms of answers.

use serde_json::{Value, json};

use crate::support::{CONFIGS, SYNCS, World, config, refusal, sync};

async fn accept(world: &World, path: &str, accept: &str) -> Value {
    let request = http::Request::get(path)
        .header("accept", accept)
        .body(Vec::new())
        .expect("a request");
    match world.client.request::<Value>(request).await {
        Ok(value) => value,
        Err(kube::Error::Api(status)) => serde_json::to_value(&*status).expect("a status"),
        Err(error) => panic!("{error}"),
    }
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[tokio::test]
async fn the_client_discovers_what_is_served() {
    let world = World::new().await;
    let discovery = kube::discovery::Discovery::new(world.client.clone())
        .run()
        .await
        .expect("discovery");
    let group = discovery.get("stoker.io").expect("the group");
    let (resource, capabilities) = group.recommended_kind("GatewaySync").expect("the kind");
    assert_eq!(resource.plural, "gatewaysyncs");
    assert!(capabilities.supports_operation("watch"));
    assert_eq!(capabilities.subresources.len(), 1);
    let version = world.client.apiserver_version().await.expect("a version");
    assert_eq!(version.minor, "37");
    for path in ["/healthz", "/livez", "/readyz"] {
        let request = http::Request::get(path)
            .body(Vec::new())
            .expect("a request");
        assert_eq!(world.client.request_text(request).await.expect(path), "ok");
    }
}

#[tokio::test]
async fn all_groups_can_be_had_at_once() {
    let world = World::new().await;
    let media =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let groups = accept(&world, "/apis", media).await;
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");
    let items = groups["items"].as_array().expect("groups");
    let group = items
        .iter()
        .find(|one| one["metadata"]["name"] == "stoker.io")
        .expect("the group");
    let resource = &group["versions"][0]["resources"][0];
    assert_eq!(resource["shortNames"], json!(["gs"]));
    assert_eq!(resource["subresources"][0]["subresource"], "status");
    assert_eq!(
        accept(&world, "/api", media).await["items"][0]["versions"][0]["version"],
        "v1"
    );
    assert_eq!(
        accept(&world, "/apis", "application/json").await["kind"],
        "APIGroupList"
    );
}

#[tokio::test]
async fn schemas_name_their_kinds_and_parameters() {
    let world = World::new().await;
    let index = world.get("/openapi/v3").await;
    let url = index["paths"]["apis/stoker.io/v1alpha1"]["serverRelativeURL"]
        .as_str()
        .expect("a document");
    let document = world.get(url).await;
    let schema = &document["components"]["schemas"]["io.stoker.v1alpha1.GatewaySync"];
    assert_eq!(
        schema["x-kubernetes-group-version-kind"][0]["kind"],
        "GatewaySync"
    );
    let path =
        &document["paths"]["/apis/stoker.io/v1alpha1/namespaces/{namespace}/gatewaysyncs/{name}"];
    let names: Vec<&Value> = path["patch"]["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(
        names,
        ["dryRun", "fieldManager", "fieldValidation", "force"]
    );
}

#[tokio::test]
async fn the_document_of_version_2_is_empty() {
    let world = World::new().await;
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let request = http::Request::get("/openapi/v2")
        .header("accept", protobuf)
        .body(Vec::new())
        .expect("a request");
    let text = world.client.request_text(request).await.expect("protobuf");
    assert_eq!(text, "\n\u{3}2.0");
    let document = world.get("/openapi/v2").await;
    assert_eq!(
        (&document["swagger"], &document["paths"]),
        (&json!("2.0"), &json!({}))
    );
}

#[tokio::test]
async fn tables_have_the_columns_of_their_definition() {
    let world = World::new().await;
    world.post(SYNCS, &sync("x")).await;
    world.merge(&format!("{SYNCS}/x/status"), &json!({ "status": { "gatewayCount": 2,
        "conditions": [{ "type": "Synced", "status": "False" }, { "type": "Ready", "status": "True" }] } })).await;
    let table = accept(&world, SYNCS, TABLE).await;
    let columns: Vec<&Value> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(
        columns,
        ["Name", "Ref", "Ready", "Gateways", "Repository", "Age"]
    );
    assert_eq!(table["columnDefinitions"][4]["priority"], 1);
    let cells = table["rows"][0]["cells"].as_array().expect("cells");
    assert_eq!(
        cells[..5],
        [
            json!("x"),
            json!("main"),
            json!("True"),
            json!(2),
            json!("https://git.example.com/r.git")
        ]
    );
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let table = accept(&world, &format!("{SYNCS}?includeObject=Object"), TABLE).await;
    assert_eq!(table["rows"][0]["object"]["kind"], "GatewaySync");
}

#[tokio::test]
async fn metadata_can_be_had_alone() {
    let world = World::new().await;
    world.post(CONFIGS, &config("x")).await;
    let list = accept(
        &world,
        CONFIGS,
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    )
    .await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "x");
    assert_eq!(list["items"][0]["data"], json!(null));
    let refused = accept(&world, CONFIGS, "application/vnd.kubernetes.protobuf").await;
    assert_eq!(
        (refusal(&refused).0, &refused["reason"]),
        (406, &json!("NotAcceptable"))
    );
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name() {
    let world = World::new().await;
    for path in [
        "/apis/apps/v1/deployments",
        "/api/v1/namespaces/default/endpoints",
        "/apis/stoker.io/v9/gatewaysyncs",
        "/openapi/v1",
        "/metrics",
    ] {
        let refused = world.get(path).await;
        let (code, message) = refusal(&refused);
        assert_eq!(code, 404, "{path}");
        assert!(
            message.contains("the embedded API server does not implement"),
            "{message}"
        );
    }
    let refused = world.post(&format!("{CONFIGS}/x"), &config("x")).await;
    assert_eq!(
        (refusal(&refused).0, &refused["reason"]),
        (405, &json!("MethodNotAllowed"))
    );
}
