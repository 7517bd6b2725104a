"""Checks the objects of each golden file against the API server's schemas and rules."""

from story import NAMESPACE, ROOT, Story

# Kinds of other projects. Their definitions accept any object.
OTHERS = {
    "cert-manager.io": ["Issuer", "Certificate"],
    "monitoring.coreos.com": ["ServiceMonitor", "PodMonitor", "PrometheusRule"],
    "gateway.networking.k8s.io": ["HTTPRoute"],
}


class Values(Story):
    NAME = "values"

    def play(self):
        for namespace in (NAMESPACE, "grafana", "42", "edge", "plant-2"):
            self.cluster.kubectl("create", "namespace", namespace)
        definitions = [definition(group, kind) for group, kinds in OTHERS.items() for kind in kinds]
        self.cluster.apply(*definitions)
        self.cluster.kubectl("wait", "--for=condition=established", "--timeout=30s", "crd", "--all")
        files = sorted((ROOT / "tests/chart/golden").glob("*.yaml"))
        assert files
        for file in files:
            # The notes are not an object.
            objects = [text for text in file.read_text().split("\n---\n") if "\nkind: " in text]
            strict = ["--server-side", "--dry-run=server", "--validate=strict"]
            self.cluster.kubectl("apply", *strict, "-f", "-", stdin="\n---\n".join(objects))
        self.report(f"the API server accepts every object of {len(files)} files")


def definition(group, kind):
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}],
        },
    }
