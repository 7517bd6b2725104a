"""The README: Stoker by hand, then with the chart and a plugin in a ConfigMap."""

import shlex
import signal

import commands
from cluster import until
from story import Story, gateway_sync

PAGE = "README.md"


class Readme(Story):
    NAME = "readme"

    def play(self):
        self.cluster.kubectl("create", "namespace", "my-namespace")
        self.run_by_hand()
        self.install_the_chart()
        self.add_a_plugin()
        self.test_without_a_secret()

    def run_by_hand(self):
        run = commands.block(PAGE, "stoker crd").splitlines()[-1]
        self.follow(PAGE, "stoker crd", replace={run: ""})
        self.cluster.kubectl("wait", "--for=condition=established", "--timeout=30s", "crd/gatewaysyncs.stoker.io")
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        # The process itself is stopped, not a shell around it.
        assignment, *command = shlex.split(run)
        with self.cluster.running("env", assignment, *command) as (host, log):
            self.until_resolved(self.git.commit("main"))
            output = self.follow(PAGE, "stoker send")
            assert output.startswith("202 Accepted"), output
            self.until_resolved(self.git.commit("v1.0.0"))
            self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", "my-namespace", "--timeout=30s")
            host.send_signal(signal.SIGTERM)
            code = host.wait(30)
            log.seek(0)
            assert code == 0, log.read()
        self.report("stoker crd, run and send work by hand")

    def install_the_chart(self):
        self.follow(PAGE, "kubectl create namespace")
        self.prepare_namespace()
        self.start_pod()
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        self.until_resolved(self.git.commit("main"))
        self.report("the chart installs, over the definition that was applied by hand")

    def add_a_plugin(self):
        self.cluster.run("stoker", "plugin", "new", "acme", "--lang", "rust", at=self.scratch)
        self.cluster.run("stoker", "plugin", "build", "acme", at=self.scratch)
        payload, headers, commit = self.commit_of_sample(f"{self.scratch}/acme")
        self.follow(PAGE, "kubectl create configmap", at=f"{self.scratch}/acme")
        until("the labelled plugin answers", lambda: self.accepted(payload, headers))
        self.until_resolved(commit)
        self.report("a plugin in a ConfigMap answers")

    def test_without_a_secret(self):
        self.upgrade("--set", "webhookReceiver.hmac.secretRef.name=")
        output = self.test_release()
        assert output.startswith("404"), output
        self.report("helm test passes without a secret")

        status, answer = until("the object is known", lambda: self.accepted({"ref": "v1.0.0"}, signed=False))
        assert status == 202, answer
        self.until_resolved(self.git.commit("v1.0.0"))
        self.report("an unsigned webhook is accepted if no secret is configured")
