//! Label and field selectors: parsing and matching. Knows nothing of requests or storage.

use serde_json::Value;

use crate::status::Failure;

mod field;
mod label;

pub(crate) use field::FieldSelector;
pub(crate) use label::LabelSelector;

/// What a list or watch asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// `known` are the paths that may be asked for besides the name and the namespace, `alias` gives
    /// a path the name it has in a stored object.
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
