//! The format of the file, and the bounds of its numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};
use stoker_engine::MAX_MEMORY_BYTES;

use super::super::error::SettingsError;
use super::super::limits::Limits;
use super::{FILES_PER_DIRECTORY, Settings, Tuning};

/// The maximum number of settings of one plugin.
const MAX_SETTINGS: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct File {
    plugins_per_directory: usize,
    #[serde(deserialize_with = "or_nothing")]
    limits: LimitsEntry,
    #[serde(deserialize_with = "or_nothing")]
    plugins: BTreeMap<String, Option<PluginEntry>>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            plugins_per_directory: FILES_PER_DIRECTORY,
            limits: LimitsEntry::default(),
            plugins: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct PluginEntry {
    enabled: Option<bool>,
    #[serde(deserialize_with = "or_nothing")]
    limits: LimitsEntry,
    #[serde(deserialize_with = "or_nothing")]
    settings: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct LimitsEntry {
    wall_time: Option<SignedDuration>,
    memory: Option<ByteSize>,
    transfer: Option<ByteSize>,
    component_size: Option<ByteSize>,
    log_lines: Option<usize>,
    log_bytes: Option<ByteSize>,
    refs: Option<usize>,
    concurrent_calls: Option<usize>,
}

/// A block whose lines are all commented out is null in YAML. It means the same as no block.
fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl File {
    pub(super) fn settings(self, limits: &Limits) -> Result<Settings, SettingsError> {
        let files = self.plugins_per_directory;
        within("pluginsPerDirectory", &files, 1..=1024)?;
        let common = self.limits.over(limits, "limits")?;
        let mut plugins = BTreeMap::new();
        for (key, entry) in self.plugins {
            let entry = entry.unwrap_or_default();
            let place = format!("plugins.{key}");
            within(
                &format!("{place}.settings"),
                &entry.settings.len(),
                0..=MAX_SETTINGS,
            )?;
            let tuning = Tuning {
                limits: entry.limits.over(&common, &format!("{place}.limits"))?,
                settings: entry.settings,
                enabled: entry.enabled.unwrap_or(true),
            };
            plugins.insert(key, Arc::new(tuning));
        }
        let common = Tuning {
            limits: common,
            ..Tuning::default()
        };
        Ok(Settings {
            files_per_directory: files,
            common: Arc::new(common),
            plugins,
        })
    }
}

impl LimitsEntry {
    /// Returns `others`, replaced by these limits where they are set.
    fn over(&self, others: &Limits, place: &str) -> Result<Limits, SettingsError> {
        let at = |name: &str| format!("{place}.{name}");
        let mut limits = others.clone();
        if let Some(time) = self.wall_time {
            let millis = usize::try_from(time.as_millis()).unwrap_or_default();
            within(
                &at("wallTime"),
                &Unit(millis, "ms"),
                Unit(1, "ms")..=Unit(5000, "ms"),
            )?;
            limits.wall_time = Duration::try_from(time).unwrap_or_default();
        }
        let size = |value: Option<ByteSize>, name, range: RangeInclusive<usize>| {
            let bytes = value.map(|size| usize::try_from(size.as_u64()).unwrap_or(usize::MAX));
            bytes.map_or(Ok(None), |bytes| {
                let (least, most) = range.into_inner();
                let range = Unit(least, " bytes")..=Unit(most, " bytes");
                within(&at(name), &Unit(bytes, " bytes"), range).map(|()| Some(bytes))
            })
        };
        set(
            &mut limits.memory_bytes,
            size(self.memory, "memory", 64 << 10..=MAX_MEMORY_BYTES)?,
        );
        set(
            &mut limits.transfer_bytes,
            size(self.transfer, "transfer", 4 << 10..=64 << 20)?,
        );
        set(
            &mut limits.log_bytes,
            size(self.log_bytes, "logBytes", 0..=1 << 20)?,
        );
        let component = size(self.component_size, "componentSize", 1 << 10..=64 << 20)?;
        set(
            &mut limits.component_bytes,
            component.map(|bytes| bytes as u64),
        );
        let count = |value: Option<usize>, name, range| {
            value.map_or(Ok(None), |value| {
                within(&at(name), &value, range).map(|()| Some(value))
            })
        };
        set(
            &mut limits.log_lines,
            count(self.log_lines, "logLines", 0..=1024)?,
        );
        set(
            &mut limits.detections,
            count(self.refs, "refs", 1..=16_384)?,
        );
        let calls = count(self.concurrent_calls, "concurrentCalls", 1..=64)?;
        set(&mut limits.concurrent_calls, calls);
        Ok(limits)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// A number that is displayed with its unit.
#[derive(PartialEq, PartialOrd)]
struct Unit(usize, &'static str);

impl fmt::Display for Unit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.0, self.1)
    }
}

fn within<T: PartialOrd + fmt::Display>(
    place: &str,
    value: &T,
    range: RangeInclusive<T>,
) -> Result<(), SettingsError> {
    if range.contains(value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(SettingsError::OutOfBounds {
        place: place.to_owned(),
        value: value.to_string(),
        least: least.to_string(),
        most: most.to_string(),
    })
}
