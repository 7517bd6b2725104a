//! Compares the generated definition with the fields, defaults and limits of the contract.

mod objects;

use serde_json::{Value, json};

use super::*;

fn version() -> Value {
    serde_json::to_value(GatewaySync::crd()).unwrap()["spec"]["versions"][0].clone()
}

fn root() -> Value {
    version()["schema"]["openAPIV3Schema"].clone()
}

/// Writes a line for each field of a schema: its path, `!` if it is required, its type and its limits.
fn describe(schema: &Value, path: &str, lines: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.contains(&json!(name)));
        describe_field(field, &path, if required { "!" } else { "" }, lines);
    }
}

fn describe_field(field: &Value, path: &str, mark: &str, lines: &mut Vec<String>) {
    let mut line = format!(
        "{path}{mark} {}",
        field["type"].as_str().unwrap_or("int-or-string")
    );
    let limits = [
        "format",
        "minLength",
        "minItems",
        "minProperties",
        "minimum",
        "maximum",
        "enum",
        "default",
    ];
    for limit in limits.into_iter().filter(|limit| !field[limit].is_null()) {
        line = format!(
            "{line} {limit}={}",
            field[limit].to_string().replace('"', "")
        );
    }
    lines.push(line);
    describe(field, path, lines);
    for (child, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if field[child].is_object() {
            describe_field(&field[child], &format!("{path}{mark}"), "", lines);
        }
    }
}

fn described(name: &str) -> String {
    let mut lines = Vec::new();
    describe(&root()["properties"][name], "", &mut lines);
    lines.sort();
    lines.join("\n")
}

#[track_caller]
fn assert_lines(found: &str, expected: &str) {
    let mut expected: Vec<_> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    expected.sort_unstable();
    let found: Vec<_> = found.lines().collect();
    let missing: Vec<_> = expected
        .iter()
        .filter(|line| !found.contains(line))
        .collect();
    let surplus: Vec<_> = found
        .iter()
        .filter(|line| !expected.contains(line))
        .collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing: {missing:#?}\nsurplus: {surplus:#?}"
    );
}

