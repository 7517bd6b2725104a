"""The README: Stoker by hand, beside the cluster, then by the chart, with a plugin in a ConfigMap."""

import shlex
import signal

import commands
from cluster import until
from story import Story, gateway_sync

PAGE = "README.md"


class Readme(Story):
    NAME = "readme"

    def tell(self):
        self.cluster.kubectl("create", "namespace", "my-namespace")
        self.run_by_hand()
        self.add_a_plugin()

    def run_by_hand(self):
        run = commands.commands(PAGE, "stoker crd").splitlines()[-1]
        self.follow(PAGE, "stoker crd", replace={run: ""})
        self.cluster.kubectl("wait", "--for=condition=established", "--timeout=30s", "crd/gatewaysyncs.stoker.io")
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        # What the shell starts is what is ended.
        assignment, *command = shlex.split(run)
        host = self.cluster.start("env", assignment, *command)
        try:
            self.until_resolved(self.git.commit("main"))
            said = until("the object is known", self.send_by_hand)
            assert said.startswith("202 Accepted"), said
            self.until_resolved(self.git.commit("v1.0.0"))
            self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", "my-namespace", "--timeout=30s")
        finally:
            host.send_signal(signal.SIGTERM)
            log, _ = host.communicate(timeout=30)
        assert host.returncode == 0, log
        self.say("stoker crd, run and send work by hand")

    def send_by_hand(self):
        return self.follow(PAGE, "stoker send")

    def add_a_plugin(self):
        self.cluster.shell(f"cd {self.scratch}; stoker plugin new acme --lang rust; stoker plugin build acme")
        self.cluster.kubectl("create", "namespace", "stoker-system")
        self.prepare_namespace()
        # As the chart's page says, for the definition was applied by hand.
        changes = {"--create-namespace": "--take-ownership", "=acme.wasm": f"={self.scratch}/acme/acme.wasm"}
        self.follow(PAGE, "helm upgrade --install", replace=changes)
        self.start_pod()
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        payload, headers, commit = self.commit_of_sample(f"{self.scratch}/acme")
        until("the labelled plugin answers", lambda: self.accepted(payload, headers))
        self.until_resolved(commit)
        self.say("the chart installs, and a plugin in a ConfigMap answers")

        said = self.test_release()
        assert said.startswith("404"), said
        self.say("helm test passes without a secret")
