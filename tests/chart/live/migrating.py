"""From the Go operator's chart to Stoker's and back."""

import shutil
from pathlib import Path

from cluster import until
from story import DEPLOYMENT, NAMESPACE, RELEASE, ROOT, SECRET, Story, gateway_sync

PAGE = "docs/migrating.md"
# The values file after the page's first step.
VALUES = """
webhook: {enabled: true}
webhookReceiver:
  enabled: true
  hmac: {secretRef: {name: webhook-hmac}}
  ingress:
    enabled: true
    hosts:
      - host: stoker-webhook.example.com
        paths: [{path: /webhook, pathType: Prefix}]
"""
# The objects of metrics that the page lists as removed.
GONE = {"metrics-auth-role", "metrics-auth-rolebinding", "metrics-reader"}


class Migrating(Story):
    NAME = "migrating"

    def play(self):
        self.install_the_go_operator()
        before = set(self.cluster.of_release(RELEASE))
        listed = self.follow(PAGE, "kubectl get gatewaysyncs")
        assert "my-sync" in listed and "<none>" in listed, listed
        self.follow(PAGE, "kubectl annotate crd")
        self.follow(PAGE, "helm upgrade stoker", at=self.at_the_values())
        after = set(self.cluster.of_release(RELEASE))
        gone = {name.partition("-stoker-operator-")[2] for name in before - after}
        assert gone == GONE, gone
        self.start_pod()
        self.report("the existing objects are taken over under their names")

        self.until_resolved(self.git.commit("v1.0.0"))
        commit = self.git.tag("v2.0.0")
        until("the object is known", lambda: self.accepted({"ref": "v2.0.0"}))
        self.until_resolved(commit)
        self.report("a request from before the upgrade is handled, and a new one too")
        # There is no Deployment controller here.
        rollout = f"kubectl rollout status -n {NAMESPACE} deploy/{DEPLOYMENT}"
        script = self.shown_in(PAGE, "kubectl rollout status", replace={rollout: ""})
        output = self.test_release(script)
        assert output.startswith("404"), output
        self.report("helm test passes")

        self.stop_pod()
        self.follow(PAGE, "helm rollback")
        left = set(self.cluster.of_release(RELEASE))
        assert left == before, left ^ before
        assert self.cluster.find("crd", "gatewaysyncs.stoker.io"), "the definition was removed"
        deployment = self.cluster.get("deployment", DEPLOYMENT, "-n", NAMESPACE)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["/manager"], container
        assert self.cluster.find("gatewaysync", "my-sync", "-n", "my-namespace"), "an object was removed by the rollback"
        self.report("the rollback works, and no object is lost")

    def install_the_go_operator(self):
        chart = f"{self.scratch}/go-operator"
        shutil.copytree(ROOT / "tests/chart/go-operator", chart)
        Path(chart, "crds").mkdir()
        Path(chart, "crds/gatewaysyncs.yaml").write_text(self.cluster.shell("stoker crd"))
        Path(self.scratch, "values.yaml").write_text(VALUES)
        for namespace in (NAMESPACE, "my-namespace"):
            self.cluster.kubectl("create", "namespace", namespace)
        self.prepare_namespace()
        literal = f"--from-literal=webhook-secret={SECRET}"
        self.cluster.kubectl("create", "secret", "generic", "webhook-hmac", "-n", NAMESPACE, literal)
        self.cluster.helm("install", RELEASE, chart, "-n", NAMESPACE, "-f", f"{self.scratch}/values.yaml")
        secret, sync = gateway_sync("my-namespace", self.git.url)
        sync["metadata"] |= {
            "annotations": {
                "stoker.io/requested-ref": "v1.0.0",
                "stoker.io/requested-at": "2026-11-02T08:30:00Z",
                "stoker.io/requested-by": "github",
            },
            "finalizers": ["stoker.io/finalizer"],
        }
        self.cluster.apply(secret, sync)

    def at_the_values(self):
        """A directory with the values file and the chart."""
        link = Path(self.scratch, "charts")
        link.symlink_to(ROOT / "charts")
        return self.scratch
