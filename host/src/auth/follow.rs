//! Keeps the secrets current, and reports their state.

use std::time::Duration;

use super::{AuthState, Authenticator};

/// The time between two reads of the secret files, so that a change holds within a second after the kubelet has updated
/// the mounted Secret.
const FILE_PERIOD: Duration = Duration::from_secs(1);
/// The time between two reads of a Secret through the API server. A delivery reads it too if the last read is older than
/// a second, so this period is only about the state.
const CLUSTER_PERIOD: Duration = Duration::from_secs(10);

impl Authenticator {
    /// Reads the secrets periodically, and logs the state at the start and after each change. Each state that was read is
    /// passed to `show`.
    pub async fn follow(&self, show: impl Fn(&AuthState)) {
        let mut reported = None;
        loop {
            self.refresh().await;
            let state = self.state();
            show(&state);
            let report = (state, self.has_short_secret());
            if reported.as_ref() != Some(&report) {
                log(&report.0);
                if report.1 {
                    tracing::warn!(
                        "a webhook secret has fewer than 16 bytes, so that it can be guessed"
                    );
                }
                reported = Some(report);
            }
            if self.reads_files() {
                tokio::time::sleep(FILE_PERIOD).await;
            } else if self.reads_cluster() {
                tokio::time::sleep(CLUSTER_PERIOD).await;
            } else {
                return std::future::pending().await;
            }
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use http::HeaderMap;

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
            let auth = Authenticator::new(AuthConfig {
                hmac,
                ..AuthConfig::default()
            });
            let following = auth.follow(|_| {});
            assert!(futures::FutureExt::now_or_never(following).is_none());
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
        let shown = Arc::new(AtomicBool::new(false));
        let (followed, show) = (Arc::clone(&auth), Arc::clone(&shown));
        let task = tokio::spawn(async move {
            let show = |state: &AuthState| {
                show.store(*state == AuthState::Required, Ordering::Relaxed);
            };
            followed.follow(show).await;
        });
        let is_accepted = |token: &str| {
            let value = bearer(token).parse().unwrap();
            let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
            let body = bytes::Bytes::new();
            auth.global().verify(Delivery { headers, body }).is_ok()
        };
        let is_usable = || shown.load(Ordering::Relaxed);
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
