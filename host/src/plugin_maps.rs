//! Plugins without a mount: the ConfigMaps of one namespace that are labelled as plugins are followed through the API
//! server. What lies in them is taken from here as it would be from a directory.

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

/// ConfigMaps that one answer of the API server may hold: each may have a million bytes.
const PAGE: u32 = 16;
/// Bytes of all plugins together. Whoever may write ConfigMaps must not be able to use up the memory.
const MAX_BYTES: usize = 64 << 20;

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
    // What a new list has shown so far, while one is under way.
    let mut listed = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = Some(SuppliedFiles::default()),
            Ok(Event::InitApply(map)) => put(listed.as_mut().unwrap_or(&mut known), map),
            Ok(Event::InitDone) => known = listed.take().unwrap_or(known),
            Ok(Event::Apply(map)) => put(&mut known, map),
            Ok(Event::Delete(map)) => known.remove(&map.name_any()),
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

/// Takes the files of a ConfigMap, unless that would be too much: then it stays as it was.
fn put(known: &mut SuppliedFiles, map: ConfigMap) {
    let name = map.name_any();
    let binary = map.binary_data.into_iter().flatten();
    let binary = binary.map(|(key, value)| (key, Bytes::from(value.0)));
    // A mount would show text as well, and the reason why it is not a plugin is told wherever it comes from.
    let text = map.data.into_iter().flatten();
    let text = text.map(|(key, value)| (key, Bytes::from(value)));
    let mut with = known.clone();
    with.replace(&name, binary.chain(text));
    if with.size() > MAX_BYTES {
        tracing::error!(
            config_map = name,
            limit_bytes = MAX_BYTES,
            "the plugins of all labelled ConfigMaps are too large together, so this one is left out until it changes"
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
        let (sender, supply) = watch::channel(None);
        keep(stream::iter(events), sender).await;
        supply.borrow().as_ref().map(SuppliedFiles::size)
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
        // What is gone meanwhile is not in the next list.
        events.extend([
            Ok(Event::Init),
            Ok(Event::InitApply(map("b", 100))),
            Ok(Event::InitDone),
        ]);
        assert_eq!(supplied(events).await, Some(100));
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
