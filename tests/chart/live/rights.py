"""Compares what a ServiceAccount may do with what it did, by the API server's audit log."""

import json

# Rights that no request of the account shows.
UNSEEN = {
    # Asked for by the API server's OwnerReferencesPermissionEnforcement, which is on in this test, on behalf of the
    # account when it makes a ConfigMap that its object owns. Without the right the test fails before.
    ("stoker.io", "gatewaysyncs/finalizers", "update"),
}


def granted(cluster, namespace, account):
    """What the account may do, as group, resource, verb, and the roles that say so."""
    rights = set()
    bindings = cluster.get("clusterrolebindings")["items"] + cluster.get("rolebindings", "-A")["items"]
    for binding in bindings:
        subjects = [(subject["kind"], subject["name"]) for subject in binding.get("subjects", [])]
        if ("ServiceAccount", account) not in subjects:
            continue
        role = binding["roleRef"]
        where = ["-n", binding["metadata"]["namespace"]] if role["kind"] == "Role" else []
        for rule in cluster.get(role["kind"], role["name"], *where)["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    rights |= {(group, resource, verb) for verb in rule["verbs"]}
    return rights


def used(audit_log, account):
    """What the account did, and what it was refused."""
    did, refused = set(), []
    with open(audit_log, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    for event in events:
        if event["user"]["username"] != account or "objectRef" not in event:
            continue
        about = event["objectRef"]
        resource = "/".join(filter(None, [about["resource"], about.get("subresource")]))
        right = (about.get("apiGroup", ""), resource, event["verb"])
        if event.get("responseStatus", {}).get("code") == 403:
            refused.append((*right, about.get("namespace"), about.get("name")))
        else:
            did.add(right)
    return did, refused


def check(rights, did, refused):
    """Fails where a right is missing, or was never used."""
    assert not refused, f"rights are missing: {refused}"
    idle = rights - did - UNSEEN
    assert not idle, f"rights were granted and never used: {sorted(idle)}"
