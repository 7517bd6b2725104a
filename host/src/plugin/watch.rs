//! When the files change: a rescan shortly after the last of a burst of events, and one now and then in any case.

use std::path::Path;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::catalog::Catalog;

/// How long it must be quiet after an event. kubelet swaps a link and then removes what was before: whoever reads at
/// the first event reads the old files.
const QUIET: Duration = Duration::from_millis(25);
/// A directory that is never quiet is read all the same.
const LONGEST_BURST: Duration = Duration::from_secs(1);
/// Events can be missed: on network file systems, or while a directory is not there.
const PERIOD: Duration = Duration::from_secs(30);

/// Keeps the catalog as the directories are, for as long as it is polled.
pub async fn watch(mut catalog: Catalog) {
    let (sender, mut events) = mpsc::channel(1);
    let mut watcher = Watcher::new(sender);
    let directories: Vec<_> = catalog.watched().map(Path::to_owned).collect();
    watcher.follow(&directories);
    loop {
        tokio::select! {
            _ = events.recv() => settle(&mut events).await,
            () = tokio::time::sleep(PERIOD) => watcher.follow(&directories),
        }
        catalog.rescan().await;
    }
}

/// Waits until nothing more comes.
async fn settle(events: &mut mpsc::Receiver<()>) {
    let burst_ends = Instant::now() + LONGEST_BURST;
    while Instant::now() < burst_ends {
        if tokio::time::timeout(QUIET, events.recv()).await.is_err() {
            return;
        }
    }
}

/// The directories that are followed; one that appears later is followed from then on.
struct Watcher {
    inner: Option<RecommendedWatcher>,
}

impl Watcher {
    fn new(sender: mpsc::Sender<()>) -> Self {
        // A full channel already says all that an event can say: look again.
        let notify = move |_| match sender.try_send(()) {
            Ok(()) | Err(_) => {}
        };
        let inner = notify::recommended_watcher(notify);
        if let Err(error) = &inner {
            tracing::warn!(error = %error, period = ?PERIOD, "cannot watch the plugin directories, so they are read periodically");
        }
        Self { inner: inner.ok() }
    }

    /// Following a directory that is followed already changes nothing.
    fn follow(&mut self, directories: &[impl AsRef<Path>]) {
        let Some(inner) = &mut self.inner else { return };
        for directory in directories {
            let directory = directory.as_ref();
            if let Err(error) = inner.watch(directory, RecursiveMode::NonRecursive) {
                tracing::debug!(directory = %directory.display(), error = %error, "cannot watch the directory yet");
            }
        }
    }
}
