//! Keeps the secrets current, and reports their state.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{AuthState, Authenticator};
use crate::receiver::ReceiverMetrics;

/// The time between two reads of the secret files. The kubelet needs up to a minute to update a mounted Secret.
const PERIOD: Duration = Duration::from_secs(10);

/// Reads the secret files periodically, and reports the state at the start and after each change.
pub(super) async fn refresh_secrets(auth: Arc<Authenticator>, metrics: ReceiverMetrics) {
    let mut reported = None;
    loop {
        let state = auth.state();
        metrics.set_unauthenticated(state == AuthState::Open);
        metrics.set_secret_usable(!matches!(state, AuthState::Unusable(_)));
        if reported.as_ref() != Some(&state) {
            log(&state);
            reported = Some(state);
        }
        if !auth.reads_files() {
            return std::future::pending().await;
        }
        tokio::time::sleep(PERIOD).await;
        auth.refresh();
    }
}

fn log(state: &AuthState) {
    match state {
        AuthState::Open => tracing::warn!(
            "NO WEBHOOK SECRET IS CONFIGURED: everybody who can connect to the receiver decides which ref a gateway runs; set WEBHOOK_HMAC_SECRET or --webhook-hmac-secret-file"
        ),
        AuthState::Unusable(why) => {
            tracing::error!(error = %stoker_report::chain(why), "the webhook secret cannot be used, so every webhook is refused");
        }
        AuthState::Required => tracing::info!("webhooks must be signed"),
    }
}
