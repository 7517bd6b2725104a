"""Compares the rights of a ServiceAccount with its requests in the API server's audit log."""

import json

# Rights that no request of the account needs by itself.
UNSEEN = {
    # The admission plugin OwnerReferencesPermissionEnforcement, which is on in this test, checks this right when the
    # account creates a ConfigMap with an owner. Without the right the test fails earlier.
    ("stoker.io", "gatewaysyncs/finalizers", "update"),
    # The same plugin checks this right when the account adds an owner reference to an existing ConfigMap.
    ("", "configmaps", "delete"),
    # A RoleBinding is only changed if its subjects change, and only replaced if it refers to another role. The API server
    # checks the right to bind the role when the account creates a RoleBinding.
    ("rbac.authorization.k8s.io", "rolebindings", "patch"),
    ("rbac.authorization.k8s.io", "rolebindings", "delete"),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"),
    ("rbac.authorization.k8s.io", "roles", "bind"),
    # Only an object with a GitHub App needs a Secret for its agents, and no story has one.
    ("", "secrets", "create"),
    ("", "secrets", "patch"),
}


def granted(cluster, namespace, account):
    """The rights of the account, as group, resource and verb."""
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
    """The rights that the account's requests used, and the requests that were forbidden."""
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
    """Fails if a right is missing or was never used."""
    assert not refused, f"rights are missing: {refused}"
    idle = rights - did - UNSEEN
    assert not idle, f"rights were granted and never used: {sorted(idle)}"
