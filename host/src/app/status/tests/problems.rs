use super::*;

/// Checks that an object has one problem, with these parts of its texts.
#[track_caller]
fn check_problem(change: Value, message: &str, remedy: &str) {
    let view = ObjectView::new(&object("plant", change), now());
    let [problem] = view.problems.as_slice() else {
        panic!("{message}: {:?}", view.problems);
    };
    assert!(problem.message.contains(message), "{problem:?}");
    assert!(problem.remedy.contains(remedy), "{problem:?}");
}

/// Conditions that report a problem: type, status, reason and message, and a part of the remedy.
const CONDITIONS: [(&str, &str, &str, &str, &str); 12] = [
    (
        "Ready",
        "False",
        "Reconciling",
        "token secret \"t\" not found",
        "create the Secret in the namespace edge",
    ),
    (
        "Ready",
        "False",
        "Reconciling",
        "Metadata not published: the ConfigMap m exists, and it x; delete it, or create the GatewaySync under another name",
        "delete the ConfigMap, or",
    ),
    (
        "Ready",
        "False",
        "Reconciling",
        "Metadata not published: the Secret s exists, and it x; delete it, or create the GatewaySync under another name",
        "delete the Secret, or",
    ),
    (
        "Ready",
        "False",
        "Reconciling",
        "Metadata not published: the API server refused to patch the ConfigMap: field is immutable",
        "correct what the message names",
    ),
    (
        "ProfilesValid",
        "False",
        "ProfilesInvalid",
        "bad",
        "correct spec.sync: kubectl edit",
    ),
    (
        "AgentReady",
        "False",
        "RBACError",
        "refused",
        "rbac.autoBindAgent.enabled",
    ),
    (
        "AgentReady",
        "False",
        "AgentsNotReady",
        "1 agent",
        "kubectl describe pod -n edge",
    ),
    (
        "SidecarInjected",
        "False",
        "SidecarMissing",
        "1 gateway",
        "kubectl delete pod -n edge pod-g",
    ),
    (
        "RefSkew",
        "True",
        "CommitDiffers",
        "g (bbbbbbb)",
        "kubectl logs -n edge pod-g",
    ),
    (
        "PollingIntervalValid",
        "False",
        "PollingIntervalInvalid",
        "soon",
        "write a duration such as 60s",
    ),
    (
        "SSHHostKeyVerification",
        "False",
        "HostKeyVerificationDisabled",
        "any",
        "spec.git.auth.sshKey.knownHosts",
    ),
    (
        "RefResolved",
        "False",
        "GitHubAppExchangeFailed",
        "401",
        "correct spec.git.auth, or its Secret",
    ),
];

#[test]
fn every_problem_has_a_remedy() {
    let gateways = json!([gateway("g", "MissingSidecar", &"b".repeat(40))]);
    for (type_, status, reason, message, remedy) in CONDITIONS {
        let mut change = resolved(&[], &gateways);
        change["status"]["conditions"] = json!([condition(type_, status, reason, message)]);
        check_problem(change, message, remedy);
    }
}

#[test]
fn an_object_that_no_controller_handles_is_a_problem() {
    let requested =
        json!({"metadata": {"annotations": {"stoker.io/requested-at": "2026-03-01T11:50:00Z"}}});
    let mut reconciled = requested.clone();
    reconciled["status"] = json!({"refResolutionStatus": "Resolved"});
    check_problem(
        requested,
        "has not handled its last request",
        "a86165bb.stoker.io",
    );
    check_problem(
        reconciled,
        "has not handled its last request",
        "DefinitionOutdated",
    );
    check_problem(
        json!({}),
        "has not handled this object",
        "a86165bb.stoker.io",
    );
}
