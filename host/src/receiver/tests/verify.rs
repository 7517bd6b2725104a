//! Whom the receiver believes: the key of the object, and what a sender without it can find out.

mod own_keys;

use std::collections::BTreeMap;
use std::time::Duration;

use stoker_api::SecretKey;

use super::*;
use crate::secrets::{SecretCache, SecretData, SecretStore, StoreError};

/// The status for a verified sender. There are no plugins, because they would need time while the clock is paused.
const AUTHENTICATED: u16 = 400;
const OWN: &str = "the-secret-of-one-object";

/// Secrets in memory.
#[derive(Default)]
struct FakeSecrets {
    secrets: Mutex<BTreeMap<String, SecretData>>,
    is_down: Mutex<bool>,
    reads: Mutex<Vec<String>>,
}

impl SecretStore for FakeSecrets {
    fn get(&self, key: &ObjectKey) -> BoxFuture<'static, Result<SecretData, StoreError>> {
        let name = key.to_string();
        self.reads.lock().unwrap().push(name.clone());
        let found = match self.secrets.lock().unwrap().get(&name) {
            _ if *self.is_down.lock().unwrap() => Err(StoreError::Unavailable(String::new())),
            Some(data) => Ok(data.clone()),
            None => Err(StoreError::Refused("not found".to_owned())),
        };
        std::future::ready(found).boxed()
    }
}

struct World {
    fixture: Fixture,
    secrets: Arc<FakeSecrets>,
}

/// The policy of an object with its own key.
fn own(name: &str) -> Policy {
    Policy {
        secret: Some(SecretKey {
            name: name.to_owned(),
            key: "token".to_owned(),
        }),
        ..Policy::default()
    }
}

fn object(name: &str, policy: Policy) -> (ObjectKey, Policy) {
    (ObjectKey::new("plants", name).unwrap(), policy)
}

/// Objects of each kind: with the global key, with their own one, and with a Secret that does not exist.
fn requests() -> FakeRequests {
    FakeRequests {
        watched: HashMap::from([
            object("north", Policy::default()),
            object("own", own("hook")),
            object("broken", own("missing")),
        ]),
        unwatched: HashMap::from([
            object("new", Policy::default()),
            object("new-own", own("hook")),
        ]),
        ..FakeRequests::default()
    }
}

fn hmac() -> AuthConfig {
    AuthConfig {
        hmac: Some(SecretSource::Inline(SECRET.to_owned())),
        ..AuthConfig::default()
    }
}

impl World {
    fn new(config: AuthConfig, requests: FakeRequests) -> Self {
        let secrets = Arc::new(FakeSecrets::default());
        let cache = SecretCache::new(Arc::clone(&secrets) as Arc<dyn SecretStore>);
        let auth = Authenticator::new(config).with_secrets(cache, "stoker".to_owned());
        let fixture = Fixture::with_auth(requests, chain(), auth);
        let world = Self { fixture, secrets };
        world.set("plants/hook", "token", OWN.as_bytes());
        world
    }

    fn set(&self, name: &str, key: &str, value: &[u8]) {
        let data = SecretData::from([(key.to_owned(), value.to_vec())]);
        let mut secrets = self.secrets.secrets.lock().unwrap();
        secrets.insert(name.to_owned(), data);
    }

    /// Sends a webhook that is signed with a secret.
    async fn post(&self, path: &str, secret: &str) -> Reply {
        let body = r#"{"ref":"v1"}"#;
        let request = Request::post(path)
            .header(SIGNATURE_HEADER, sign(secret.as_bytes(), body.as_bytes()))
            .body(Body::from(body));
        self.fixture.send(request.unwrap()).await
    }

    async fn status(&self, name: &str, secret: &str) -> u16 {
        let path = format!("/webhook/plants/{name}");
        self.post(&path, secret).await.status.as_u16()
    }

    /// The number of reads of objects and of Secrets.
    fn reads(&self) -> (usize, usize) {
        (
            self.fixture.reads(),
            self.secrets.reads.lock().unwrap().len(),
        )
    }
}

async fn next_second() {
    tokio::time::advance(Duration::from_secs(1)).await;
}

/// Paths of each kind, for all of which a sender without a key gets the same answer.
const PATHS: [&str; 10] = [
    "/webhook/plants/north",
    "/webhook/plants/own",
    "/webhook/plants/broken",
    "/webhook/plants/unknown",
    "/webhook/nowhere/north",
    "/webhook/No_Name/x",
    "/webhook/%ff/x",
    "/webhook/",
    "/webhook/plants",
    "/webhook/plants/north/x",
];

