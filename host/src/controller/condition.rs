//! Setting and removing the conditions of a status. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The longest message. It keeps the table of objects readable.
const MESSAGE_CHARS: usize = 1024;

/// The state of a condition.
pub(super) struct State<'a> {
    pub(super) holds: bool,
    pub(super) reason: &'a str,
    pub(super) message: String,
}

impl<'a> State<'a> {
    /// The condition holds.
    pub(super) fn met(reason: &'a str, message: impl Into<String>) -> Self {
        Self {
            holds: true,
            reason,
            message: message.into(),
        }
    }

    /// The condition does not hold.
    pub(super) fn unmet(reason: &'a str, message: impl Into<String>) -> Self {
        Self {
            holds: false,
            reason,
            message: message.into(),
        }
    }
}

/// Sets conditions, for one generation and at one time.
pub(super) struct Setter<'a> {
    pub(super) conditions: &'a mut Vec<Condition>,
    pub(super) generation: Option<i64>,
    pub(super) now: &'a Time,
}

impl Setter<'_> {
    /// Sets the condition of a type. Its transition time changes only with its status. Its position in the list does
    /// not change.
    pub(super) fn set(&mut self, type_: &str, state: State<'_>) {
        let State {
            holds,
            reason,
            mut message,
        } = state;
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS) {
            message.truncate(end);
        }
        let status = if holds { "True" } else { "False" };
        let mut condition = Condition {
            last_transition_time: self.now.clone(),
            message,
            observed_generation: self.generation,
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: type_.to_owned(),
        };
        match self
            .conditions
            .iter_mut()
            .find(|present| present.type_ == type_)
        {
            Some(present) => {
                if present.status == condition.status {
                    condition.last_transition_time = present.last_transition_time.clone();
                }
                *present = condition;
            }
            None => self.conditions.push(condition),
        }
    }

    /// Returns whether the condition of a type is present and True.
    pub(super) fn holds(&self, type_: &str) -> bool {
        let found = self
            .conditions
            .iter()
            .find(|present| present.type_ == type_);
        found.is_some_and(|present| present.status == "True")
    }

    /// Removes the condition of a type.
    pub(super) fn unset(&mut self, type_: &str) {
        self.conditions.retain(|present| present.type_ != type_);
    }
}
