use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Ends when the process is told to: SIGTERM from a platform, SIGINT from a person.
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
