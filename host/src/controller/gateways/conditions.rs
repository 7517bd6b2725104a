//! The conditions about the gateways. Pure.

use stoker_api::GatewayState;
use stoker_api::messages;
use stoker_api::names::{condition, reason};

use super::report::shortened;
use super::{AgentContainer, Fleet, Gateway, Gateways, Skew};
use crate::controller::condition::{Setter, State};

/// The largest number of gateways that a message names.
const NAMED: usize = 5;

impl Fleet {
    /// Sets the conditions about the gateways. Those of unknown gateways stay.
    pub(in crate::controller) fn set_conditions(&self, setter: &mut Setter<'_>, skew: &Skew) {
        if let Some(gateways) = &self.gateways {
            setter.set(condition::ALL_GATEWAYS_SYNCED, gateways.synced());
            set_or_unset(setter, condition::SIDECAR_INJECTED, gateways.injected());
            set_or_unset(setter, condition::REF_SKEW, gateways.skewed(skew));
        }
        let ready = match (&self.binding, &self.gateways) {
            (Err(error), _) => Some(State::unmet(
                reason::RBAC_ERROR,
                format!(
                    "Failed to create agent RoleBinding: {}",
                    stoker_report::chain(error)
                ),
            )),
            (Ok(()), Some(gateways)) => gateways.agents_ready(),
            (Ok(()), None) => return,
        };
        set_or_unset(setter, condition::AGENT_READY, ready);
    }
}

fn set_or_unset(setter: &mut Setter<'_>, type_: &str, state: Option<State<'_>>) {
    match state {
        Some(state) => setter.set(type_, state),
        None => setter.unset(type_),
    }
}

impl Gateways {
    fn synced(&self) -> State<'static> {
        let (synced, count) = (self.count_in(GatewayState::Synced), self.count());
        let missing = self.count_in(GatewayState::MissingSidecar);
        State {
            holds: count > 0 && synced == count,
            reason: match count {
                0 => reason::NO_GATEWAYS_DISCOVERED,
                _ if synced == count => reason::SYNC_SUCCEEDED,
                _ => reason::SYNC_IN_PROGRESS,
            },
            message: messages::gateways_synced(synced, count, missing),
        }
    }

    fn injected(&self) -> Option<State<'static>> {
        let missing = self.count_in(GatewayState::MissingSidecar);
        let state = if missing == 0 {
            State::met(
                reason::SIDECAR_PRESENT,
                "All gateways have stoker-agent sidecar",
            )
        } else {
            State::unmet(
                reason::SIDECAR_MISSING,
                format!("{missing} gateway(s) missing stoker-agent sidecar"),
            )
        };
        (self.count() > 0).then_some(state)
    }

    fn skewed(&self, skew: &Skew) -> Option<State<'static>> {
        let state = if skew.gateways.is_empty() {
            State::unmet(
                reason::COMMIT_AGREES,
                "No gateway runs another commit for longer than its sync period",
            )
        } else {
            State::met(
                reason::COMMIT_DIFFERS,
                format!(
                    "{} gateway(s) run another commit: {}",
                    skew.gateways.len(),
                    named(&skew.gateways)
                ),
            )
        };
        (self.count() > 0).then_some(state)
    }

    pub(super) fn agents_ready(&self) -> Option<State<'static>> {
        // The message names few gateways. An unreadable report goes first, because it needs a person.
        let (unreadable, others): (Vec<_>, Vec<_>) =
            self.iter().partition(|gateway| gateway.report.is_err());
        let sorted = unreadable.into_iter().chain(others);
        let faults: Vec<_> = sorted.filter_map(Gateway::agent_fault).collect();
        let state = if faults.is_empty() {
            State::met(reason::AGENTS_READY, "All agents are ready")
        } else {
            State::unmet(
                reason::AGENTS_NOT_READY,
                format!(
                    "{} agent(s) are not ready: {}",
                    faults.len(),
                    named(&faults)
                ),
            )
        };
        (self.count() > 0).then_some(state)
    }

    /// Returns the message about the unreadable reports of some pods.
    pub(in crate::controller) fn unreadable_reports(
        &self,
        is_counted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let counted = self.iter().filter(|one| is_counted(&one.shown.pod_name));
        let unreadable: Vec<_> = counted
            .filter_map(|one| Some(one.listed(&one.report.as_ref().err()?.to_string())))
            .collect();
        let message = || {
            format!(
                "{} report(s) of agents cannot be read: {}",
                unreadable.len(),
                named(&unreadable)
            )
        };
        (!unreadable.is_empty()).then(message)
    }
}

impl Gateway {
    /// Returns the reason why the agent is not ready, if it is not.
    fn agent_fault(&self) -> Option<String> {
        let fault = match (&self.agent, &self.report) {
            (AgentContainer::Missing, _) => "the pod has no agent".to_owned(),
            (_, Err(error)) => messages::unreadable_report(&error.to_string()),
            (AgentContainer::NotReady, _) => "the container is not ready".to_owned(),
            (AgentContainer::Waiting(why), _) => format!("the container is not ready: {why}"),
            (AgentContainer::Unknown, Ok(false)) => "nothing was reported".to_owned(),
            (AgentContainer::Unknown, Ok(true)) | (AgentContainer::Ready, Ok(_)) => return None,
        };
        Some(self.listed(&shortened(&fault)))
    }
}

/// Joins the names of gateways, and counts those beyond the limit.
fn named(gateways: &[String]) -> String {
    let (first, rest) = gateways.split_at(gateways.len().min(NAMED));
    let more = match rest.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    format!("{}{more}", first.join(", "))
}
