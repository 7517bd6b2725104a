//! Decides when the files are scanned: shortly after the last event of a burst, and periodically.

use std::path::Path;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::catalog::{Catalog, Changed};

/// The time without events that is awaited after an event of a file that may be half written. kubelet creates a
/// directory and then replaces a link, so a scan at the first event would read the old files.
const QUIET: Duration = Duration::from_millis(15);
/// The time without events that is awaited after a file was closed or moved into place, and is therefore complete.
/// Other files may follow it.
const QUIET_ONCE_COMPLETE: Duration = Duration::from_millis(3);
/// The time after which a directory with continuous events is scanned.
const LONGEST_BURST: Duration = Duration::from_secs(1);
/// The period of scans without an event. Events can be missed on network file systems, or while a directory does not
/// exist.
const PERIOD: Duration = Duration::from_secs(30);

/// Keeps the catalog up to date for as long as this future is polled.
pub async fn watch(mut catalog: Catalog) {
    let (sender, mut changes) = watch::channel(Change::UnderWay);
    let mut watcher = Watcher::new(sender);
    let directories: Vec<_> = catalog.watched().map(Path::to_owned).collect();
    watcher.follow(&directories);
    // Changes between the first scan and the start of the watch caused no event.
    catalog.scan().await;
    let mut next = Instant::now() + PERIOD;
    loop {
        tokio::select! {
            // Without a watcher, the channel is closed.
            Ok(()) = changes.changed() => settle(&mut changes).await,
            () = sleep_until(next) => watcher.follow(&directories),
            other = catalog.changed() => if let Changed::Loaded(loaded) = other {
                catalog.take(*loaded).await;
                continue;
            },
        }
        catalog.scan().await;
        next = Instant::now() + PERIOD;
    }
}

/// Waits until no more events arrive.
async fn settle(changes: &mut watch::Receiver<Change>) {
    let burst_ends = Instant::now() + LONGEST_BURST;
    while Instant::now() < burst_ends {
        let quiet = changes.borrow_and_update().quiet();
        if tokio::time::timeout(quiet, changes.changed())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// The state of a file according to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// More events may follow.
    UnderWay,
    /// The file is complete.
    Complete,
}

impl Change {
    /// Reading a file is an event too, and must not cause a scan. Unless an event certainly completes a file, the file
    /// may be half written, because some file systems report the wrong kind.
    fn of(event: &notify::Result<Event>) -> Option<Self> {
        // An error may hide an event.
        let Ok(event) = event else {
            return Some(Self::UnderWay);
        };
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                Some(Self::Complete)
            }
            EventKind::Access(_) => None,
            _ => Some(Self::UnderWay),
        }
    }

    fn quiet(self) -> Duration {
        match self {
            Self::UnderWay => QUIET,
            Self::Complete => QUIET_ONCE_COMPLETE,
        }
    }
}

/// Watches directories. A directory that appears later is watched from then on.
struct Watcher {
    inner: Option<RecommendedWatcher>,
}

impl Watcher {
    fn new(sender: watch::Sender<Change>) -> Self {
        let notify = move |event| {
            if let Some(change) = Change::of(&event) {
                sender.send_replace(change);
            }
        };
        let inner = notify::recommended_watcher(notify);
        if let Err(error) = &inner {
            tracing::warn!(error = %error, period = ?PERIOD, "cannot watch the plugin directories, so they are only scanned periodically");
        }
        Self { inner: inner.ok() }
    }

    /// Watches the directories that are not watched yet.
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
        let (sender, mut changes) = watch::channel(Change::UnderWay);
        let mut watcher = Watcher::new(sender);
        watcher.follow(&[directory.path()]);
        for _ in 0..3 {
            std::fs::read(&file).unwrap();
            std::fs::read_dir(directory.path()).unwrap().for_each(drop);
        }
        std::fs::rename(&file, directory.path().join("b.wasm")).unwrap();
        while *changes.borrow_and_update() != Change::Complete {
            changes.changed().await.unwrap();
        }
        settle(&mut changes).await;
        std::fs::read(directory.path().join("b.wasm")).unwrap();
        let more = tokio::time::timeout(4 * QUIET, changes.changed()).await;
        assert!(more.is_err(), "reading was reported as a change");
    }
}
