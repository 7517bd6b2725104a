//! Keeps the secrets current, and reports their state.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{AuthState, Authenticator};
use crate::receiver::ReceiverMetrics;

/// The time between two reads of the secret files, so that a change holds within a second after the kubelet has updated
/// the mounted Secret.
const FILE_PERIOD: Duration = Duration::from_secs(1);
/// The time between two reads of a Secret through the API server. A delivery reads it too if the last read is older than
/// a second, so this period is only about the state.
const CLUSTER_PERIOD: Duration = Duration::from_secs(10);

/// Reads the secrets periodically, and reports the state at the start and after each change.
pub(super) async fn refresh_secrets(auth: Arc<Authenticator>, metrics: ReceiverMetrics) {
    let mut reported = None;
    loop {
        auth.refresh().await;
        let state = auth.state();
        metrics.set_unauthenticated(state == AuthState::Open);
        metrics.set_secret_usable(!matches!(state, AuthState::Unusable(_)));
        let report = (state, auth.has_short_secret());
        if reported.as_ref() != Some(&report) {
            log(&report.0);
            if report.1 {
                tracing::warn!(
                    "a webhook secret has fewer than 16 bytes, so that it can be guessed"
                );
            }
            reported = Some(report);
        }
        if auth.reads_files() {
            tokio::time::sleep(FILE_PERIOD).await;
        } else if auth.reads_cluster() {
            tokio::time::sleep(CLUSTER_PERIOD).await;
        } else {
            return std::future::pending().await;
        }
    }
}

fn log(state: &AuthState) {
    match state {
        AuthState::Open => tracing::warn!(
            "NO WEBHOOK SECRET IS CONFIGURED: everybody who can connect to the receiver decides which ref a gateway runs, except for objects with spec.webhook.secretRef; set WEBHOOK_HMAC_SECRET, --webhook-hmac-secret-file or --webhook-secret-name"
        ),
        AuthState::Unusable(why) => {
            tracing::error!(error = %stoker_report::chain(why), "the webhook secret cannot be used, so every webhook is refused for objects without their own secret");
        }
        AuthState::Required => tracing::info!("webhooks must be signed or carry a token"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::auth::{AuthConfig, bearer};
    use crate::delivery::Delivery;
    use crate::secrets::SecretSource;
    use crate::telemetry::tests::Captured;

    #[tokio::test]
    async fn a_receiver_without_a_secret_warns_at_its_start() {
        for (hmac, level) in [
            (None, "WARN"),
            (Some(""), "ERROR"),
            (Some("0123456789abcdef"), "INFO"),
        ] {
            let captured = Captured::start("info");
            let hmac = hmac.map(|text| SecretSource::Inline(text.to_owned()));
            let auth = Arc::new(Authenticator::new(AuthConfig {
                hmac,
                ..AuthConfig::default()
            }));
            let metrics = ReceiverMetrics::register(&mut Registry::default());
            let refreshing = refresh_secrets(auth, metrics);
            assert!(futures::FutureExt::now_or_never(refreshing).is_none());
            let lines = captured.take();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!(lines[0]["level"], level);
            let message = lines[0]["message"].as_str().unwrap();
            let is_open = message.starts_with("NO WEBHOOK SECRET IS CONFIGURED");
            assert_eq!(is_open, level == "WARN", "{message}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_and_its_previous_file_hold_within_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "first").unwrap();
        let auth = Arc::new(Authenticator::new(AuthConfig {
            bearer: Some(SecretSource::File(path.clone())),
            ..AuthConfig::default()
        }));
        let mut registry = Registry::default();
        let metrics = ReceiverMetrics::register(&mut registry);
        let task = tokio::spawn(refresh_secrets(Arc::clone(&auth), metrics));
        let is_accepted = |token: &str| {
            let value = bearer(token).parse().unwrap();
            let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
            let body = bytes::Bytes::new();
            auth.global().verify(Delivery { headers, body }).is_ok()
        };
        let is_usable = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text.contains("stoker_webhook_receiver_secret_usable 1")
        };
        assert!(is_accepted("first") && !is_accepted("second"));

        std::fs::write(&path, "second").unwrap();
        std::fs::write(directory.path().join("token-previous"), "first\n").unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(is_accepted("first") && is_accepted("second") && is_usable());
        assert!(auth.has_short_secret());

        std::fs::remove_file(&path).unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(!is_accepted("first") && !is_accepted("second") && !is_usable());
        task.abort();
    }
}
