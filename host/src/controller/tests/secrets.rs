use std::time::Duration;

use serde_json::json;
use stoker_git::RefKind;

use super::super::*;
use super::fixture::{self, API_KEY, Bench, GatewaySyncExt as _, METADATA, OBJECT, after, commit};

const SECOND: Duration = Duration::from_secs(1);

fn ready(bench: &Bench) -> (String, String) {
    let (_, reason, message) = bench.condition("Ready");
    (reason, message)
}

fn reconciling(message: &str) -> (String, String) {
    ("Reconciling".to_owned(), message.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_ref_is_not_looked_up_without_its_credentials() {
    let reference = json!({"name": "cred", "key": "k"});
    let app = json!({"appId": 1, "installationId": 2, "privateKeySecretRef": reference});
    let cases = [
        (json!({"sshKey": {"secretRef": reference}}), "SSH key"),
        (json!({"token": {"secretRef": reference}}), "token"),
        (json!({"githubApp": app}), "GitHub App private key"),
    ];
    for (auth, label) in cases {
        let bench = Bench::new(&GatewaySync::sample().auth(auth));
        assert_eq!(bench.pass().await.unwrap(), after(30));
        let message =
            format!("{label} secret \"cred\" not found: \"cred\" not found (retry in 30s)");
        assert_eq!(ready(&bench), reconciling(&message));
        assert_eq!(bench.git.looked_up(), [""; 0]);
        assert!(
            bench
                .object()
                .status
                .unwrap()
                .condition("RefResolved")
                .is_none()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_credentials_grows_with_time_and_not_with_passes() {
    let auth = json!({"token": {"secretRef": {"name": "cred", "key": "k"}}});
    let bench = Bench::new(&GatewaySync::sample().auth(auth));
    assert_eq!(bench.pass().await.unwrap(), after(30));
    assert_eq!(bench.pass().await.unwrap(), after(30));
    tokio::time::advance(30 * SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(60));
    let message = "token secret \"cred\" not found: \"cred\" not found (retry in 1m0s)";
    assert_eq!(ready(&bench), reconciling(message));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_api_key_does_not_grow() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.api.remove(API_KEY);
    assert_eq!(bench.pass().await.unwrap(), after(30));
    bench.api.calls();
    assert_eq!(bench.pass().await.unwrap(), after(30));
    assert_eq!(
        bench.api.calls(),
        [format!("GET {METADATA}"), format!("GET {API_KEY}")],
        "nothing changed"
    );
    for _ in 0..3 {
        tokio::time::advance(30 * SECOND).await;
        assert_eq!(bench.pass().await.unwrap(), after(30));
    }
    let message =
        "gateway API key secret \"api-key\" not found: \"api-key\" not found (retry in 30s)";
    assert_eq!(ready(&bench), reconciling(message));
}

#[tokio::test(start_paused = true)]
async fn the_ref_is_polled_while_the_api_key_is_missing() {
    let bench = Bench::new(&GatewaySync::sample().polling(true, "10s"));
    bench.api.remove(API_KEY);
    for digit in ['a', 'b', 'c'] {
        bench.git.set("main", digit, RefKind::Branch);
        bench.git.looked_up();
        bench.pass().await.unwrap();
        assert_eq!(bench.git.looked_up(), ["main"]);
        let found = bench.object().status.unwrap().last_sync_commit;
        assert_eq!(found.as_deref(), Some(commit(digit).as_str()));
        tokio::time::advance(10 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_reported_but_not_published_without_the_api_key() {
    let bench = Bench::new(&GatewaySync::sample());
    let secret = bench.api.remove(API_KEY).unwrap();
    bench.pass().await.unwrap();
    assert!(bench.api.get(METADATA).is_none());
    assert_eq!(bench.condition("RefResolved").0, "True");
    bench.api.put(API_KEY, secret);
    assert_eq!(bench.pass().await.unwrap(), after(300));
    assert!(bench.api.get(METADATA).is_some());
    assert_eq!(ready(&bench), reconciling("Waiting for gateways to sync"));
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_secret_is_waited_for_as_a_missing_one() {
    let bench = Bench::new(&GatewaySync::sample());
    bench
        .api
        .refuse(&format!("GET {API_KEY}"), 403, "forbidden by somebody");
    assert_eq!(bench.pass().await.unwrap(), after(30));
    let message =
        "gateway API key secret \"api-key\" may not be read: forbidden by somebody (retry in 30s)";
    assert_eq!(ready(&bench), reconciling(message));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_name_of_a_secret_is_not_requested() {
    let sync = GatewaySync::sample()
        .with(|sync| sync.spec.gateway.api.secret_name = "../configmaps/x".to_owned());
    let bench = Bench::new(&sync);
    bench.pass().await.unwrap();
    let expected = [format!("GET {METADATA}"), format!("PATCH {OBJECT}/status")];
    assert_eq!(bench.api.calls(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_api_server_is_not_a_missing_secret() {
    let bench = Bench::new(&GatewaySync::sample());
    let line = format!("GET {API_KEY}");
    bench.api.refuse(&line, 500, "etcd is away");
    let error = bench.pass().await.unwrap_err();
    assert_eq!(error.reason(), "ApiRefused");
    assert!(bench.object().status.is_none());
    bench.api.allow(&line);
    assert_eq!(bench.pass().await.unwrap(), after(300));
}

#[tokio::test(start_paused = true)]
async fn passes_share_a_read_of_the_api_key_for_a_second_unless_it_is_missing() {
    let bench = Bench::new(&GatewaySync::sample());
    let context = Context {
        secret_reads: dereference::secret_reads(Duration::from_secs(1)),
        ..fixture::context(&bench.controller)
    };
    let key = fixture::key();
    let read = async || {
        let object = bench.object();
        let refs = Box::pin(dereference::dereference(&context, &key, &object)).await;
        let is_there = refs.unwrap().gateway_secret.is_ok();
        let calls = bench.api.calls();
        let reads = calls.iter().filter(|call| call.ends_with(API_KEY)).count();
        (is_there, reads)
    };
    assert_eq!(read().await, (true, 1));
    assert_eq!(read().await, (true, 0));
    tokio::time::advance(Duration::from_secs(1)).await;
    let secret = bench.api.remove(API_KEY).unwrap();
    assert_eq!(read().await, (false, 1));
    bench.api.put(API_KEY, secret);
    assert_eq!(read().await, (true, 1));
}

/// A bench on which passes share reads of Secrets for a second, as they do in production.
fn sharing(sync: &GatewaySync) -> Bench {
    let mut bench = Bench::new(sync);
    let context = Context {
        secret_reads: dereference::secret_reads(dereference::SHARED_FOR),
        ..fixture::context(&bench.controller)
    };
    context.pods.apply(watcher::Event::Init);
    context.pods.apply(watcher::Event::InitDone);
    bench.context = Arc::new(context);
    bench
}

/// Reads the Secret with the API key, as a pass over another object with it does.
async fn read_for_another_object(bench: &Bench) {
    let (key, object) = (fixture::key(), bench.object());
    let refs = Box::pin(dereference::dereference(&bench.context, &key, &object)).await;
    assert!(refs.unwrap().gateway_secret.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_published_once_the_api_key_is_removed() {
    let annotate = |sync: GatewaySync| {
        sync.with(|sync| {
            let annotations = sync.metadata.annotations.get_or_insert_default();
            annotations.insert("example.com/try".to_owned(), "1".to_owned());
        })
    };
    let request = |sync: GatewaySync| sync.requested("main", Some("2026-01-01T00:00:01Z"));
    let edit = |sync: GatewaySync| sync.polling(true, "2s").generation(2);
    let changes: [&dyn Fn(GatewaySync) -> GatewaySync; 4] =
        [&annotate, &request, &edit, &|sync| sync];
    for (number, change) in changes.into_iter().enumerate() {
        let bench = sharing(&GatewaySync::sample().polling(true, "1s"));
        bench.pass().await.unwrap();
        let published = bench.api.get(METADATA).unwrap();
        tokio::time::advance(2 * SECOND).await;
        read_for_another_object(&bench).await;
        bench.api.remove(API_KEY);
        bench.git.set("main", 'b', RefKind::Branch);
        bench.change(change);
        bench.pass().await.unwrap();
        let (status, _, message) = bench.condition("Ready");
        let expected = "gateway API key secret \"api-key\" not found";
        assert!(message.starts_with(expected), "{number}: {message}");
        assert_eq!(status, "False");
        assert_eq!(bench.api.get(METADATA).unwrap(), published, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_finds_nothing_new_uses_the_read_of_another_object() {
    let bench = sharing(&GatewaySync::sample().polling(true, "1s"));
    bench.pass().await.unwrap();
    tokio::time::advance(2 * SECOND).await;
    read_for_another_object(&bench).await;
    bench.api.calls();
    bench.git.looked_up();
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up(), ["main"]);
    assert_eq!(bench.api.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_removed_after_a_success_is_missed_until_it_is_restored() {
    const CREDENTIALS: &str = "/api/v1/namespaces/edge/secrets/cred";
    let reference = json!({"name": "cred", "key": "k"});
    for (path, label) in [
        (API_KEY, "gateway API key secret \"api-key\""),
        (CREDENTIALS, "token secret \"cred\""),
    ] {
        let sync = GatewaySync::sample().auth(json!({"token": {"secretRef": reference}}));
        let bench = Bench::new(&sync);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cred"}, "data": {"k": "eA=="},
        });
        bench.api.put(CREDENTIALS, secret);
        assert_eq!(bench.pass().await.unwrap(), after(300));
        let published = bench.api.get(METADATA).unwrap();
        let secret = bench.api.remove(path).unwrap();
        bench.git.set("main", 'b', RefKind::Branch);
        for _ in 0..3 {
            tokio::time::advance(60 * SECOND).await;
            bench.pass().await.unwrap();
            let (status, _, message) = bench.condition("Ready");
            assert_eq!(status, "False");
            assert!(
                message.starts_with(&format!("{label} not found")),
                "{message}"
            );
            assert_eq!(bench.api.get(METADATA).unwrap(), published);
        }
        bench.api.put(path, secret);
        tokio::time::advance(300 * SECOND).await;
        assert_eq!(bench.pass().await.unwrap(), after(300));
        let restored = bench.api.get(METADATA).unwrap();
        assert_eq!(restored["data"]["commit"], commit('b').as_str());
        assert_eq!(ready(&bench), reconciling("Waiting for gateways to sync"));
    }
}