#[test]
fn spec_has_the_fields_defaults_and_limits_of_the_contract() {
    assert_lines(
        &described("spec"),
        "
        agent object
        agent.image object
        agent.image.pullPolicy string
        agent.image.repository string
        agent.image.tag string
        agent.resources object
        agent.resources.claims array
        agent.resources.claims[] object
        agent.resources.claims[].name! string
        agent.resources.claims[].request string
        agent.resources.limits object
        agent.resources.limits{} int-or-string
        agent.resources.requests object
        agent.resources.requests{} int-or-string
        gateway! object
        gateway.api! object
        gateway.api.secretKey string default=apiKey
        gateway.api.secretName! string minLength=1
        gateway.port integer format=int32 default=8088
        gateway.tls boolean default=false
        git! object
        git.auth object
        git.auth.githubApp object
        git.auth.githubApp.apiBaseURL string
        git.auth.githubApp.appId! integer format=int64
        git.auth.githubApp.installationId! integer format=int64
        git.auth.githubApp.privateKeySecretRef! object
        git.auth.githubApp.privateKeySecretRef.key! string minLength=1
        git.auth.githubApp.privateKeySecretRef.name! string minLength=1
        git.auth.sshKey object
        git.auth.sshKey.knownHosts object
        git.auth.sshKey.knownHosts.secretRef! object
        git.auth.sshKey.knownHosts.secretRef.key! string minLength=1
        git.auth.sshKey.knownHosts.secretRef.name! string minLength=1
        git.auth.sshKey.secretRef! object
        git.auth.sshKey.secretRef.key! string minLength=1
        git.auth.sshKey.secretRef.name! string minLength=1
        git.auth.token object
        git.auth.token.secretRef! object
        git.auth.token.secretRef.key! string minLength=1
        git.auth.token.secretRef.name! string minLength=1
        git.caBundle string
        git.ref! string
        git.repo! string minLength=1
        paused boolean
        polling object
        polling.enabled boolean default=true
        polling.interval string default=60s
        sync! object
        sync.defaults object
        sync.defaults.designerSessionPolicy string enum=[proceed,wait,fail] default=proceed
        sync.defaults.dryRun boolean
        sync.defaults.excludePatterns array default=[**/.git/,**/.gitkeep,**/.resources/**]
        sync.defaults.excludePatterns[] string
        sync.defaults.paused boolean
        sync.defaults.syncPeriod integer format=int32 minimum=5.0 maximum=3600.0 default=30
        sync.defaults.vars object
        sync.defaults.vars{} string
        sync.profiles! object minProperties=1
        sync.profiles{} object
        sync.profiles{}.designerSessionPolicy string enum=[proceed,wait,fail]
        sync.profiles{}.driftPolicy string enum=[report,repair]
        sync.profiles{}.dryRun boolean
        sync.profiles{}.excludePatterns array
        sync.profiles{}.excludePatterns[] string
        sync.profiles{}.mappings! array minItems=1
        sync.profiles{}.mappings[] object
        sync.profiles{}.mappings[].destination! string minLength=1
        sync.profiles{}.mappings[].patches array
        sync.profiles{}.mappings[].patches[] object
        sync.profiles{}.mappings[].patches[].file string
        sync.profiles{}.mappings[].patches[].set! object minProperties=1
        sync.profiles{}.mappings[].patches[].set{} string
        sync.profiles{}.mappings[].required boolean
        sync.profiles{}.mappings[].source! string minLength=1
        sync.profiles{}.mappings[].template boolean
        sync.profiles{}.mappings[].type string enum=[dir,file]
        sync.profiles{}.maxDeletes integer format=int32 minimum=0.0
        sync.profiles{}.paused boolean
        sync.profiles{}.startWithoutSync boolean
        sync.profiles{}.syncPeriod integer format=int32 minimum=5.0 maximum=3600.0
        sync.profiles{}.vars object
        sync.profiles{}.vars{} string
        webhook object
        webhook.allowedSources array minItems=1
        webhook.allowedSources[] string minLength=2
        webhook.detectors array minItems=1
        webhook.detectors[] string minLength=1
        webhook.events array minItems=1
        webhook.events[] string minLength=1
        webhook.orderCheck string enum=[strict,off]
        webhook.refs array minItems=1
        webhook.refs[] string minLength=1
        webhook.repositoryCheck string enum=[strict,lenient,off]
        webhook.secretRef object
        webhook.secretRef.key! string minLength=1
        webhook.secretRef.name! string minLength=1
        webhook.semver string minLength=1
        ",
    );
}

#[test]
fn status_has_the_fields_of_the_contract_and_some_of_its_own() {
    assert_lines(
        &described("status"),
        "
        conditions array
        conditions[] object
        conditions[].lastTransitionTime! string format=date-time
        conditions[].message! string
        conditions[].observedGeneration integer format=int64 minimum=0.0
        conditions[].reason! string minLength=1
        conditions[].status! string enum=[True,False,Unknown]
        conditions[].type! string
        discoveredGateways array
        discoveredGateways[] object
        discoveredGateways[].agentVersion string
        discoveredGateways[].filesChanged integer format=int32
        discoveredGateways[].lastScanResult string
        discoveredGateways[].lastSyncDuration string
        discoveredGateways[].lastSyncTime string format=date-time
        discoveredGateways[].message string
        discoveredGateways[].name! string
        discoveredGateways[].namespace! string
        discoveredGateways[].podName! string
        discoveredGateways[].profile string
        discoveredGateways[].projectsSynced array
        discoveredGateways[].projectsSynced[] string
        discoveredGateways[].serviceAccountName string
        discoveredGateways[].syncStatus string enum=[Pending,Synced,Error,MissingSidecar]
        discoveredGateways[].syncedCommit string
        discoveredGateways[].syncedRef string
        lastHandledRequestedAt string
        lastSyncCommit string
        lastSyncCommitShort string
        lastSyncRef string
        lastSyncRefKind string enum=[Tag,Branch,Commit,Other]
        lastSyncTime string format=date-time
        observedGeneration integer format=int64
        profileCount integer format=int32
        refResolutionStatus string enum=[NotResolved,Resolving,Resolved,Error]
        sshHostKey object
        sshHostKey.key! string
        sshHostKey.server! string
        ",
    );
}

#[test]
fn schema_is_structural() {
    fn walk(schema: &Value, path: &str) {
        let fields = schema.as_object().unwrap();
        for keyword in [
            "anyOf",
            "oneOf",
            "allOf",
            "not",
            "$ref",
            "const",
            "definitions",
        ] {
            assert!(!fields.contains_key(keyword), "{path} has {keyword}");
        }
        assert!(
            schema["type"].is_string() || schema["x-kubernetes-int-or-string"] == true,
            "{path} has no type"
        );
        // Every API server drops a null status. It would keep a null in other fields.
        assert!(
            !fields.contains_key("nullable") || path == ".status",
            "{path} is nullable"
        );
        assert!(
            !(fields.contains_key("properties") && fields.contains_key("additionalProperties")),
            "{path}"
        );
        for (name, child) in schema["properties"].as_object().into_iter().flatten() {
            walk(child, &format!("{path}.{name}"));
        }
        for child in ["items", "additionalProperties"]
            .into_iter()
            .filter_map(|name| fields.get(name))
        {
            walk(child, &format!("{path}[]"));
        }
    }
    let mut schema = root();
    assert_eq!(schema["required"], json!(["spec"]));
    // kube does not define the types of these fields. The server defines them.
    for name in ["metadata", "apiVersion", "kind"] {
        schema["properties"].as_object_mut().unwrap().remove(name);
    }
    walk(&schema, "");
}

#[test]
fn lists_have_the_merge_strategy_of_the_contract() {
    let schema = root();
    let status = &schema["properties"]["status"]["properties"];
    assert_eq!(status["conditions"]["x-kubernetes-list-type"], "map");
    assert_eq!(
        status["conditions"]["x-kubernetes-list-map-keys"],
        json!(["type"])
    );
    assert_eq!(
        status["discoveredGateways"]["x-kubernetes-list-type"],
        "atomic"
    );
}

#[test]
fn names_scope_and_subresource_are_those_of_the_contract() {
    let crd = serde_json::to_value(GatewaySync::crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "gatewaysyncs.stoker.io");
    assert_eq!(crd["spec"]["group"], "stoker.io");
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let names = json!({"kind": "GatewaySync", "plural": "gatewaysyncs", "singular": "gatewaysync", "shortNames": ["gs"]});
    for (name, value) in names.as_object().unwrap() {
        assert_eq!(&crd["spec"]["names"][name], value);
    }
    let version = version();
    assert_eq!(
        (&version["name"], &version["served"], &version["storage"]),
        (&json!("v1alpha1"), &json!(true), &json!(true))
    );
    assert_eq!(version["subresources"], json!({"status": {}}));
}

#[test]
fn columns_are_those_of_the_contract_in_the_same_order() {
    let version = version();
    let columns = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            let text = |name: &str| column[name].as_str().unwrap().to_owned();
            (
                text("name"),
                text("type"),
                text("jsonPath"),
                column["priority"].as_i64().unwrap_or(0),
            )
        });
    let columns: Vec<_> = columns.collect();
    let expected = [
        ("Ref", "string", ".status.lastSyncRef", 0),
        (
            "Gateways",
            "string",
            r#".status.conditions[?(@.type=="AllGatewaysSynced")].message"#,
            0,
        ),
        (
            "Ready",
            "string",
            r#".status.conditions[?(@.type=="Ready")].status"#,
            0,
        ),
        (
            "Status",
            "string",
            r#".status.conditions[?(@.type=="Ready")].message"#,
            0,
        ),
        ("Age", "date", ".metadata.creationTimestamp", 0),
        ("Commit", "string", ".status.lastSyncCommitShort", 1),
        ("Profiles", "integer", ".status.profileCount", 1),
        ("Last Sync", "date", ".status.lastSyncTime", 1),
    ]
    .map(|(name, type_, path, priority)| {
        (name.to_owned(), type_.to_owned(), path.to_owned(), priority)
    });
    assert_eq!(columns, expected);
}

#[test]
fn the_definition_survives_a_round_trip_through_yaml() {
    let text = crd_yaml().unwrap();
    let back: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(back, serde_json::to_value(GatewaySync::crd()).unwrap());
}
