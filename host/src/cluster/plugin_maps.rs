//! Plugins from ConfigMaps that are not mounted: this module watches, through the API server, the ConfigMaps of one
//! namespace that are labelled as plugins. Each ConfigMap is a bundle of files.

use std::collections::BTreeSet;
use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use stoker_api::names::label;
use tokio::sync::watch;

use crate::cluster::watch_backoff::WatchMetrics;
use crate::plugin::{Bundles, Supply};

/// The maximum number of ConfigMaps in one answer of the API server. A ConfigMap may have a million bytes, and several
/// copies of it are in memory while it is read.
const PAGE: u32 = 4;

/// Returns the files of the ConfigMaps, and the watch that keeps them current for as long as it is polled.
pub fn follow(
    client: Client,
    namespace: &str,
    metrics: &WatchMetrics,
) -> (Supply, impl Future<Output = ()> + Send + use<>) {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let config = watcher::Config::default()
        .labels(&format!("{}=true", label::PLUGIN))
        .page_size(PAGE);
    let (sender, supply) = watch::channel(None);
    let metrics = metrics.clone();
    let start = move || metrics.resumed("plugins", watcher(api.clone(), config.clone()));
    (Supply::Bundles(supply), keep(start, sender))
}

/// Keeps the bundles current. `start` starts a watch.
///
/// The files of a bundle that was refused are not kept. If there is space for it later, a new watch lists it again.
async fn keep<S: Stream<Item = watcher::Result<Event<ConfigMap>>>>(
    start: impl Fn() -> S,
    supply: watch::Sender<Option<Bundles>>,
) {
    let mut known = Bundles::default();
    loop {
        let mut events = pin!(start());
        // Set during a list: the known bundles updated by the list so far, and the names in the list.
        let mut listed: Option<(Bundles, BTreeSet<String>)> = None;
        while let Some(event) = events.next().await {
            // Errors were logged, and the watch starts again.
            if let Ok(event) = event {
                apply(event, &mut known, &mut listed);
            }
            if listed.is_none() {
                supply.send_if_modified(|supplied| {
                    let is_new = supplied.as_ref() != Some(&known);
                    if is_new {
                        *supplied = Some(known.clone());
                    }
                    is_new
                });
                if known.has_space_for_refused() {
                    break;
                }
            }
        }
        if !known.has_space_for_refused() {
            return;
        }
    }
}

fn apply(
    event: Event<ConfigMap>,
    known: &mut Bundles,
    listed: &mut Option<(Bundles, BTreeSet<String>)>,
) {
    match event {
        Event::Init => *listed = Some((known.clone(), BTreeSet::new())),
        Event::InitApply(map) => {
            if let Some((files, names)) = listed {
                names.insert(map.name_any());
                put(files, map);
            }
        }
        Event::InitDone => {
            if let Some((mut files, names)) = listed.take() {
                files.retain(|bundle| names.contains(bundle));
                *known = files;
            }
        }
        Event::Apply(map) => put(known, map),
        Event::Delete(map) => {
            let gone = map.name_any();
            known.retain(|bundle| bundle != gone);
        }
    }
}

