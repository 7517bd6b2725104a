#!/usr/bin/env python3
"""The commands in the documents, and the test that runs each of them.

This script checks that `RUN_BY` lists every block of commands, and no others. A block is indented and begins with one of
`PROGRAMS`. Fenced blocks are not included: only `plugin-authoring.md` has fenced commands, and has its own test.
"""

import re
import textwrap

from pages import ROOT, end, pages, without_fences

PROGRAMS = ("cargo", "cosign", "curl", "helm", "just", "kind", "kubectl", "skopeo", "ssh-keygen", "stoker", "stoker-agent")

CI, SYNOPSIS = "CI", "not tested: a synopsis"
INTEGRATION = "tests/integration/commands.rs"
NO_KUBELET = "not tested: the test has no kubelet, and uses the container directly"
NO_KIND = "not tested: the test has no kind"

# By page and beginning of the block: the story of tests/chart/live that runs it, or why nothing does.
RUN_BY = {
    "README.md": {
        "cargo run --release -- demo": CI,
        "cargo test": CI,
        "stoker crd": "readme",
        "just image": "not tested: the test has no registry",
        "stoker send": "readme",
        "stoker plugin new NAME": SYNOPSIS,
        "kubectl create namespace": "readme",
        "kubectl create configmap": "readme",
    },
    "CONTRIBUTING.md": {"cargo run --release -- demo": CI},
    "charts/stoker-operator/README.md": {
        "kubectl create namespace": "guide",
        "kubectl create configmap acme-plugins": "guide",
        "helm upgrade stoker": "guide",
        "cosign verify": "not tested: nothing is published yet",
    },
    "docs/migrating.md": {
        "kubectl get gatewaysyncs": "migrating",
        "kubectl annotate crd": "migrating",
        "helm upgrade stoker": "migrating",
        "kubectl rollout status": "migrating",
        "helm rollback": "migrating",
    },
    "docs/agent.md": {"kubectl annotate gatewaysync": "not tested: the test has no gateway whose files would be deleted"},
    "docs/bare-metal.md": {
        "stoker-agent once": "host/agent/tests/commands.rs",
        "cargo build --release --locked --bin stoker-agent": CI,
    },
    "docs/git-servers.md": {"ssh-keygen -p": "not tested: it removes the passphrase of a key"},
    "docs/private-repositories.md": {
        "kubectl create secret generic git-token": "private",
        "ssh-keygen": "private",
        "kubectl annotate": "private",
        "kubectl create secret generic stoker-app": "not tested: needs a GitHub App",
    },
    "docs/annotations.md": {
        "kubectl annotate gatewaysync -n my-namespace my-sync stoker.io/requested-ref-": "guide",
        "kubectl annotate gatewaysync -n my-namespace my-sync --overwrite": "guide",
    },
    "docs/gateways.md": {
        "stoker status": INTEGRATION,
        "kubectl create rolebinding": "not tested: Stoker writes a RoleBinding of this name in the tests",
    },
    "docs/operations.md": {
        "kubectl get lease": "guide",
        "helm upgrade": "guide",
        "helm uninstall": "guide",
        "helm install stoker-prod": "guide",
        "kubectl patch gatewaysync": "guide",
    },
    "docs/reference.md": {
        "kubectl create configmap": "guide",
        "stoker plugin list --host": "guide",
    },
    "docs/plugin-authoring.md": {
        "kubectl create configmap anvil-plugin -n stoker-system --from-file=anvil.wasm\n": "guide",
        "kubectl create configmap anvil-plugin -n stoker-system --from-file=anvil.wasm --dry-run": "guide",
    },
    "docs/quick-start.md": {
        "cargo build": CI,
        "just image": NO_KIND,
        "kubectl create namespace stoker-system": "quick-start",
        "kubectl create namespace my-namespace": "quick-start",
        "kubectl apply -f my-gateway.yaml": "quick-start",
        "kubectl exec": NO_KUBELET,
        "kubectl port-forward": NO_KUBELET,
        "stoker send": "quick-start",
        "stoker plugin new": "quick-start",
    },
    "docs/troubleshooting.md": {
        "kubectl logs": NO_KUBELET,
        "kubectl describe gatewaysync": "guide",
        "kubectl annotate gatewaysync": "guide",
        "kubectl get lease": "guide",
        "kubectl exec": "guide",
        "stoker status": INTEGRATION,
    },
    "docs/webhook-setup.md": {
        "kubectl annotate application": "not tested: it needs Argo CD",
        "kubectl create secret generic plant-webhook": "senders",
        'curl -X POST "$URL" -H "X-GitHub-Event': "senders",
        'curl -X POST "$URL" -H "X-Gitea-Event': "senders",
        'curl -X POST "$URL" -H "X-Forgejo-Event': "senders",
        'curl -X POST "$URL" -H "X-Gogs-Event': "senders",
        'curl -X POST "$URL" -H "X-Gitlab-Event': "senders",
        'curl -X POST "$URL" -H "X-Event-Key: repo:push': "senders",
        'curl -X POST "$URL" -H "X-Event-Key: repo:refs_changed': "senders",
        'curl -X POST "$URL" --user': "senders",
        'curl -X POST "$URL" -H "Authorization: Bearer': "senders",
        'curl -X POST "$URL" -H "Content-Type: application/json" -H "Authorization: Bearer': "senders",
        'curl -X POST "$URL" -H "Authorization: $SECRET': "senders",
        'curl -X POST "https://stoker:$SECRET@HOST/webhook/my-namespace/my-sync" -H "Content-Type: application/json': "senders",
        'curl -X POST "https://stoker:$SECRET@HOST/webhook/my-namespace/my-sync" -d': "senders",
        'curl -X POST "https://stoker:$SECRET@HOST/webhook/my-namespace/my-sync" -H "Content-Type: text/plain': "senders",
        'curl -X POST "$URL" -H "ce-type': "senders",
        'curl -X POST "$URL" -H "Content-Type: application/cloudevents': "senders",
        'curl -X POST "$URL" -H "X-Hub-Signature-256': "senders",
    },
    "docs/wit-versioning.md": {"stoker plugin check": "not tested: there is no version 0.2.0 of the interface yet"},
}


def blocks(page):
    """The indented blocks of a page, without their indentation."""
    text = without_fences((ROOT / page).read_text())
    found = re.findall(r"(?:^|\n)\n((?: {4,}\S.*(?:\n|$)|\n(?= {4,}\S))+)", text)
    return [textwrap.dedent(block).strip() for block in found]


def block(page, beginning):
    """The only block of commands of a page with this beginning."""
    (found,) = [text for text in blocks(page) if text.startswith(beginning)]
    return found


def main():
    faults = [f"{page} does not exist" for page in RUN_BY if not (ROOT / page).exists()]
    for page in pages():
        named = RUN_BY.get(page, {})
        shown = [text for text in blocks(page) if text.split()[0] in PROGRAMS]
        for text in shown:
            if sum(text.startswith(beginning) for beginning in named) != 1:
                faults.append(f"{page}: RUN_BY does not list `{text.splitlines()[0]}`")
        for beginning in named:
            if sum(text.startswith(beginning) for text in shown) != 1:
                faults.append(f"{page}: not exactly one block begins with `{beginning}`")
    end(faults)


if __name__ == "__main__":
    main()
