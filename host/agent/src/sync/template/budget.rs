//! What the execution of one template may cost, and which line it has reached.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::MAX_OUTPUT;

/// The largest number of steps of one template. A call of a function is a step, and a call of a template is ten.
const MAX_STEPS: u64 = 10_000_000;
/// The largest size of all texts that the functions of one template make, in bytes.
const MAX_TEXTS: u64 = 64 << 20;
/// The bytes of a text that are compared or copied in the time of a step.
const BYTES_OF_STEP: usize = 64;

/// A template costs too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Excess {
    #[error("the template takes more than {MAX_STEPS} steps")]
    Steps,
    #[error("the functions of the template make more than {MAX_TEXTS} bytes of text")]
    Texts,
    #[error("a text in the template has more than {MAX_OUTPUT} bytes")]
    Text,
}

/// Counts what an execution costs.
#[derive(Debug, Default)]
pub(super) struct Budget {
    steps: AtomicU64,
    texts: AtomicU64,
    line: AtomicUsize,
}

impl Budget {
    /// Notes the line of the action that is executed now.
    pub(super) fn reach(&self, line: usize) {
        self.line.store(line, Ordering::Relaxed);
    }

    /// Returns the line of the last action. The first one is 1.
    pub(super) fn line(&self) -> usize {
        self.line.load(Ordering::Relaxed).max(1)
    }

    pub(super) fn take_steps(&self, steps: u64) -> Result<(), Excess> {
        let before = self.steps.fetch_add(steps, Ordering::Relaxed);
        if before.saturating_add(steps) > MAX_STEPS {
            return Err(Excess::Steps);
        }
        Ok(())
    }

    /// Counts the reading of a text.
    pub(super) fn read(&self, bytes: usize) -> Result<(), Excess> {
        self.take_steps(u64::try_from(bytes / BYTES_OF_STEP).unwrap_or(u64::MAX))
    }

    /// Counts a text that a function made.
    pub(super) fn take_text(&self, text: &str) -> Result<(), Excess> {
        if text.len() > MAX_OUTPUT {
            return Err(Excess::Text);
        }
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let before = self.texts.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > MAX_TEXTS {
            return Err(Excess::Texts);
        }
        Ok(())
    }
}