/// Adds the files of a ConfigMap. Text values are included, so that the log can explain why they are refused.
fn put(known: &mut Bundles, map: ConfigMap) {
    let name = map.name_any();
    let binary = map.binary_data.into_iter().flatten();
    let binary = binary.map(|(key, value)| (key, Bytes::from(value.0)));
    let text = map.data.into_iter().flatten();
    let text = text.map(|(key, value)| (key, Bytes::from(value)));
    known.replace(&name, binary.chain(text));
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures::stream;
    use k8s_openapi::ByteString;
    use kube::api::ObjectMeta;

    use super::*;

    fn map(name: &str, size: usize) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            binary_data: Some([("x.wasm".to_owned(), ByteString(vec![0; size]))].into()),
            ..ConfigMap::default()
        }
    }

    /// The number of bytes that are supplied after these events. `None` if no list is complete yet.
    async fn supplied(events: Vec<watcher::Result<Event<ConfigMap>>>) -> Option<usize> {
        let files = supplied_files(events).await?;
        Some(files.size())
    }

    async fn supplied_files(events: Vec<watcher::Result<Event<ConfigMap>>>) -> Option<Bundles> {
        let (files, watches) = supplied_by(vec![events]).await;
        assert_eq!(watches, 1);
        files
    }

    /// The files that are supplied after the events of these watches, and the number of watches that were started.
    async fn supplied_by(
        watches: Vec<Vec<watcher::Result<Event<ConfigMap>>>>,
    ) -> (Option<Bundles>, usize) {
        let (sender, supply) = watch::channel(None);
        let watches = RefCell::new(watches.into_iter());
        let started = Cell::new(0);
        let start = || {
            started.set(started.get() + 1);
            stream::iter(watches.borrow_mut().next().unwrap_or_default())
        };
        keep(start, sender).await;
        let files = supply.borrow().clone();
        (files, started.get())
    }

    #[tokio::test]
    async fn a_list_counts_when_it_is_complete() {
        let first = || vec![Ok(Event::Init), Ok(Event::InitApply(map("a", 1)))];
        assert_eq!(supplied(first()).await, None);
        let mut events = first();
        events.extend([Ok(Event::InitDone), Ok(Event::Apply(map("b", 10)))]);
        assert_eq!(supplied(events).await, Some(11));
        let mut events = first();
        events.extend([Ok(Event::InitDone), Ok(Event::Apply(map("b", 10)))]);
        // The next list lacks ConfigMaps that were deleted in the meantime. Their bundles are removed before new ones
        // are added.
        events.extend([
            Ok(Event::Init),
            Ok(Event::InitApply(map("b", 100))),
            Ok(Event::InitDone),
        ]);
        assert_eq!(supplied(events).await, Some(100));
    }

    #[tokio::test]
    async fn what_was_refused_is_listed_again_when_there_is_space() {
        const ALL: usize = 16 << 20;
        let list = |maps: Vec<ConfigMap>| {
            let maps = maps.into_iter().map(|map| Ok(Event::InitApply(map)));
            let mut events = vec![Ok(Event::Init)];
            events.extend(maps);
            events.push(Ok(Event::InitDone));
            events
        };
        let full = || list(vec![map("z", ALL)]);
        // A list lacks a ConfigMap that was deleted, but its files count until the list is complete.
        let mut first = full();
        first.extend(list(vec![map("a", 10)]));
        let (files, watches) = supplied_by(vec![first, list(vec![map("a", 10)])]).await;
        assert_eq!((files.unwrap().size(), watches), (10, 2));
        // A ConfigMap is deleted while the watch works.
        let mut first = full();
        first.push(Ok(Event::Apply(map("a", 10))));
        first.push(Ok(Event::Delete(map("z", ALL))));
        let (files, watches) = supplied_by(vec![first, list(vec![map("a", 10)])]).await;
        let files = files.unwrap();
        assert_eq!((files.size(), files.refused().count(), watches), (10, 0, 2));
        // There is still too little space.
        let mut first = full();
        first.push(Ok(Event::Apply(map("a", 10))));
        first.push(Ok(Event::Apply(map("z", ALL - 9))));
        let (files, watches) = supplied_by(vec![first]).await;
        assert_eq!((files.unwrap().refused().count(), watches), (1, 1));
    }

    #[tokio::test]
    async fn a_map_without_a_plugin_is_refused_until_it_is_gone() {
        let mut text = map("a", 0);
        text.binary_data = None;
        text.data = Some([("README.md".to_owned(), "How to send it.".to_owned())].into());
        let events = || {
            vec![
                Ok(Event::Init),
                Ok(Event::InitApply(text.clone())),
                Ok(Event::InitDone),
            ]
        };
        let refused = |bundles: Bundles| bundles.refused().count();
        assert_eq!(supplied_files(events()).await.map(refused), Some(1));
        let mut events = events();
        events.push(Ok(Event::Delete(text.clone())));
        assert_eq!(supplied_files(events).await.map(refused), Some(0));
    }
}
