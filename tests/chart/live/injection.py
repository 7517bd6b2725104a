"""The injection of agents: the API server calls the webhook of the installed chart through its Service."""

import base64
import json
import re

from cluster import until
from story import CHART, NAMESPACE, RELEASE, ROOT, Story, gateway_sync

PAGE = "docs/injection.md"
CONFIGURATION = ("mutatingwebhookconfiguration", "stoker-stoker-operator-pod-injection")
CERTIFICATE = ("secret", "stoker-stoker-operator-webhook-cert", "-n", NAMESPACE)
IMAGE = "registry.example.com/stoker-agent:1.2"
GOLDEN = "host/src/injection/golden/none.yaml"


class Injection(Story):
    NAME = "injection"

    def play(self):
        for namespace in (NAMESPACE, "my-namespace"):
            self.cluster.kubectl("create", "namespace", namespace)
        self.prepare_namespace()
        repository, tag = IMAGE.rsplit(":", 1)
        image = ["--set", f"agentImage.repository={repository}", "--set-string", f"agentImage.tag={tag}"]
        self.cluster.helm("install", RELEASE, CHART, "-n", NAMESPACE, *image)
        self.start_pod()
        self.route_the_webhook()
        self.check_the_certificate()
        self.inject()
        self.refuse()
        self.leave_others()
        self.renew()

    def check_the_certificate(self):
        trusted = until("the API server trusts the certificate", self.bundle)
        stored = self.cluster.get(*CERTIFICATE)
        assert base64.b64decode(trusted).startswith(b"-----BEGIN CERTIFICATE-----")
        assert stored["type"] == "kubernetes.io/tls" and stored["data"]["ca.crt"] == trusted, stored["metadata"]
        self.report("the API server trusts the certificate in the Secret")

    def bundle(self):
        (webhook,) = self.cluster.get(*CONFIGURATION)["webhooks"]
        return webhook["clientConfig"].get("caBundle")

    def inject(self):
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        # The API server learns of the Service after a moment, and creates pods without an agent until then.
        until("the webhook is called", lambda: agent_of(self.create(self.template(), "--dry-run=server")))
        created = self.create(self.template())
        agent = agent_of(created)
        assert agent["image"] == IMAGE, agent
        variables = {variable["name"]: variable.get("value", "") for variable in agent["env"]}
        assert variables["CR_NAME"] == "my-sync" and variables["PROFILE"] == "default", variables
        assert variables["DATA_PATH"] == "/usr/local/bin/ignition/data", variables
        golden = json.loads(
            self.cluster.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=self.golden_pod())
        )
        expected = agent_of(golden)
        assert agent.keys() - expected.keys() == {"terminationMessagePath", "terminationMessagePolicy"}, agent
        for field in ("command", "ports", "resources", "restartPolicy", "securityContext", "imagePullPolicy"):
            assert agent[field] == expected[field], (field, agent[field])
        assert [one["name"] for one in agent["env"]] == [one["name"] for one in expected["env"]], agent["env"]
        volumes = [volume["name"] for volume in created["spec"]["volumes"]]
        assert volumes == ["data", "sync-repo", "git-tmp", "api-key"], volumes
        self.report("the pod of the page gets the agent")

    def golden_pod(self):
        text = (ROOT / GOLDEN).read_text()
        return "apiVersion: v1\nkind: Pod\n" + text.replace("metadata:\n", "metadata:\n  name: golden\n", 1)

    def refuse(self):
        template = self.template("missing").replace("cr-name: my-sync", "cr-name: missing")
        refused = self.failing_to_create(template)
        assert "GatewaySync 'missing' not found in namespace 'my-namespace'" in refused, refused
        template = self.template("profile").replace("profile: default", "profile: missing")
        refused = self.failing_to_create(template)
        assert "profile 'missing' not found in GatewaySync 'my-sync'" in refused, refused
        self.report("a pod with a missing object or profile is refused with the reason")

    def leave_others(self):
        template = self.template("plain").replace('"true"', '"false"')
        assert not agent_of(self.create(template))
        self.stop_pod()
        # Without the webhook, the failure policy decides.
        assert not agent_of(self.create(self.template("without")))
        assert not agent_of(self.create(template.replace("plain", "plain-2")))
        self.upgrade("--set", "webhook.failurePolicy=Fail")
        self.stop_pod()
        refused = self.failing_to_create(self.template("refused"))
        assert "failed calling webhook" in refused, refused
        assert not agent_of(self.create(template.replace("plain", "plain-3")))
        self.start_pod()
        until("the webhook is called", lambda: self.attempt(self.template("again")))
        self.report("while Stoker does not run, pods that ask get no agent or are refused, and others are created")

    def renew(self):
        before = self.bundle()
        self.cluster.kubectl("delete", *CERTIFICATE)
        # Stoker looks every 30 seconds.
        until("there is another certificate", lambda: self.cluster.find(*CERTIFICATE), 45)
        until("the API server trusts it", lambda: self.bundle() not in (None, before))
        until("the webhook is called", lambda: self.attempt(self.template("renewed")), 45)
        self.report("a certificate that is lost is replaced")

    def template(self, name="gw-0"):
        """The pod of the page."""
        (template, *_) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / PAGE).read_text(), re.M | re.S)
        named = template.replace("metadata:\n", f"metadata:\n  name: {name}\n", 1)
        return f"apiVersion: v1\nkind: Pod\n{named}"

    def create(self, manifest, *flags):
        at = ["-n", "my-namespace", *flags]
        return json.loads(self.cluster.kubectl("create", *at, "-o", "json", "-f", "-", stdin=manifest))

    def attempt(self, manifest):
        """Creates a pod for a trial. Returns whether it gets an agent."""
        try:
            return agent_of(self.create(manifest, "--dry-run=server"))
        except AssertionError:
            return None

    def failing_to_create(self, manifest):
        try:
            self.create(manifest)
        except AssertionError as refused:
            return str(refused)
        raise AssertionError(f"the pod was created:\n{manifest}")


def agent_of(pod):
    """The container of the agent, which is the first one."""
    containers = pod["spec"].get("initContainers", [])
    return containers[0] if containers and containers[0]["name"] == "stoker-agent" else None
