//! Serves the webhook over TLS, and tries again after each failure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::certificate::Certificate;
use super::keeper::{KeepError, Keeper};
use super::metrics::{Fault, InjectorMetrics};
use crate::server::{self, Options, Tls, TlsError, TlsFiles};

/// The wait after a failure.
const RETRY: Duration = Duration::from_secs(5);
/// The maximum number of connections. The API server sends many requests on one.
const CONNECTIONS: usize = 64;
/// The time limit for the pause between two requests of a connection. The API server closes its connections after 90 s
/// without a request, and a call fails if this server is the first to close.
const IDLE_TIME: Duration = Duration::from_mins(2);
/// The time between two looks at the own certificate, and at the configuration of the webhook.
const PERIOD: Duration = Duration::from_secs(30);

/// The source of the webhook's certificate.
#[derive(Clone)]
pub enum CertificateSource {
    /// Files that somebody else keeps, such as cert-manager.
    Files(TlsFiles),
    /// A certificate of its own.
    Own(Arc<Keeper>),
}

/// A failure before the webhook is served.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The certificate that is served.
struct Served {
    tls: Arc<Tls>,
    /// The certificate in use, if it is an own one.
    used: Option<Certificate>,
    /// The certificate of the last round, which may be used later.
    last: Option<Certificate>,
}

/// The server of the webhook.
#[derive(Clone)]
pub struct Serving {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The source of the certificate.
    pub source: CertificateSource,
    /// The routes.
    pub routes: Router,
    /// The metrics.
    pub metrics: InjectorMetrics,
    /// Receives the address of the server while it is served, in which a port 0 is replaced by the chosen one.
    pub listening: watch::Sender<Option<SocketAddr>>,
}

impl Serving {
    /// Serves until the shutdown. No failure ends it.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            // A panic ends only the inner task.
            let serving = tokio::spawn(self.clone().serve(shutdown.clone()));
            let ended = serving.await;
            self.listening.send_replace(None);
            self.metrics.set_serving(false);
            if shutdown.is_cancelled() {
                return;
            }
            if let Err(error) = ended {
                tracing::error!(%error, "the injection webhook failed, and starts again");
            }
            pause(RETRY, &shutdown).await;
        }
    }

    async fn serve(self, shutdown: CancellationToken) {
        let first = self.first_certificate();
        let Some(served) = shutdown.run_until_cancelled(first).await else {
            return;
        };
        let serving = self.listen(Arc::clone(&served.tls), &shutdown);
        let following = self.follow(served);
        tokio::select! {
            () = following => {}
            () = serving => {}
        }
    }

    /// Waits until there is a certificate.
    async fn first_certificate(&self) -> Served {
        loop {
            match self.load().await {
                Ok(served) => return served,
                Err(error) => {
                    self.metrics.failed(Fault::Certificate);
                    tracing::error!(error = %stoker_report::chain(&error), "the injection webhook has no certificate, and no agents are injected");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn load(&self) -> Result<Served, StartError> {
        let (tls, used) = match &self.source {
            CertificateSource::Files(files) => (Tls::load(files.clone())?, None),
            CertificateSource::Own(keeper) => {
                let certificate = keeper.certificate(Timestamp::now(), None).await?;
                self.trust(keeper, &certificate).await;
                (tls_of(keeper, &certificate)?, Some(certificate))
            }
        };
        Ok(Served {
            tls: Arc::new(tls.shown_in(self.metrics.certificate_end())),
            used,
            last: None,
        })
    }

    /// Keeps the certificate current.
    async fn follow(&self, mut served: Served) {
        match &self.source {
            CertificateSource::Files(_) => served.tls.follow().await,
            CertificateSource::Own(keeper) => loop {
                tokio::time::sleep(PERIOD).await;
                self.renew(keeper, &mut served).await;
            },
        }
    }

    /// Uses the certificate of the Secret, and issues a new one in time.
    async fn renew(&self, keeper: &Keeper, served: &mut Served) {
        let kept = keeper.certificate(Timestamp::now(), served.used.as_ref());
        let certificate = match kept.await {
            Ok(certificate) => certificate,
            Err(error) => {
                self.metrics.failed(Fault::Certificate);
                tracing::error!(error = %stoker_report::chain(&error), "cannot keep the certificate of the injection webhook");
                return;
            }
        };
        // The API servers learn the authority some time after a replica has written it, which may just have happened. A
        // new certificate is used in the next round, and the old one is trusted until then.
        let is_trusted = self.trust(keeper, &certificate).await;
        let last = served.last.replace(certificate.clone());
        let is_new = last.as_ref() != Some(&certificate);
        if !is_trusted || is_new || served.used.as_ref() == Some(&certificate) {
            return;
        }
        let (chain, key) = (&certificate.chain, &certificate.key);
        if let Err(error) = served.tls.replace_pem(chain.as_bytes(), key.as_bytes()) {
            self.metrics.failed(Fault::Certificate);
            tracing::error!(error = %stoker_report::chain(&error), "cannot use the certificate of the injection webhook");
        }
        served.used = Some(certificate);
    }

    /// Makes the API server trust a certificate. Returns whether it did so before.
    async fn trust(&self, keeper: &Keeper, certificate: &Certificate) -> bool {
        keeper.trust(certificate).await.unwrap_or_else(|error| {
            self.metrics.failed(Fault::Configuration);
            tracing::error!(error = %stoker_report::chain(&error), "the API server may not trust the injection webhook");
            false
        })
    }

    /// Listens and serves until the shutdown.
    async fn listen(&self, tls: Arc<Tls>, shutdown: &CancellationToken) {
        let listener = loop {
            match server::listen(self.address) {
                Ok(listener) => break listener,
                Err(error) => {
                    self.metrics.failed(Fault::Listen);
                    tracing::error!(error = %stoker_report::chain(&error), "the injection webhook is not served");
                }
            }
            if !pause(RETRY, shutdown).await {
                return;
            }
        };
        self.listening.send_replace(listener.local_addr().ok());
        self.metrics.set_serving(true);
        let options = Options {
            tls: Some(tls),
            connections: Some(CONNECTIONS),
            idle_time: Some(IDLE_TIME),
            ..Options::default()
        };
        server::serve(listener, self.routes.clone(), options, shutdown.clone()).await;
    }
}

fn tls_of(keeper: &Keeper, certificate: &Certificate) -> Result<Tls, TlsError> {
    let (chain, key) = (&certificate.chain, &certificate.key);
    Tls::of_pem(&keeper.secret, chain.as_bytes(), key.as_bytes())
}

/// Waits, and returns whether the time passed before the shutdown.
async fn pause(time: Duration, shutdown: &CancellationToken) -> bool {
    let waited = shutdown.run_until_cancelled(tokio::time::sleep(time)).await;
    waited.is_some()
}

#[cfg(test)]
mod tests;
