//! Plugins without a mount: the ConfigMaps of one namespace that are labelled as plugins are followed through the API
//! server. What lies in them is taken from here as it would be from a directory.

use std::collections::BTreeSet;
use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;

use crate::api::names::label;
use crate::plugin::{SuppliedFiles, Supply};
use crate::report;

/// ConfigMaps that one answer of the API server may hold: each may have a million bytes, and is in memory several times
/// while it is read.
const PAGE: u32 = 4;
/// Bytes of all plugins together, and their number. Whoever may write ConfigMaps must not be able to use up the memory.
const MAX_BYTES: usize = 16 << 20;
const MAX_FILES: usize = 256;

/// The files of the ConfigMaps, and the watch that keeps them current for as long as it is polled.
pub fn follow(
    client: Client,
    namespace: &str,
) -> (Supply, impl Future<Output = ()> + Send + use<>) {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let config = watcher::Config::default()
        .labels(&format!("{}=true", label::PLUGIN))
        .page_size(PAGE);
    let (sender, supply) = watch::channel(None);
    (supply, keep(watcher(api, config).default_backoff(), sender))
}

async fn keep(
    events: impl Stream<Item = watcher::Result<Event<ConfigMap>>>,
    supply: watch::Sender<Option<SuppliedFiles>>,
) {
    let mut events = pin!(events);
    let mut known = SuppliedFiles::default();
    // While a list is under way: what it has shown so far, on top of what was known, and the names in it.
    let mut listed: Option<(SuppliedFiles, BTreeSet<String>)> = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = Some((known.clone(), BTreeSet::new())),
            Ok(Event::InitApply(map)) => {
                if let Some((files, names)) = &mut listed {
                    names.insert(map.name_any());
                    put(files, map);
                }
            }
            Ok(Event::InitDone) => {
                if let Some((mut files, names)) = listed.take() {
                    files.retain(|bundle| names.contains(bundle));
                    known = files;
                }
            }
            Ok(Event::Apply(map)) => put(&mut known, map),
            Ok(Event::Delete(map)) => {
                let gone = map.name_any();
                known.retain(|bundle| bundle != gone);
            }
            Err(error) => {
                tracing::warn!(error = %report::chain(&error), "the watch of the plugin ConfigMaps was interrupted");
            }
        }
        if listed.is_none() {
            supply.send_if_modified(|supplied| {
                let is_new = supplied.as_ref() != Some(&known);
                if is_new {
                    *supplied = Some(known.clone());
                }
                is_new
            });
        }
    }
}

/// Takes the files of a ConfigMap, unless they would be too much beside those that are there: then it stays as it was.
fn put(known: &mut SuppliedFiles, map: ConfigMap) {
    let name = map.name_any();
    let binary = map.binary_data.into_iter().flatten();
    let binary = binary.map(|(key, value)| (key, Bytes::from(value.0)));
    // A mount would show text as well, and the reason why it is not a plugin is told wherever it comes from.
    let text = map.data.into_iter().flatten();
    let text = text.map(|(key, value)| (key, Bytes::from(value)));
    let mut with = known.clone();
    with.replace(&name, binary.chain(text));
    if with.size() > MAX_BYTES || with.count() > MAX_FILES {
        tracing::error!(
            config_map = name,
            previous_version_serves = known.has(&name),
            limit_bytes = MAX_BYTES,
            limit_files = MAX_FILES,
            "the plugins of all labelled ConfigMaps are too many or too large together, so this one is not taken until it changes"
        );
        return;
    }
    *known = with;
}

#[cfg(test)]
mod tests {
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

    /// The bytes that are supplied after these events; none where it is not known.
    async fn supplied(events: Vec<watcher::Result<Event<ConfigMap>>>) -> Option<usize> {
        let files = supplied_files(events).await?;
        Some(files.size())
    }

    async fn supplied_files(
        events: Vec<watcher::Result<Event<ConfigMap>>>,
    ) -> Option<SuppliedFiles> {
        let (sender, supply) = watch::channel(None);
        keep(stream::iter(events), sender).await;
        supply.borrow().clone()
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
        // What is gone meanwhile is not in the next list, and what was taken goes before what comes.
        events.extend([
            Ok(Event::Init),
            Ok(Event::InitApply(map("b", 100))),
            Ok(Event::InitDone),
        ]);
        assert_eq!(supplied(events).await, Some(100));
    }

    #[tokio::test]
    async fn what_was_taken_stays_when_more_comes() {
        let events = vec![
            Ok(Event::Init),
            Ok(Event::InitApply(map("z", MAX_BYTES))),
            Ok(Event::InitDone),
            // Too much beside the other, and too much in its place.
            Ok(Event::Apply(map("a", 1))),
            Ok(Event::Apply(map("z", MAX_BYTES + 1))),
            Ok(Event::Init),
            Ok(Event::InitApply(map("a", 1))),
            Ok(Event::InitApply(map("z", MAX_BYTES + 1))),
            Ok(Event::InitDone),
        ];
        assert_eq!(supplied(events).await, Some(MAX_BYTES));
    }

    #[tokio::test]
    async fn many_files_without_bytes_are_too_many() {
        let mut many = map("a", 0);
        let names = (0..=MAX_FILES).map(|number| format!("{number}.wasm"));
        many.binary_data = Some(names.map(|name| (name, ByteString::default())).collect());
        let mut events = vec![Ok(Event::Init), Ok(Event::InitDone), Ok(Event::Apply(many))];
        assert_eq!(supplied_files(events).await.unwrap().count(), 0);
        events = vec![Ok(Event::Init), Ok(Event::InitDone)];
        events.push(Ok(Event::Apply(map("a", 0))));
        assert_eq!(supplied_files(events).await.unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_would_be_too_much_is_left_out() {
        let events = vec![
            Ok(Event::Init),
            Ok(Event::InitDone),
            Ok(Event::Apply(map("a", MAX_BYTES))),
            Ok(Event::Apply(map("b", 1))),
            Ok(Event::Delete(map("a", MAX_BYTES))),
            Ok(Event::Apply(map("c", 2))),
        ];
        assert_eq!(supplied(events).await, Some(2));
    }
}
