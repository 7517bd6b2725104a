use std::fs;
use std::path::Path;

use axum::routing::get;
use prometheus_client::registry::Registry;
use rcgen::generate_simple_self_signed;
use tokio::net::TcpListener;

use super::*;
use crate::injection::keeper::tests as keepers;

fn write_certificate(directory: &Path) -> String {
    let certified = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.join("tls.crt"), certified.cert.pem()).unwrap();
    fs::write(
        directory.join("tls.key"),
        certified.signing_key.serialize_pem(),
    )
    .unwrap();
    certified.cert.pem()
}

struct Running {
    listening: watch::Receiver<Option<SocketAddr>>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    registry: Registry,
}

fn start(directory: &Path, address: SocketAddr, routes: Router) -> Running {
    let mut registry = Registry::default();
    let (sender, listening) = watch::channel(None);
    let files = TlsFiles {
        certificate: directory.join("tls.crt"),
        key: directory.join("tls.key"),
    };
    let serving = Serving {
        address,
        source: CertificateSource::Files(files),
        routes,
        metrics: InjectorMetrics::register(&mut registry),
        listening: sender,
    };
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serving.run(shutdown.clone()));
    Running {
        listening,
        shutdown,
        task,
        registry,
    }
}

impl Running {
    async fn address(&mut self) -> SocketAddr {
        self.listening
            .wait_for(Option::is_some)
            .await
            .unwrap()
            .unwrap()
    }

    fn has(&self, line: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.contains(line)
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn routes() -> Router {
    Router::new().route("/", get(async || "ok"))
}

/// Reads `/` over TLS from a server that must have a certificate.
async fn read(address: SocketAddr, certificate: &str) -> Result<String, reqwest::Error> {
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let trust = |builder: reqwest::ClientBuilder| {
        builder
            .no_proxy()
            .resolve("localhost", address)
            .tls_certs_only([certificate.clone()])
    };
    rustls_provider();
    let client = trust(reqwest::Client::builder()).build().unwrap();
    let url = format!("https://localhost:{}/", address.port());
    client.get(url).send().await?.text().await
}

fn rustls_provider() {
    tokio_rustls::rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn it_is_served_over_tls_until_the_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = write_certificate(directory.path());
    let mut running = start(directory.path(), ANY, routes());
    let address = running.address().await;
    assert_eq!(read(address, &certificate).await.unwrap(), "ok");
    assert!(running.has("stoker_webhook_injector_serving 1"));
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    assert!(read(address, &other.cert.pem()).await.is_err());
    running.end().await;
    assert!(read(address, &certificate).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn it_is_served_once_the_certificate_exists() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = start(directory.path(), ANY, routes());
    tokio::time::sleep(RETRY / 2).await;
    assert!(running.has("stoker_webhook_injector_errors_total{reason=\"certificate\"} 1"));
    assert!(running.has("stoker_webhook_injector_serving 0"));
    write_certificate(directory.path());
    running.address().await;
    assert!(running.has("stoker_webhook_injector_serving 1"));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_served_once_the_port_is_free() {
    let directory = tempfile::tempdir().unwrap();
    write_certificate(directory.path());
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    let mut running = start(directory.path(), address, routes());
    tokio::time::sleep(RETRY / 2).await;
    assert!(running.has("stoker_webhook_injector_errors_total{reason=\"listen\"} 1"));
    drop(other);
    assert_eq!(running.address().await, address);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_the_shutdown_without_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), ANY, routes());
    tokio::time::sleep(RETRY * 3).await;
    running.end().await;
}

/// A server with an own certificate, which is not started.
fn of_keeper(keeper: &Arc<Keeper>) -> Serving {
    Serving {
        address: ANY,
        source: CertificateSource::Own(Arc::clone(keeper)),
        routes: routes(),
        metrics: InjectorMetrics::default(),
        listening: watch::channel(None).0,
    }
}

/// Deletes the Secret with the certificate.
async fn lose(keeper: &Keeper) {
    let api = keepers::secrets(keeper);
    let params = kube::api::DeleteParams::default();
    api.delete(&keeper.secret, &params).await.unwrap();
}

#[tokio::test]
async fn a_lost_certificate_is_trusted_while_replicas_use_it() {
    let (_server, keeper) = keepers::start().await;
    let keeper = Arc::new(keeper);
    let configurations = keepers::configure(&keeper).await;
    let serving = of_keeper(&keeper);
    let mut served = serving.load().await.unwrap();
    let lost = served.used.clone().unwrap();
    lose(&keeper).await;
    serving.renew(&keeper, &mut served).await;
    let configuration = configurations.get("pod-injection").await.unwrap();
    for webhook in configuration.webhooks.iter().flatten() {
        let bundle = webhook.client_config.ca_bundle.as_ref().unwrap();
        let bundle = std::str::from_utf8(&bundle.0).unwrap();
        assert!(bundle.ends_with(&lost.authorities));
        assert_ne!(bundle, lost.authorities);
    }
    assert_eq!(served.used.as_ref(), Some(&lost));
    serving.renew(&keeper, &mut served).await;
    assert_ne!(served.used, Some(lost));
}

#[tokio::test]
async fn a_certificate_of_another_replica_is_used_one_round_later() {
    let (_server, keeper) = keepers::start().await;
    let keeper = Arc::new(keeper);
    keepers::configure(&keeper).await;
    let serving = of_keeper(&keeper);
    let mut served = [serving.load().await.unwrap(), serving.load().await.unwrap()];
    let first = served[0].used.clone();
    lose(&keeper).await;
    let [one, other] = &mut served;
    serving.renew(&keeper, one).await;
    // The API server was told just now, by the other replica.
    serving.renew(&keeper, other).await;
    assert_eq!([&one.used, &other.used], [&first, &first]);
    serving.renew(&keeper, other).await;
    assert_eq!(other.used, other.last);
    assert_ne!(other.used, first);
}
