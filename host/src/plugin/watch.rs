//! Decides when the files are scanned: shortly after the last event of a burst, and periodically.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::catalog::{Catalog, Changed, Watched};

/// The time without events that is awaited after an event of a file that may be half written. kubelet creates a
/// directory and then replaces a link, so a scan at the first event would read the old files.
const QUIET: Duration = Duration::from_millis(15);
/// The time without events that is awaited after a file was closed or moved into place, and is therefore complete.
/// Other files may follow it.
const QUIET_ONCE_COMPLETE: Duration = Duration::from_millis(3);
/// The time without events that is awaited after a file is gone. Another file may come in its place, and the commands
/// of a script take some time.
const QUIET_ONCE_GONE: Duration = Duration::from_millis(250);
/// The time after which a directory with continuous events is scanned.
const LONGEST_BURST: Duration = Duration::from_secs(1);
/// The period of scans without an event. Events can be missed on network file systems, or when a link above the parent
/// of a directory is replaced.
const PERIOD: Duration = Duration::from_secs(30);

/// Keeps the catalog up to date for as long as this future is polled.
pub async fn watch(mut catalog: Catalog) {
    let (sender, mut changes) = watch::channel(Change::UnderWay);
    let mut watcher = Watcher::new(sender, catalog.watched());
    watcher.follow();
    // Changes between the first scan and the start of the watch caused no event.
    catalog.scan().await;
    let mut next = Instant::now() + PERIOD;
    loop {
        tokio::select! {
            // Without a watcher, the channel is closed.
            Ok(()) = changes.changed() => settle(&mut changes).await,
            () = sleep_until(next) => {}
            other = catalog.changed() => if let Changed::Loaded(loaded) = other {
                catalog.take(*loaded).await;
                continue;
            },
        }
        // A directory that appears after this causes an event.
        watcher.follow();
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
    /// The file is gone.
    Gone,
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
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
                if !event.paths.iter().all(|path| is_hidden(path)) =>
            {
                Some(Self::Gone)
            }
            EventKind::Access(_) => None,
            _ => Some(Self::UnderWay),
        }
    }

    fn quiet(self) -> Duration {
        match self {
            Self::UnderWay => QUIET,
            Self::Complete => QUIET_ONCE_COMPLETE,
            Self::Gone => QUIET_ONCE_GONE,
        }
    }
}

/// Whether the name of a file begins with a dot, as those of the old versions that kubelet removes.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name();
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// A directory that is watched.
struct Place {
    /// Its absolute path.
    directory: PathBuf,
    /// The absolute path of the only file in it that matters, or `None` if every entry matters.
    file: Option<PathBuf>,
}

impl Place {
    fn of(watched: Watched<'_>) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match watched {
            Watched::Directory(path) => Self {
                directory: absolute(path),
                file: None,
            },
            Watched::File(path) => {
                let file = absolute(path);
                let directory = file.parent().unwrap_or(&file).to_owned();
                Self {
                    directory,
                    file: Some(file),
                }
            }
        }
    }

    /// Whether a change of a path may be a change of this place. kubelet changes a mounted file by replacing a hidden
    /// link beside it. Any other file beside it may be a log, which a scan can write to.
    fn is_at(&self, path: &Path) -> bool {
        if self.directory.starts_with(path) {
            return true;
        }
        let is_watched = |file: &PathBuf| path == file || is_hidden(path);
        path.parent() == Some(&self.directory) && self.file.as_ref().is_none_or(is_watched)
    }
}

/// Watches directories. A directory that appears later, or is replaced, is watched from then on: its parent is watched
/// too, or the nearest ancestor that exists.
struct Watcher {
    inner: Option<RecommendedWatcher>,
    places: Arc<[Place]>,
    /// The device and the inode of each watched directory.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

impl Watcher {
    fn new<'a>(sender: watch::Sender<Change>, watched: impl Iterator<Item = Watched<'a>>) -> Self {
        let places: Arc<[_]> = watched.map(Place::of).collect();
        let relevant = Arc::clone(&places);
        let notify = move |event| {
            let change = Change::of(&event).filter(|_| concerns(&event, &relevant));
            if let Some(change) = change {
                sender.send_replace(change);
            }
        };
        let inner = notify::recommended_watcher(notify);
        if let Err(error) = &inner {
            tracing::warn!(error = %error, period = ?PERIOD, "cannot watch the plugin directories, so they are only scanned periodically");
        }
        Self {
            inner: inner.ok(),
            places,
            watched: BTreeMap::new(),
        }
    }

    /// Watches the directories that are not watched yet, and those that were replaced.
    fn follow(&mut self) {
        for Place { directory, .. } in Arc::clone(&self.places).iter() {
            let mut missing = vec![directory.as_path()];
            for ancestor in directory.ancestors().skip(1) {
                if self.watch(ancestor) {
                    break;
                }
                missing.push(ancestor);
            }
            // What appeared before its parent was watched caused no event. A parent that cannot be read cannot be
            // watched, and what is below it can.
            for path in missing.into_iter().rev() {
                self.watch(path);
            }
        }
    }

    /// Watches a directory. Returns whether it is watched.
    fn watch(&mut self, path: &Path) -> bool {
        let Some(inner) = &mut self.inner else {
            return false;
        };
        let identity = std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
        let identity = identity.ok();
        // A link that leads to another directory now.
        if self.watched.get(path) != identity.as_ref() && self.watched.remove(path).is_some() {
            let (Ok(()) | Err(_)) = inner.unwatch(path);
        }
        // A directory that was created again can have the inode of the deleted one, so it is always watched anew.
        match inner.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched
                    .extend(identity.map(|identity| (path.to_owned(), identity)));
                true
            }
            Err(error) => {
                tracing::debug!(directory = %path.display(), error = %error, "cannot watch the directory yet");
                false
            }
        }
    }
}

