"""What the stories have in common: a release of the chart with its pod, and what users do with it."""

import base64
import hashlib
import hmac
import json
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import rights
from cluster import SHELL, until
from gateway import AgentContainer
from git_server import Repository
from pod import Pod, run_to_its_end

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/docs"))
import commands  # noqa: E402

CHART = "charts/stoker-operator"
NAMESPACE, RELEASE = "stoker-system", "stoker"
ACCOUNT = DEPLOYMENT = "stoker-stoker-operator-controller-manager"
SERVICE = "stoker-stoker-operator-webhook-receiver"
INJECTION = "stoker-stoker-operator-webhook-service"
SECRET = "my-webhook-secret"


def own_address():
    """An IPv4 address of this machine that is not a loopback address. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
    assert not address.startswith("127."), "this machine has no address for the endpoint of a Service"
    return address


def gateway_sync(namespace, repository):
    """An object and the Secret that it names."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "gateway-api", "namespace": namespace},
        "stringData": {"apiKey": "name:value"},
    }
    sync = {
        "apiVersion": "stoker.io/v1alpha1",
        "kind": "GatewaySync",
        "metadata": {"name": "my-sync", "namespace": namespace},
        "spec": {
            "git": {"repo": repository, "ref": "main"},
            "polling": {"enabled": True, "interval": "5m"},
            "gateway": {"api": {"secretName": "gateway-api", "secretKey": "apiKey"}},
            "sync": {"profiles": {"default": {"mappings": [{"source": "projects", "destination": "projects"}]}}},
        },
    }
    return [secret, sync]


