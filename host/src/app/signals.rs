use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Returns a future that completes when the process receives SIGTERM or SIGINT.
pub(super) fn termination() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
