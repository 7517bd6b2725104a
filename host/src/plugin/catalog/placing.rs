//! Converts the entries of the catalog to the plugins of the chain and to their states.

use std::collections::BTreeMap;

use super::super::error::LoadError;
use super::super::settings::Settings;
use super::super::status::{Listed, PluginState};
use super::Catalog;
use super::entry::Entry;
use super::files::FileKey;
use super::order::{Candidate, Id, NotAsked, order};

impl Catalog {
    /// Replaces the plugins of the chain with those that serve now.
    pub(super) fn put_in_place(&mut self, settings: &Settings) {
        let has_waited = self.has_waited();
        self.forget_gone(settings, has_waited);
        if has_waited {
            self.rename(settings);
        }
        let keys: Vec<_> = self.files.keys().cloned().collect();
        let entries: Vec<_> = self.files.values().collect();
        let of_files: Vec<_> = entries
            .iter()
            .map(|entry| candidate(entry, settings))
            .collect();
        let builtins: Vec<_> = self.builtins.iter().collect();
        let of_builtins: Vec<_> = builtins
            .iter()
            .map(|entry| candidate(entry, settings))
            .collect();
        let order = order(&of_files, &of_builtins);
        let entry = |id: Id| match id {
            Id::File(index) => entries[index],
            Id::Builtin(index) => builtins[index],
        };
        let listed = |id: Id, state: Option<PluginState>| {
            let entry = entry(id);
            let state = state.unwrap_or_else(|| entry.state());
            let from = entry.origin().to_string();
            Listed::new(from, entry.plugin(), entry.sha256(), state)
        };
        let asked: Vec<_> = order.asked.iter().map(|id| listed(*id, None)).collect();
        let mut duplicates = BTreeMap::new();
        let mut aside = Vec::with_capacity(order.aside.len());
        for (id, why) in order.aside {
            let state = match why {
                NotAsked::NotLoaded => None,
                NotAsked::Disabled => Some(PluginState::Disabled),
                NotAsked::Replaced(by) => Some(PluginState::Replaced {
                    by: keys[by].to_string(),
                }),
                NotAsked::Duplicate(first) => {
                    let name = entry(id).name().unwrap_or_default();
                    let why = duplicate(name, &keys[first]);
                    if let Id::File(index) = id {
                        duplicates.insert(keys[index].clone(), why.clone());
                    }
                    Some(PluginState::Refused { why })
                }
            };
            aside.push(listed(id, state));
        }
        aside.extend(self.refused_bundles());
        self.report_loaded(duplicates);
        self.set_usable(asked.iter().chain(&aside));
        self.chain.replace(asked, aside);
    }

    fn refused_bundles(&self) -> impl Iterator<Item = Listed> {
        self.supplied.refused_bundles().map(|(bundle, why)| {
            let why = why.to_owned();
            Listed::new(bundle.to_owned(), None, None, PluginState::Refused { why })
        })
    }

    /// Puts new versions with new names into service, unless an earlier file has the name. In that case the previous
    /// version keeps serving. The previous name may be that of a file that is being loaded, so this happens when
    /// everything is loaded.
    fn rename(&mut self, settings: &Settings) {
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for (key, entry) in &mut self.files {
            match entry.new_name().map(|name| (name, taken.get(name))) {
                Some((name, Some(by))) => {
                    let (name, by) = (name.to_owned(), by.clone());
                    entry.refuse(&self.loader, &LoadError::Duplicate { name, by });
                }
                Some((_, None)) => entry.rename(&self.loader),
                None => {}
            }
            if let Some(name) = entry.name().filter(|_| entry.is_enabled(settings)) {
                let by = || key.to_string();
                taken.entry(name.to_owned()).or_insert_with(by);
            }
        }
    }

    fn set_usable<'a>(&self, listed: impl Iterator<Item = &'a Listed>) {
        let mut usable = BTreeMap::new();
        for listed in listed {
            // Plugins are disabled or replaced on purpose, and it is not known yet whether a loading plugin is refused.
            let is_refused = match listed.status.state {
                PluginState::Refused { .. } | PluginState::ServingPrevious { .. } => true,
                PluginState::Loading
                | PluginState::Serving
                | PluginState::Benched
                | PluginState::Replaced { .. }
                | PluginState::Disabled => false,
            };
            *usable.entry(listed.status.from.as_str()).or_default() |= !is_refused;
        }
        let entries = self.files.values().chain(&self.builtins);
        for origin in entries.map(Entry::origin) {
            let is_usable = usable.get(origin.to_string().as_str()).copied();
            let metrics = &self.loader.metrics;
            metrics.set_usable(origin, is_usable.unwrap_or_default());
        }
    }

    /// Logs once each file whose plugin name is taken, and each other file that was loaded.
    fn report_loaded(&mut self, duplicates: BTreeMap<FileKey, String>) {
        for (key, why) in &duplicates {
            if self.reported.duplicates.get(key) != Some(why) {
                tracing::warn!(plugin.file = %key, error = %why, "plugin file refused");
            }
        }
        self.reported.duplicates = duplicates;
        let reported = &self.reported.duplicates;
        for (key, entry) in &mut self.files {
            if !reported.contains_key(key) {
                entry.report_loaded();
            }
        }
        for entry in &mut self.builtins {
            entry.report_loaded();
        }
    }
}

fn candidate<'a>(entry: &'a Entry, settings: &Settings) -> Candidate<'a> {
    Candidate {
        name: entry.name(),
        is_enabled: entry.is_enabled(settings),
    }
}

fn duplicate(name: &str, first: &FileKey) -> String {
    let (name, by) = (name.to_owned(), first.to_string());
    LoadError::Duplicate { name, by }.to_string()
}
