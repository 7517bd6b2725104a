//! Texts that must not be printed.

use std::fmt;
use std::sync::Arc;

/// A text that is neither displayed nor logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sensitive(Arc<str>);

impl Sensitive {
    /// Returns a text that is neither displayed nor logged.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sensitive(…)")
    }
}
