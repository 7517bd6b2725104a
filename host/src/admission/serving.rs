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
        let Some(tls) = shutdown.run_until_cancelled(self.first_certificate()).await else {
            return;
        };
        let following = self.follow(&tls);
        let serving = self.listen(Arc::clone(&tls), &shutdown);
        tokio::select! {
            () = following => {}
            () = serving => {}
        }
    }

    /// Waits until there is a certificate.
    async fn first_certificate(&self) -> Arc<Tls> {
        loop {
            match self.load().await {
                Ok(tls) => return Arc::new(tls),
                Err(error) => {
                    self.metrics.failed(Fault::Certificate);
                    tracing::error!(error = %stoker_report::chain(&error), "the injection webhook has no certificate, and no agents are injected");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn load(&self) -> Result<Tls, StartError> {
        match &self.source {
            CertificateSource::Files(files) => Ok(Tls::load(files.clone())?),
            CertificateSource::Own(keeper) => {
                let certificate = keeper.certificate(Timestamp::now()).await?;
                self.trust(keeper, &certificate).await;
                Ok(tls_of(keeper, &certificate)?)
            }
        }
    }

    /// Keeps the certificate current.
    async fn follow(&self, tls: &Tls) {
        match &self.source {
            CertificateSource::Files(_) => tls.follow().await,
            CertificateSource::Own(keeper) => {
                let mut used = None;
                loop {
                    tokio::time::sleep(PERIOD).await;
                    self.renew(keeper, tls, &mut used).await;
                }
            }
        }
    }

    /// Uses the certificate of the Secret, and issues a new one in time.
    async fn renew(&self, keeper: &Keeper, tls: &Tls, used: &mut Option<Certificate>) {
        let certificate = match keeper.certificate(Timestamp::now()).await {
            Ok(certificate) => certificate,
            Err(error) => {
                self.metrics.failed(Fault::Certificate);
                tracing::error!(error = %stoker_report::chain(&error), "cannot keep the certificate of the injection webhook");
                return;
            }
        };
        // The API server first learns to trust the authority. A new certificate is used in the next round.
        if !self.trust(keeper, &certificate).await || used.as_ref() == Some(&certificate) {
            return;
        }
        let (chain, key) = (&certificate.chain, &certificate.key);
        if let Err(error) = tls.replace_pem(chain.as_bytes(), key.as_bytes()) {
            self.metrics.failed(Fault::Certificate);
            tracing::error!(error = %stoker_report::chain(&error), "cannot use the certificate of the injection webhook");
        }
        *used = Some(certificate);
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
