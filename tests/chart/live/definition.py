"""Uninstalls a release that does not keep the definition, while an object exists."""

from cluster import until
from story import CHART, NAMESPACE, RELEASE, Story, gateway_sync

DEFINITION = ("crd", "gatewaysyncs.stoker.io")


class Definition(Story):
    NAME = "definition"

    def play(self):
        install = ["install", RELEASE, CHART, "-n", NAMESPACE, "--create-namespace", "--set", "crds.keep=false"]
        self.cluster.helm(*install)
        self.cluster.kubectl("wait", "--for=condition=established", "--timeout=30s", *DEFINITION)
        self.cluster.kubectl("create", "namespace", "edge")
        secret, sync = gateway_sync("edge", "https://git.example.com/edge.git")
        sync["metadata"]["finalizers"] = ["stoker.io/finalizer"]
        self.cluster.apply(secret, sync)
        self.cluster.helm("uninstall", RELEASE, "-n", NAMESPACE)
        deleted = lambda: self.cluster.get(*DEFINITION)["metadata"].get("deletionTimestamp")
        until("the definition waits for the object", deleted)

        refused = self.cluster.failing("helm", *install)
        assert "the definition gatewaysyncs.stoker.io is being deleted" in refused, refused
        self.report("a release is refused while the definition is being deleted")

        none = '{"metadata": {"finalizers": null}}'
        self.cluster.kubectl("patch", "gatewaysync", "-n", "edge", "my-sync", "--type=merge", "-p", none)
        until("the definition is gone", lambda: not self.cluster.find(*DEFINITION))
        self.cluster.helm(*install)
        self.report("a release installs once the definition is gone")
