//! Parses and matches label and field selectors. This module does not depend on requests or storage.

use serde_json::Value;

use crate::status::Failure;

mod field;
mod label;

pub(crate) use field::FieldSelector;
pub(crate) use label::LabelSelector;

/// The selectors of a list or watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// `known` are the allowed paths in addition to the name and the namespace. `alias` returns
    /// the name of a path in a stored object.
    pub(crate) fn parse(
        labels: Option<&str>,
        fields: Option<&str>,
        known: &[&str],
        alias: impl Fn(&str) -> String,
    ) -> Result<Self, Failure> {
        Ok(Self {
            labels: LabelSelector::parse(labels.unwrap_or_default())?,
            fields: FieldSelector::parse(fields.unwrap_or_default(), known, alias)?,
        })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }
}

#[cfg(test)]
mod tests;
