use serde_json::json;
use stoker_api::GatewaySync;

use super::*;
use crate::controller::published::PublishedCommit;
use crate::controller::tests::fixture::{GatewaySyncExt as _, commit, key, noon};

fn pod(name: &str, gateway: &str, agent: AgentContainer) -> GatewayPod {
    GatewayPod {
        pod_name: name.to_owned(),
        gateway_name: gateway.to_owned(),
        profile: None,
        service_account: "default".to_owned(),
        is_running: true,
        agent,
        version: None,
    }
}

fn reports(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let entries = entries.iter();
    entries
        .map(|(name, entry)| ((*name).to_owned(), (*entry).to_owned()))
        .collect()
}

const SYNCED: &str = r#"{"syncStatus": "Synced"}"#;

fn states(gateways: &Gateways) -> Vec<(String, Option<GatewayState>)> {
    let state = |one: &Gateway| (one.shown.name.clone(), one.shown.sync_status);
    gateways.iter().map(state).collect()
}

#[test]
fn a_gateway_shows_its_pod_and_the_report_of_its_agent() {
    let mut pod = pod("gw-0", "blue", AgentContainer::Ready);
    pod.profile = Some("edge".to_owned());
    let report =
        json!({"syncStatus": "Synced", "syncedCommit": "4f", "projectsSynced": ["p1"]}).to_string();
    let gateways = Gateways::discover(&key(), &[pod], &reports(&[("blue", &report)]));
    let shown = json!([{
        "name": "blue", "namespace": "edge", "podName": "gw-0", "serviceAccountName": "default", "profile": "edge",
        "syncStatus": "Synced", "syncedCommit": "4f", "projectsSynced": ["p1"],
    }]);
    assert_eq!(serde_json::to_value(gateways.shown(None)).unwrap(), shown);
}

#[test]
fn a_status_with_too_many_gateways_lists_those_with_a_problem() {
    let state = |number: usize| match number {
        290 => r#"{"syncStatus": "Error"}"#,
        0..260 => SYNCED,
        _ => "",
    };
    let names: Vec<_> = (0..300).map(|number| format!("gw-{number:03}")).collect();
    let entries = names.iter().enumerate();
    let entries: Vec<_> = entries
        .map(|(at, name)| (name.as_str(), state(at)))
        .collect();
    let agent = |at: usize| match at {
        295 => AgentContainer::Missing,
        _ => AgentContainer::Ready,
    };
    let pods = names.iter().enumerate();
    let pods: Vec<_> = pods.map(|(at, name)| pod(name, name, agent(at))).collect();
    let shown = Gateways::discover(&key(), &pods, &reports(&entries)).shown(None);
    let shown: Vec<_> = shown.into_iter().map(|one| one.name).collect();
    assert_eq!(shown.len(), LISTED);
    assert!(shown.is_sorted());
    assert_eq!(shown[215..217], ["gw-215", "gw-260"]);
    assert_eq!(shown.last(), names.last());
}

#[test]
fn a_status_with_too_many_gateways_lists_those_with_another_commit() {
    let (commit, other) = ("a".repeat(40), "b".repeat(40));
    let names: Vec<_> = (0..300).map(|number| format!("gw-{number:03}")).collect();
    let entry = |at: usize| match at {
        0 => json!({"syncStatus": "Synced", "syncedCommit": &commit[..7]}),
        1..260 => json!({"syncStatus": "Synced", "syncedCommit": commit}),
        _ => json!({"syncStatus": "Synced", "syncedCommit": other}),
    };
    let entries: Vec<_> = (0..300).map(|at| entry(at).to_string()).collect();
    let entries: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(entries.iter().map(String::as_str))
        .collect();
    let pods = names.iter();
    let pods: Vec<_> = pods
        .map(|name| pod(name, name, AgentContainer::Ready))
        .collect();
    let shown = Gateways::discover(&key(), &pods, &reports(&entries)).shown(Some(&commit));
    let shown: Vec<_> = shown.into_iter().map(|one| one.name).collect();
    assert_eq!(shown.len(), LISTED);
    assert_eq!(shown[215..217], ["gw-215", "gw-260"]);
    assert_eq!(shown.last(), names.last());
}

#[test]
fn only_running_pods_are_gateways_and_they_are_sorted() {
    let mut pending = pod("a", "a", AgentContainer::Ready);
    pending.is_running = false;
    let pods = [
        pod("gw-1", "red", AgentContainer::Ready),
        pending,
        pod("gw-0", "blue", AgentContainer::Ready),
    ];
    let gateways = Gateways::discover(&key(), &pods, &BTreeMap::new());
    let pending = Some(GatewayState::Pending);
    assert_eq!(
        states(&gateways),
        [("blue".to_owned(), pending), ("red".to_owned(), pending)]
    );
}

#[test]
fn the_report_of_the_pod_has_precedence_over_that_of_the_gateway() {
    let pods = [pod("gw-0", "blue", AgentContainer::Ready)];
    let state = |entries: &[(&str, &str)]| {
        let gateways = Gateways::discover(&key(), &pods, &reports(entries));
        states(&gateways)[0].1
    };
    let error = r#"{"syncStatus": "Error"}"#;
    assert_eq!(
        state(&[("gw-0", error), ("blue", SYNCED)]),
        Some(GatewayState::Error)
    );
    assert_eq!(state(&[("blue", SYNCED)]), Some(GatewayState::Synced));
    assert_eq!(
        state(&[("red", SYNCED), ("blue", "")]),
        Some(GatewayState::Pending)
    );
}