/// Whether an event is about one of the places, an entry that matters in it, or one of its ancestors. The entries of an
/// ancestor are many, and most do not matter.
fn concerns(event: &notify::Result<Event>, places: &[Place]) -> bool {
    let Ok(event) = event else { return true };
    let matters = |path: &PathBuf| places.iter().any(|place| place.is_at(path));
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(matters)
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
        let mut watcher = Watcher::new(sender, [Watched::Directory(directory.path())].into_iter());
        watcher.follow();
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

    #[tokio::test]
    async fn after_a_removal_the_next_file_is_awaited() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["a.wasm", ".a.wasm", "b.wasm"] {
            std::fs::write(path(name), b"1").unwrap();
        }
        let (sender, mut changes) = watch::channel(Change::UnderWay);
        let mut watcher = Watcher::new(sender, [Watched::Directory(directory.path())].into_iter());
        watcher.follow();
        let steps: [(&dyn Fn() -> std::io::Result<()>, _); 4] = [
            (&|| std::fs::remove_file(path("a.wasm")), Change::Gone),
            (&|| std::fs::remove_file(path(".a.wasm")), Change::UnderWay),
            (
                &|| std::fs::rename(path("b.wasm"), path("c.wasm")),
                Change::Complete,
            ),
            (&|| std::fs::remove_file(path("c.wasm")), Change::Gone),
        ];
        for (step, expected) in steps {
            step().unwrap();
            while *changes.borrow_and_update() != expected {
                changes.changed().await.unwrap();
            }
        }
    }

    /// Waits for an event, then watches what has appeared.
    async fn next(watcher: &mut Watcher, changes: &mut watch::Receiver<Change>) {
        tokio::time::timeout(Duration::from_secs(5), changes.changed())
            .await
            .expect("the change causes an event")
            .unwrap();
        settle(changes).await;
        watcher.follow();
    }

    #[tokio::test]
    async fn a_directory_that_appears_later_is_watched() {
        let parent = tempfile::TempDir::new().unwrap();
        let directory = parent.path().join("a/plugins");
        let (sender, mut changes) = watch::channel(Change::UnderWay);
        let mut watcher = Watcher::new(sender, [Watched::Directory(&directory)].into_iter());
        watcher.follow();
        for _ in 0..2 {
            std::fs::create_dir(parent.path().join("a")).unwrap();
            next(&mut watcher, &mut changes).await;
            std::fs::create_dir(&directory).unwrap();
            next(&mut watcher, &mut changes).await;
            std::fs::write(directory.join("a.wasm"), b"1").unwrap();
            next(&mut watcher, &mut changes).await;
            std::fs::remove_dir_all(parent.path().join("a")).unwrap();
            next(&mut watcher, &mut changes).await;
        }
        // Other entries of an ancestor do not matter.
        std::fs::write(parent.path().join("b.wasm"), b"1").unwrap();
        let more = tokio::time::timeout(4 * QUIET, changes.changed()).await;
        assert!(more.is_err(), "a file beside the directory was reported");
    }

    #[tokio::test]
    async fn a_link_that_is_replaced_is_followed() {
        let parent = tempfile::TempDir::new().unwrap();
        let link = parent.path().join("plugins");
        let (sender, mut changes) = watch::channel(Change::UnderWay);
        let mut watcher = Watcher::new(sender, [Watched::Directory(&link)].into_iter());
        watcher.follow();
        for version in ["1", "2"] {
            let (target, new) = (parent.path().join(version), parent.path().join("new"));
            std::fs::create_dir(&target).unwrap();
            std::os::unix::fs::symlink(&target, &new).unwrap();
            std::fs::rename(&new, &link).unwrap();
            next(&mut watcher, &mut changes).await;
            std::fs::write(target.join("a.wasm"), b"1").unwrap();
            next(&mut watcher, &mut changes).await;
        }
        // The directory that the link led to before is not watched any more.
        std::fs::write(parent.path().join("1/b.wasm"), b"1").unwrap();
        let more = tokio::time::timeout(4 * QUIET, changes.changed()).await;
        assert!(more.is_err(), "the previous directory was reported");
    }

    #[tokio::test]
    async fn beside_a_file_only_hidden_entries_matter() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        let file = path("settings.yaml");
        let (sender, mut changes) = watch::channel(Change::UnderWay);
        let mut watcher = Watcher::new(sender, [Watched::File(&file)].into_iter());
        watcher.follow();
        for name in ["settings.yaml", "..data"] {
            std::fs::write(path(name), b"1").unwrap();
            next(&mut watcher, &mut changes).await;
        }
        for name in ["stoker.log", "settings.yaml.old"] {
            std::fs::write(path(name), b"1").unwrap();
        }
        let more = tokio::time::timeout(4 * QUIET, changes.changed()).await;
        assert!(more.is_err(), "a file beside the watched one was reported");
    }

    #[test]
    fn a_bare_file_is_watched_in_the_present_directory() {
        let place = Place::of(Watched::File(Path::new("settings.yaml")));
        assert_eq!(place.directory, std::env::current_dir().unwrap());
        assert!(place.is_at(&place.directory.join("settings.yaml")));
    }
}
