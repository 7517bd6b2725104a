use stoker_api::messages;

use super::*;

/// Checks that an object has one problem, with these parts of its texts.
#[track_caller]
fn check_problem(change: &Value, message: &str, remedy: &str) {
    let view = ObjectView::new(&object("plant", change), now());
    let [problem] = view.problems.as_slice() else {
        panic!("{message}: {:?}", view.problems);
    };
    assert!(problem.message.contains(message), "{problem:?}");
    assert!(problem.remedy.contains(remedy), "{problem:?}");
}

/// Conditions that report a problem: type, status, reason and message, and a part of the remedy.
const CONDITIONS: [(&str, &str, &str, &str, &str); 13] = [
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
        "gateway API key secret \"gateway-api\" may not be read: secrets is forbidden",
        "add the namespace edge to rbac.secretNamespaces",
    ),
    (
        "RefResolved",
        "False",
        "RefResolutionFailed",
        "Ref resolution failed: known hosts secret \"hosts\" may not be read: secrets is forbidden",
        "add the namespace edge to rbac.secretNamespaces",
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
        check_problem(&change, message, remedy);
    }
}

#[test]
fn the_pods_of_agents_that_are_not_ready_are_named() {
    let why = "the container is not ready: CrashLoopBackOff, 7 restart(s)";
    let listed = messages::gateway_and_why("g", why);
    let message = format!("1 agent(s) are not ready: {listed}");
    let gateways = json!([gateway("g", "MissingSidecar", &"b".repeat(40))]);
    let mut change = resolved(&[], &gateways);
    change["status"]["conditions"] =
        json!([condition("AgentReady", "False", "AgentsNotReady", &message)]);
    check_problem(&change, &message, "kubectl describe pod -n edge pod-g");
}

#[test]
fn an_object_that_no_controller_handles_is_a_problem() {
    let requested =
        json!({"metadata": {"annotations": {"stoker.io/requested-at": "2026-03-01T11:50:00Z"}}});
    let mut reconciled = requested.clone();
    reconciled["status"] = json!({"refResolutionStatus": "Resolved"});
    check_problem(
        &requested,
        "has not handled its last request",
        "a86165bb.stoker.io",
    );
    check_problem(
        &reconciled,
        "has not handled its last request",
        "DefinitionOutdated",
    );
    check_problem(
        &json!({}),
        "has not handled this object",
        "a86165bb.stoker.io",
    );
}

#[test]
fn the_remedy_for_a_ref_depends_on_what_is_wrong() {
    for (message, remedy) in [
        (
            "ref \"v9\" not found in remote https://g/r.git: the repository has no tag v9",
            "push the ref",
        ),
        (
            "the git server refuses access (HTTP 401): it got no credentials",
            "add credentials as spec.git.auth",
        ),
        (
            "the ssh server g:22 refuses the user git: add the public key",
            "add credentials as spec.git.auth",
        ),
        (
            "there is no repository at https://g/r.git, or it is private",
            "or spec.git.repo: kubectl edit",
        ),
        (
            "the token secret \"t\" has no key \"k\"",
            "correct the Secret, or its name and key",
        ),
        (
            "cannot connect to g:443: failed to lookup address information",
            "check the git server",
        ),
        (
            "the git server did not answer within 10s",
            "networkPolicy.egress.gitPorts",
        ),
        (
            "cannot connect to g:443: the authority of the server's certificate is not trusted",
            "spec.git.caBundle",
        ),
        (
            "the host key of g:22 changed: it was a, and now it is b",
            "stoker.io/accepted-host-key",
        ),
        ("known_hosts has no key of g:22", "compare the key"),
        (
            "the git host g:443 is not one of the allowed hosts",
            "--git-allowed-hosts",
        ),
    ] {
        let message = format!("Ref resolution failed: {message}");
        let mut change = resolved(&[], &json!([]));
        change["status"]["conditions"] = json!([condition(
            "RefResolved",
            "False",
            "RefResolutionFailed",
            &message
        )]);
        check_problem(&change, &message, remedy);
    }
}

#[test]
fn a_missing_secret_is_one_problem() {
    let message = "token secret \"t\" not found: gone";
    let mut change = resolved(&[], &json!([]));
    change["status"]["conditions"] = json!([
        condition(
            "RefResolved",
            "False",
            "RefResolutionFailed",
            "Ref resolution failed: the git server refuses access"
        ),
        condition("Ready", "False", "Reconciling", message),
    ]);
    check_problem(&change, message, "create the Secret in the namespace edge");
}

#[test]
fn a_gateway_that_does_not_confirm_the_files_is_a_problem() {
    let mut waiting = gateway("g", "Pending", COMMIT);
    waiting["message"] = json!("the gateway does not answer");
    let change = resolved(&[], &json!([waiting]));
    let message = "gateway g has not confirmed the files: the gateway does not answer";
    check_problem(&change, message, "kubectl logs -n edge pod-g");
    // It was synced a moment ago, or nothing was.
    for (field, value) in [
        ("lastSyncTime", json!("2026-03-01T11:59:30Z")),
        ("syncedCommit", json!(null)),
    ] {
        waiting[field] = value;
        let change = resolved(&[], &json!([waiting]));
        assert_eq!(
            ObjectView::new(&object("plant", &change), now()).problems,
            []
        );
        waiting = gateway("g", "Pending", COMMIT);
    }
}

#[test]
fn a_profile_that_does_not_exist_is_answered_with_those_that_do() {
    let mut failed = gateway("g", "Error", COMMIT);
    let message = messages::missing_profile("blue");
    failed["message"] = json!(format!("profile: {message}"));
    let mut change = resolved(&[], &json!([failed]));
    change["spec"] =
        json!({"sync": {"profiles": {"edge": {"mappings": []}, "site": {"mappings": []}}}});
    let remedy = "the object has the profiles edge, site: name one of them in the annotation stoker.io/profile of the pod pod-g";
    check_problem(&change, &message, remedy);
}

#[test]
fn an_object_without_pods_says_which_annotation_is_missing() {
    let none = condition("AllGatewaysSynced", "False", "SyncInProgress", "0/0 synced");
    let change = resolved(&[none], &json!([]));
    check_problem(
        &change,
        "has the annotation stoker.io/cr-name: plant",
        "template of the gateway's pod",
    );
}
