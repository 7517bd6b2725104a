//! The webhook that injects agents into pods, beside the other servers of a host.

use std::net::SocketAddr;
use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;

use super::tasks::Servers;
use crate::config::{CertificateConfig, InjectionConfig};
use crate::injection::{self, CertificateSource, Injector, Keeper, Objects, Serving, Settings};
use crate::metrics::Metrics;

/// The running webhook.
pub(super) struct Injection {
    listening: watch::Receiver<Option<SocketAddr>>,
}

impl Injection {
    /// Starts the webhook. Each replica serves it, whether or not it is the leader. It never ends the host: a port in
    /// use or an unusable certificate is logged, counted and tried again.
    pub(super) fn start(
        config: InjectionConfig,
        client: &Client,
        own_namespace: &str,
        metrics: &Metrics,
        servers: &mut Servers,
    ) -> Self {
        let injector = Injector::new(
            Objects::new(client.clone()),
            Settings {
                agent_image: config.agent_image,
            },
            metrics.injector.clone(),
        );
        let source = match config.certificate {
            CertificateConfig::Files(files) => CertificateSource::Files(files),
            CertificateConfig::Own {
                secret,
                names,
                configuration,
            } => CertificateSource::Own(Arc::new(Keeper {
                client: client.clone(),
                namespace: own_namespace.to_owned(),
                secret,
                names,
                configuration,
            })),
        };
        let (sender, listening) = watch::channel(None);
        let serving = Serving {
            address: config.address,
            source,
            routes: injection::router(Arc::new(injector)),
            metrics: metrics.injector.clone(),
            listening: sender,
        };
        servers.spawn_own(|shutdown| serving.run(shutdown));
        Self { listening }
    }

    /// Waits until the webhook is served, and returns its address. Returns `None` if it has ended.
    pub(super) async fn address(&self) -> Option<SocketAddr> {
        let mut listening = self.listening.clone();
        *listening.wait_for(Option::is_some).await.ok()?
    }
}
