//! Outages, requests of other origins, and the shutdown.

use futures::TryStreamExt as _;
use kube::api::WatchParams;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{CONFIGS, World, config, refusal};

#[tokio::test]
async fn an_outage_answers_nothing_and_loses_nothing() {
    let world = World::new().await;
    world.post(CONFIGS, &config("x")).await;
    let syncs = world.syncs();
    let watch = syncs
        .watch(&WatchParams::default(), "0")
        .await
        .expect("a watch");
    world.server.outage(true);
    let seen: Vec<_> = watch.try_collect().await.expect("an end");
    assert!(seen.is_empty());
    let path = format!("{CONFIGS}/x");
    assert_eq!(refusal(&world.get(&path).await).0, 503);
    world.server.outage(false);
    assert_eq!(world.get(&path).await["data"]["a"], "1");
}

/// Sends a request with another host and returns the first line of the answer.
async fn first_line(world: &World, headers: &str) -> String {
    let mut stream = TcpStream::connect(world.server.address())
        .await
        .expect("a connection");
    let request = format!("GET /version HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn pages_of_other_hosts_get_nothing() {
    let world = World::new().await;
    assert_eq!(
        first_line(&world, "host: localhost\r\n").await,
        "HTTP/1.1 200 OK"
    );
    assert_eq!(
        first_line(&world, "host: rebound.example.com\r\n").await,
        "HTTP/1.1 403 Forbidden"
    );
    assert_eq!(
        first_line(&world, "host: localhost\r\norigin: https://example.com\r\n").await,
        "HTTP/1.1 403 Forbidden"
    );
}

#[tokio::test]
async fn a_stopped_server_is_gone() {
    let world = World::new().await;
    let syncs = world.syncs();
    let watch = syncs
        .watch(&WatchParams::default(), "0")
        .await
        .expect("a watch");
    let address = world.server.address();
    world.server.shutdown().await;
    let seen: Vec<_> = watch.try_collect().await.expect("an end");
    assert!(seen.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}
