//! When the files change: a rescan shortly after the last of a burst of events, and one now and then in any case.

use std::path::Path;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::catalog::Catalog;

/// How long it must be quiet after an event. kubelet swaps a link and then removes what was before: whoever reads at
/// the first event reads the old files.
const QUIET: Duration = Duration::from_millis(15);
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
            // Without a watcher nobody sends, and that is no event.
            Some(()) = events.recv() => settle(&mut events).await,
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

/// Reading is an event as well; were it taken for a change, each look would cause the next. Which kind of change it is
/// does not matter: some file systems tell it wrongly.
fn tells_of_a_change(event: &notify::Result<Event>) -> bool {
    let is_written = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
        )
    };
    // An error may have swallowed an event.
    event.as_ref().map_or(true, |event| {
        !event.kind.is_access() || is_written(&event.kind)
    })
}

/// The directories that are followed; one that appears later is followed from then on.
struct Watcher {
    inner: Option<RecommendedWatcher>,
}

impl Watcher {
    fn new(sender: mpsc::Sender<()>) -> Self {
        // A full channel already says all that an event can say: look again.
        let notify = move |event| {
            if tells_of_a_change(&event) {
                let (Ok(()) | Err(_)) = sender.try_send(());
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reading_is_no_change() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("a.wasm");
        std::fs::write(&file, b"1").unwrap();
        let (sender, mut events) = mpsc::channel(16);
        let mut watcher = Watcher::new(sender);
        watcher.follow(&[directory.path()]);
        for _ in 0..3 {
            std::fs::read(&file).unwrap();
            std::fs::read_dir(directory.path()).unwrap().for_each(drop);
        }
        // Events come in order: the first to come is that of the change.
        std::fs::rename(&file, directory.path().join("b.wasm")).unwrap();
        events.recv().await.unwrap();
        settle(&mut events).await;
        std::fs::read(directory.path().join("b.wasm")).unwrap();
        let more = tokio::time::timeout(4 * QUIET, events.recv()).await;
        assert!(more.is_err(), "reading was told as a change");
    }
}