#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_same_for_every_path_with_the_same_number_of_reads() {
    let bearer = AuthConfig {
        bearer: Some(SecretSource::Inline(SECRET.to_owned())),
        ..AuthConfig::default()
    };
    let wrong = sign(b"another", b"{}");
    let proofs = [
        (SIGNATURE_HEADER, wrong.as_str(), 1),
        (SIGNATURE_HEADER, "sha256=zz", 1),
        ("authorization", "Bearer another", 1),
        ("x-gitlab-token", "another", 1),
        (SIGNATURE_HEADER, "", 0),
        ("x-other", "value", 0),
    ];
    for config in [hmac(), bearer] {
        let world = World::new(config, requests());
        let mut replies = Vec::new();
        for (header, value, expected) in proofs {
            for path in PATHS {
                next_second().await;
                let (before, started) = (world.reads(), Instant::now());
                let request = Request::post(path).header(header, value);
                let reply = world
                    .fixture
                    .send(request.body(Body::from("{}")).unwrap())
                    .await;
                let (after, took) = (world.reads(), started.elapsed());
                let step = if expected == 0 { 0 } else { 25 };
                assert_eq!(took, Duration::from_millis(step), "{path} {header} {value}");
                let reads = after.0 - before.0 + after.1 - before.1;
                assert_eq!(reads, expected, "{path} {header} {value}");
                assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
                replies.push((reply.body, reply.headers));
            }
        }
        assert!(replies.windows(2).all(|pair| pair[0] == pair[1]));
        let challenges = replies[0].1.get_all("www-authenticate").iter();
        assert!(challenges.eq(["Bearer", "Basic realm=\"stoker\""]));
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_during_an_outage_are_the_same_and_may_be_repeated() {
    let mut requests = requests();
    requests.is_down = true;
    let world = World::new(hmac(), requests);
    *world.secrets.is_down.lock().unwrap() = true;
    let mut replies = Vec::new();
    for path in PATHS {
        let began = Instant::now();
        let reply = world.post(path, "another").await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(began.elapsed(), Duration::from_secs(8), "{path}");
        assert_eq!(reply.headers["retry-after"], "5");
        replies.push((reply.body, reply.headers));
    }
    assert!(replies.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(start_paused = true)]
async fn refusals_during_an_outage_are_the_same_beyond_the_limit_of_reads() {
    let mut requests = requests();
    requests.is_down = true;
    let world = World::new(hmac(), requests);
    *world.secrets.is_down.lock().unwrap() = true;
    let others: Vec<_> = (0..200)
        .map(|number| format!("/webhook/plants/x{number}"))
        .collect();
    let paths = others.iter().map(String::as_str).chain(PATHS);
    let answers = paths.map(async |path| {
        let began = Instant::now();
        let reply = world.post(path, "another").await;
        (reply.status, began.elapsed())
    });
    for answer in futures::future::join_all(answers).await {
        let expected = (StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(8));
        assert_eq!(answer, expected);
    }
    assert!(world.reads().0 < 200, "no read was refused");
}

#[tokio::test(start_paused = true)]
async fn the_reads_of_many_refusals_are_shared_and_limited() {
    let world = World::new(hmac(), requests());
    for _ in 0..10 {
        assert_eq!(world.status("north", "another").await, 401);
        assert_eq!(world.status("own", "another").await, 401);
    }
    assert_eq!(world.reads(), (1, 1));
    next_second().await;
    let names: Vec<_> = (0..300).map(|index| format!("unknown-{index}")).collect();
    let refusals = names.iter().map(|name| world.status(name, "another"));
    let statuses = futures::future::join_all(refusals).await;
    assert!(statuses.iter().all(|&status| status == 401));
    assert_eq!(world.reads(), (101, 1));
    // A sender with the key is not affected.
    assert_eq!(world.status("new", SECRET).await, AUTHENTICATED);
    assert_eq!(world.status("own", OWN).await, AUTHENTICATED);
}

#[tokio::test(start_paused = true)]
async fn a_global_secret_in_the_cluster_is_used_and_may_change() {
    let config = AuthConfig {
        stored: Some(SecretKey {
            name: "global".to_owned(),
            key: "webhook-secret".to_owned(),
        }),
        ..AuthConfig::default()
    };
    let world = World::new(config, requests());
    assert_eq!(
        world.status("north", SECRET).await,
        503,
        "the Secret is missing"
    );
    assert_eq!(world.status("unknown", SECRET).await, 503);
    assert_eq!(
        world.status("own", OWN).await,
        AUTHENTICATED,
        "it has its own key"
    );
    world.set("stoker/global", "webhook-secret", SECRET.as_bytes());
    next_second().await;
    assert_eq!(world.status("north", SECRET).await, AUTHENTICATED);
    assert_eq!(world.status("north", "another").await, 401);
    world.set("stoker/global", "webhook-secret", b"the-next-secret");
    next_second().await;
    assert_eq!(world.status("north", SECRET).await, 401);
    assert_eq!(
        world.status("north", "the-next-secret").await,
        AUTHENTICATED
    );
}
