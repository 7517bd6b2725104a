//! Objects with keys of their own.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_object_with_its_own_key_is_opened_by_it_alone() {
    for config in [hmac(), AuthConfig::default()] {
        let world = World::new(config, requests());
        for name in ["own", "new-own"] {
            assert_eq!(world.status(name, OWN).await, AUTHENTICATED, "{name}");
            next_second().await;
            assert_eq!(world.status(name, SECRET).await, 401, "{name}");
        }
        assert_eq!(world.status("broken", SECRET).await, 401);
    }
    let world = World::new(hmac(), requests());
    for name in ["north", "new"] {
        assert_eq!(world.status(name, SECRET).await, AUTHENTICATED, "{name}");
        assert_eq!(world.status(name, OWN).await, 401, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_own_secret_that_cannot_be_used_is_reported_on_the_object_alone() {
    let cases = [
        (
            "missing",
            "cannot read the Secret plants/missing: not found",
        ),
        ("no-key", "the Secret has no key \"token\""),
        ("blank", "the secret is empty"),
        ("previous", "the Secret has no key \"token\""),
        ("latin", "the value of the key \"token\" is not UTF-8"),
    ];
    let watched = cases.map(|(name, _)| object(name, own(name)));
    let unwatched = cases.map(|(name, _)| object(&format!("new-{name}"), own(name)));
    let requests = FakeRequests {
        watched: watched.into(),
        unwatched: unwatched.into(),
        ..FakeRequests::default()
    };
    let world = World::new(hmac(), requests);
    world.set("plants/no-key", "other", OWN.as_bytes());
    world.set("plants/blank", "token", b" \n");
    world.set("plants/previous", "token-previous", OWN.as_bytes());
    world.set("plants/latin", "token", b"caf\xe9");
    let unknown = world.post("/webhook/plants/unknown", OWN).await;
    for (name, expected) in cases {
        for path in [
            format!("/webhook/plants/{name}"),
            format!("/webhook/plants/new-{name}"),
        ] {
            let reply = world.post(&path, OWN).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(
                (&reply.body, &reply.headers),
                (&unknown.body, &unknown.headers)
            );
            let reported = std::mem::take(&mut *world.fixture.requests.reported.lock().unwrap());
            let expected = format!("spec.webhook.secretRef: {expected}");
            assert_eq!(reported, [(Unannounced::Misconfigured, expected)], "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_signature_for_an_own_secret_is_not_reported() {
    let world = World::new(hmac(), requests());
    assert_eq!(world.status("own", SECRET).await, 401);
    *world.secrets.is_down.lock().unwrap() = true;
    assert_eq!(world.status("broken", SECRET).await, 503);
    assert!(world.fixture.requests.reported.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_global_secret_an_object_without_a_key_accepts_everybody() {
    let world = World::new(AuthConfig::default(), requests());
    assert_eq!(world.status("north", "whatever").await, AUTHENTICATED);
    assert_eq!(world.status("new", "whatever").await, AUTHENTICATED);
    // The body announces nothing, which comes before the object that does not exist.
    assert_eq!(world.status("unknown", "whatever").await, 400);
    let unsigned = Request::post("/webhook/plants/own").body(Body::from("{}"));
    let reply = world.fixture.send(unsigned.unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_changed_key_of_an_object_holds_within_a_second() {
    let world = World::new(hmac(), requests());
    assert_eq!(world.status("own", OWN).await, AUTHENTICATED);
    world.set("plants/hook", "token", b"the-next-secret-of-it");
    next_second().await;
    assert_eq!(world.status("own", OWN).await, 401);
    assert_eq!(
        world.status("own", "the-next-secret-of-it").await,
        AUTHENTICATED
    );
    world.secrets.secrets.lock().unwrap().clear();
    next_second().await;
    assert_eq!(world.status("own", "the-next-secret-of-it").await, 401);
}

#[tokio::test(start_paused = true)]
async fn the_last_known_key_of_an_object_is_used_during_an_outage() {
    let world = World::new(hmac(), requests());
    assert_eq!(world.status("own", OWN).await, AUTHENTICATED);
    *world.secrets.is_down.lock().unwrap() = true;
    next_second().await;
    assert_eq!(world.status("own", OWN).await, AUTHENTICATED);
    assert_eq!(
        world.status("own", SECRET).await,
        503,
        "the key may have changed"
    );
    tokio::time::advance(Duration::from_hours(1)).await;
    assert_eq!(world.status("own", OWN).await, 503, "the key is too old");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_held_up_until_the_api_server_knows_the_key() {
    for is_known in [false, true] {
        let world = World::new(hmac(), requests());
        if is_known {
            assert_eq!(world.status("own", OWN).await, AUTHENTICATED);
            next_second().await;
        }
        world.set("plants/hook", "token", b"the-next-secret-of-it");
        *world.secrets.is_down.lock().unwrap() = true;
        let began = Instant::now();
        let recovery = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            *world.secrets.is_down.lock().unwrap() = false;
        };
        let (status, ()) = tokio::join!(world.status("own", "the-next-secret-of-it"), recovery);
        assert_eq!(status, AUTHENTICATED, "{is_known}");
        assert!(began.elapsed() < Duration::from_secs(7), "{is_known}");
    }
}
