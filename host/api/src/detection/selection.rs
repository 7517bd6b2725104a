use std::sync::Arc;

/// The plugins that may answer for an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(Option<Arc<[String]>>);

impl Selection {
    /// Any of them.
    #[must_use]
    pub fn all() -> Self {
        Self(None)
    }

    /// Only those that are named. An object that names none allows none.
    #[must_use]
    pub fn only(names: impl Into<Arc<[String]>>) -> Self {
        Self(Some(names.into()))
    }

    /// Whether the plugin of this name may answer.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|names| names.iter().any(|other| other == name))
    }

    /// The names, where there is a choice.
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
    fn who_is_not_named_may_not_answer() {
        assert!(Selection::all().has("x") && Selection::default().has("x"));
        let only = Selection::only(["github".to_owned()]);
        assert!(only.has("github") && !only.has("generic"));
        assert!(!Selection::only([]).has("github"));
    }
}