class Story:
    """A sequence of steps against an API server of its own. The documents' commands are listed under its `NAME`."""

    NAME = ""

    def __init__(self, cluster, image, scratch):
        self.cluster, self.image, self.scratch = cluster, image, scratch
        self.pod = None
        server = cluster.kubectl("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.server}")
        self.server = urllib.parse.urlsplit(server)
        self.rights = set()
        self.shown = set()
        self.git = Repository(scratch)
        self.ending = [self.git.stop]

    def play(self):
        raise NotImplementedError

    def end(self):
        try:
            if self.pod:
                self.pod.remove()
        finally:
            for one in reversed(self.ending):
                one()

    def report(self, what):
        print(f"ok  {self.NAME}: {what}", flush=True)

    # Commands of the documents.

    def shown_in(self, page, beginning, replace=None):
        """Returns a block of commands of a document, with replacements."""
        assert commands.RUN_BY[page][beginning] == self.NAME, f"{page}: {beginning} belongs to another story"
        self.shown.add((page, beginning))
        script = commands.block(page, beginning)
        for there, here in (replace or {}).items():
            assert there in script, f"{page}: {there} is not in {script}"
            script = script.replace(there, here)
        return script

    def follow(self, page, beginning, replace=None, at=None):
        """Runs a block of commands of a document and returns its output. The directory is the project's by default."""
        return self.cluster.shell(self.shown_in(page, beginning, replace), at=at)

    def check_every_block_was_run(self):
        listed = {
            (page, beginning)
            for page, blocks in commands.RUN_BY.items()
            for beginning, story in blocks.items()
            if story == self.NAME
        }
        assert self.shown == listed, f"these blocks were not run: {listed - self.shown}"

    # The release.

    def prepare_namespace(self):
        """Creates what the controller manager creates in each namespace."""
        authority = self.cluster.kubectl(
            "config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}"
        )
        at = {"namespace": NAMESPACE}
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", **at},
                "data": {"ca.crt": base64.b64decode(authority).decode()},
            },
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", **at}},
        )

    def start_pod(self):
        """Replaces the pod, as Deployment and kubelet do after a change."""
        if self.pod:
            self.stop_pod()
        api_server = (self.server.hostname, str(self.server.port))
        self.pod = Pod(self.cluster, self.image, NAMESPACE, DEPLOYMENT, api_server)
        self.pod.wait_until_ready()
        self.rights |= rights.granted(self.cluster, NAMESPACE, ACCOUNT)

    def stop_pod(self):
        pod, self.pod = self.pod, None
        pod.stop()

    def upgrade(self, *arguments):
        self.cluster.helm("upgrade", RELEASE, CHART, "-n", NAMESPACE, "--reuse-values", *arguments)
        self.start_pod()

    def test_release(self, script=f"helm test {RELEASE} -n {NAMESPACE}"):
        """Runs `helm test`, with a kubelet beside it, and returns the output of the test's pod."""
        with self.cluster.running(*SHELL, script) as (helm, log):
            selected = ["pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=test"]
            (pod,) = until("helm creates the pod of its test", lambda: self.cluster.get(*selected)["items"])
            self.url()
            output = run_to_its_end(self.cluster, self.image, pod, [SERVICE])
            code = helm.wait(60)
            log.seek(0)
            assert code == 0, f"helm test ended with {code}:\n{log.read()}{output}"
        return output

    def route_the_webhook(self):
        """Does what the controller of EndpointSlices does. An endpoint cannot be a loopback address."""
        service = self.cluster.get("service", INJECTION, "-n", NAMESPACE)["spec"]
        labels = self.pod.template["metadata"]["labels"].items()
        assert service["selector"].items() <= labels, "the Service selects other pods"
        (port,) = service["ports"]
        assert port["port"] == 443, service
        self.cluster.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{INJECTION}-1",
                    "namespace": NAMESPACE,
                    "labels": {"kubernetes.io/service-name": INJECTION},
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": [own_address()], "conditions": {"ready": True}}],
                "ports": [{"name": port["name"], "port": self.pod.port(port["targetPort"]), "protocol": "TCP"}],
            }
        )

    # The agent of a gateway.

    def create_with_agent(self, pod):
        """Creates a pod, and returns it. The API server calls the webhook only after a moment; a pod without an agent is
        removed."""
        place = ("pod", pod["metadata"]["name"], "-n", pod["metadata"]["namespace"])

        def create():
            self.cluster.apply(pod)
            created = self.cluster.get(*place)
            if "initContainers" in created["spec"]:
                return created
            self.cluster.kubectl("delete", *place, "--grace-period=0", "--force")
            return None

        return until("the pod gets an agent", create)

    def start_agent(self, created, directories=None):
        """Runs the agent of a pod, and returns it when it has started. `directories` has directories that are mounted."""
        authority = self.cluster.kubectl(
            "config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}"
        )
        api_server = (self.server.hostname, str(self.server.port))
        agent = AgentContainer(self.cluster, self.agent_image, created, api_server, authority, directories)
        self.ending.append(agent.remove)
        agent.wait_until_started()
        return agent

    # The sender.

    def url(self, namespace="my-namespace", name="my-sync"):
        """The address that `kubectl port-forward` to the Service would connect to."""
        service = self.cluster.get("service", SERVICE, "-n", NAMESPACE)["spec"]
        labels = self.pod.template["metadata"]["labels"].items()
        assert service["selector"].items() <= labels, "the Service selects other pods"
        (port,) = service["ports"]
        assert port["port"] == self.pod.port(port["targetPort"]), service
        return f"http://127.0.0.1:{self.pod.port(port['targetPort'])}/webhook/{namespace}/{name}"

    def send(self, payload, headers=None, signed=True, **where):
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        if signed:
            headers["X-Hub-Signature-256"] = f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
        request = urllib.request.Request(self.url(**where), body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def accepted(self, payload, headers=None, signed=True):
        status, answer = self.send(payload, headers, signed)
        return (status, answer) if status == 202 else None

    def is_resolved(self, commit, namespace="my-namespace"):
        status = self.cluster.get("gatewaysync", "my-sync", "-n", namespace).get("status", {})
        published = self.cluster.find("configmap", "stoker-metadata-my-sync", "-n", namespace)
        return status.get("lastSyncCommit") == commit and published and published["data"]["commit"] == commit

    def until_resolved(self, commit, namespace="my-namespace"):
        try:
            until(f"{commit} is resolved and published", lambda: self.is_resolved(commit, namespace))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.pod.log() if self.pod else ''}") from None

    def commit_of_sample(self, project):
        """Returns the payload and headers of a plugin's sample, and the commit of its ref, which is created here."""
        sample = json.loads(Path(project, "payloads/released.json").read_text())
        ref = sample["expect"]["found"][0]["ref"]
        # The webhook is about the repository of the object.
        body = json.dumps(sample["body"])
        for repository in sample["expect"]["found"][0].get("repositories", []):
            body = body.replace(repository, self.git.url)
        return json.loads(body), sample.get("headers", {}), self.git.tag(ref.removeprefix("refs/tags/"))