#[test]
fn the_report_of_an_agent_that_is_gone_does_not_hide_that_it_is_missing() {
    let pods = [pod("gw-0", "gw-0", AgentContainer::Missing)];
    let gateways = Gateways::discover(&key(), &pods, &reports(&[("gw-0", SYNCED)]));
    assert_eq!(states(&gateways)[0].1, Some(GatewayState::MissingSidecar));
}

#[test]
fn an_unreadable_report_does_not_hide_the_others() {
    let pods = [
        pod("gw-0", "gw-0", AgentContainer::Ready),
        pod("gw-1", "gw-1", AgentContainer::Ready),
    ];
    let entries = [("gw-0", "{broken"), ("gw-1", SYNCED)];
    let gateways = Gateways::discover(&key(), &pods, &reports(&entries));
    let states: Vec<_> = states(&gateways)
        .into_iter()
        .map(|(_, state)| state)
        .collect();
    assert_eq!(
        states,
        [Some(GatewayState::Pending), Some(GatewayState::Synced)]
    );
    let unreadable: Vec<_> = gateways.iter().map(|one| one.report.is_err()).collect();
    assert_eq!(unreadable, [true, false]);
}

#[test]
fn an_unreadable_report_is_shown_at_its_gateway_and_named_first() {
    let names = ["gw-0", "gw-1", "gw-2", "gw-3", "gw-4", "gw-5", "gw-6"];
    let pods = names.map(|name| pod(name, name, AgentContainer::NotReady));
    let gateways = Gateways::discover(&key(), &pods, &reports(&[("gw-6", "[]")]));
    let shown = gateways.shown(None);
    let message = shown[6].message.as_deref().unwrap();
    let expected = "the report is unreadable: it is not a JSON object (";
    assert!(message.starts_with(expected), "{message}");
    let state = gateways.agents_ready().unwrap();
    let expected = format!("7 agent(s) are not ready: gw-6 ({message}), gw-0 (");
    assert!(state.message.starts_with(&expected), "{}", state.message);
    assert!(state.message.ends_with(" and 2 more"), "{}", state.message);
}

#[test]
fn a_message_names_the_pods_of_gateways_with_one_name() {
    let pods = [
        pod("gw-0", "blue", AgentContainer::NotReady),
        pod("gw-1", "blue", AgentContainer::Ready),
        pod("gw-2", "red", AgentContainer::NotReady),
    ];
    let gateways = Gateways::discover(&key(), &pods, &BTreeMap::new());
    let expected = "2 agent(s) are not ready: blue (pod gw-0: the container is not ready), \
                    red (the container is not ready)";
    assert_eq!(gateways.agents_ready().unwrap().message, expected);
}

#[test]
fn long_names_are_cut_where_they_are_shown_and_whole_where_they_are_looked_up() {
    let name = "n".repeat(200_000);
    let mut pod = pod("gw-0", &name, AgentContainer::Waiting("w".repeat(200_000)));
    pod.profile = Some("p".repeat(300));
    let entry = json!({"syncStatus": "Synced", "syncedCommit": "b".repeat(40)}).to_string();
    let gateways = Gateways::discover(&key(), &[pod], &reports(&[(&name, &entry)]));
    let shown = &gateways.shown(None)[0];
    assert_eq!(shown.sync_status, Some(GatewayState::Synced));
    assert_eq!(shown.name.len(), 256);
    assert_eq!(shown.profile.as_ref().unwrap().len(), 256);
    assert!(gateways.agents_ready().unwrap().message.len() < 1000);

    let sync = GatewaySync::sample().with(|sync| {
        let profile = sync.spec.sync.profiles["p"].clone();
        sync.spec.sync.profiles.insert("p".repeat(300), profile);
    });
    let hour = Duration::from_hours(1);
    let published = PublishedCommit::new(commit('a').as_str(), hour);
    let skew = Skew::new(&sync, Some(&gateways), Some(&published), noon());
    assert_eq!(skew.gateways.len(), 1);
}

#[test]
fn the_list_in_the_status_is_bounded() {
    let pods: Vec<_> = (0..300)
        .map(|number| {
            pod(
                &format!("gw-{number:03}"),
                &format!("gw-{number:03}"),
                AgentContainer::Ready,
            )
        })
        .collect();
    let entry = json!({
        "syncStatus": "Synced", "projectsSynced": vec!["p".repeat(300); 100], "errorMessage": "e".repeat(2000),
        "lastScanResult": "s".repeat(2000), "syncedRef": "r".repeat(2000), "agentVersion": "v".repeat(2000),
        "syncedCommit": "c".repeat(2000), "lastSyncDuration": "d".repeat(2000),
    });
    let entry = entry.to_string();
    let entries: Vec<_> = pods
        .iter()
        .map(|pod| (pod.pod_name.as_str(), entry.as_str()))
        .collect();
    let long = |pod: &GatewayPod| GatewayPod {
        gateway_name: "n".repeat(2000),
        profile: Some("p".repeat(2000)),
        ..pod.clone()
    };
    let pods: Vec<_> = pods.iter().map(long).collect();
    let gateways = Gateways::discover(&key(), &pods, &reports(&entries));
    assert_eq!(
        (gateways.count(), gateways.count_in(GatewayState::Synced)),
        (300, 300)
    );
    let shown = gateways.shown(None);
    assert_eq!(shown.len(), 256);
    assert!(serde_json::to_string(&shown).unwrap().len() < 1 << 20);
}
