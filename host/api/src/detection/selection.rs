//! The plugins that an object allows.

use std::sync::Arc;

/// The plugins that may detect refs for an object (`spec.webhook.detectors`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DetectorSelection(Option<Arc<[String]>>);

impl DetectorSelection {
    /// Selects every plugin.
    #[must_use]
    pub fn all() -> Self {
        Self(None)
    }

    /// Selects the named plugins only. An empty list selects no plugin.
    #[must_use]
    pub fn only(names: impl Into<Arc<[String]>>) -> Self {
        Self(Some(names.into()))
    }

    /// Returns whether the plugin of this name is selected.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|names| names.iter().any(|other| other == name))
    }

    /// Returns the selected names. The iterator is empty if every plugin is selected.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|names| names.iter())
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_is_not_named_is_not_selected() {
        assert!(DetectorSelection::all().has("x") && DetectorSelection::default().has("x"));
        let only = DetectorSelection::only(["github".to_owned()]);
        assert!(only.has("github") && !only.has("generic"));
        assert!(!DetectorSelection::only([]).has("github"));
    }
}
