#!/usr/bin/env python3
"""Installs the chart in a real API server, plays the kubelet, and goes through the guide and the plugins' part of the
README, as somebody would who has just met Stoker.

    live.py --kubectl FILE --helm FILE --stoker FILE [--program FILE]

The program is what the container runs, such as that of an image; stoker itself unless it is named.
KUBECONFIG names the API server, beside whose file its audit log lies.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import rights
from cluster import Cluster, until
from kubelet import Pod

ROOT = Path(__file__).resolve().parents[3]
CHART = "charts/stoker-operator"
NAMESPACE, RELEASE = "stoker-system", "stoker"
ACCOUNT = DEPLOYMENT = "stoker-stoker-operator-controller-manager"
SERVICE = "stoker-stoker-operator-webhook-receiver"
SECRET = "my-webhook-secret"

# The guide's payloads, and who should recognise them.
PAYLOADS = {
    "github": lambda ref: {"action": "published", "release": {"tag_name": ref}},
    "argocd": lambda ref: {"app": {"metadata": {"annotations": {"git.ref": ref}}}},
    "kargo": lambda ref: {"freight": {"commits": [{"tag": ref}]}},
    "generic": lambda ref: {"ref": ref},
}


def gateway_sync(namespace, repository):
    """An object, and the Secret that it names."""
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


class Repository:
    """A repository with a branch and tags, served by git itself."""

    def __init__(self, folder):
        self.path = f"{folder}/plant.git"
        self.run("init", "--quiet", "--initial-branch=main", self.path, at=folder)
        # Whatever the machine's git is set to.
        self.author = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        self.tag("v1.0.0")
        command = ["git", "daemon", "--export-all", f"--base-path={folder}", "--reuseaddr", "--listen=127.0.0.1"]
        self.port = free_port()
        # git runs its daemon as a child, so a group is what ends.
        self.server = subprocess.Popen(
            [*command, f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def stop(self):
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def run(self, *arguments, at=None):
        return subprocess.run(
            ["git", *arguments], cwd=at or self.path, check=True, capture_output=True, text=True
        ).stdout.strip()

    def tag(self, name):
        """A tag on a commit of its own, whose id it gives."""
        self.run(*self.author, "commit", "--quiet", "--allow-empty", "--message", name)
        self.run("tag", name)
        return self.run("rev-parse", name)

    @property
    def url(self):
        return f"git://127.0.0.1:{self.port}/plant.git"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Story:
    def __init__(self, cluster, stoker, program, scratch, audit_log):
        self.cluster, self.stoker, self.program = cluster, stoker, program
        self.scratch, self.audit_log = scratch, audit_log
        self.pod = None
        server = cluster.kubectl("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.server}")
        self.server = urllib.parse.urlsplit(server)
        self.rights = set()
        self.git = Repository(scratch)

    def end(self):
        if self.pod:
            self.pod.remove()
        self.git.stop()

    def tell(self, what):
        print(f"ok  {what}", flush=True)

    # What is done to the release.

    def start_pod(self):
        """What Deployment and kubelet do after a change: another pod, with what is rendered now."""
        if self.pod:
            self.stop_pod()
        self.pod = Pod(
            self.cluster, NAMESPACE, DEPLOYMENT, self.program, (self.server.hostname, str(self.server.port))
        )
        self.pod.wait_until_ready()
        self.rights |= rights.granted(self.cluster, NAMESPACE, ACCOUNT)

    def stop_pod(self):
        pod, self.pod = self.pod, None
        pod.stop()

    def upgrade(self, *arguments):
        self.cluster.helm("upgrade", RELEASE, CHART, "-n", NAMESPACE, "--reuse-values", *arguments)
        self.start_pod()

    # What a sender does.

    def url(self, namespace="my-namespace", name="my-sync"):
        """Where `kubectl port-forward` to the Service would lead."""
        service = self.cluster.get("service", SERVICE, "-n", NAMESPACE)["spec"]
        labels = self.pod.template["metadata"]["labels"].items()
        assert service["selector"].items() <= labels, "the Service selects other pods"
        (port,) = service["ports"]
        assert port["port"] == 9444
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

    def is_resolved(self, commit, namespace="my-namespace"):
        status = self.cluster.get("gatewaysync", "my-sync", "-n", namespace).get("status", {})
        published = self.cluster.find("configmap", "stoker-metadata-my-sync", "-n", namespace)
        return status.get("lastSyncCommit") == commit and published and published["data"]["commit"] == commit

    def until_resolved(self, commit, namespace="my-namespace"):
        try:
            until(f"{commit} is resolved and published", lambda: self.is_resolved(commit, namespace))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.pod.log()}") from None

    # The chapters.

    def install(self):
        self.cluster.kubectl("create", "namespace", NAMESPACE)
        # As the controller manager does in each namespace.
        authority = self.cluster.kubectl(
            "config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}"
        )
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": NAMESPACE},
                "data": {"ca.crt": base64.b64decode(authority).decode()},
            }
        )
        self.cluster.shell(
            "kubectl create secret generic webhook-hmac -n stoker-system"
            " --from-literal=webhook-secret=my-webhook-secret"
        )
        values = Path(self.scratch, "values.yaml")
        values.write_text("webhookReceiver:\n  hmac:\n    secretRef:\n      name: webhook-hmac\n      key: webhook-secret\n")
        self.cluster.shell(f"helm install stoker {CHART} -n stoker-system --values {values}")
        manifest = self.cluster.helm("get", "manifest", RELEASE, "-n", NAMESPACE)
        strict = ["--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts"]
        self.cluster.kubectl("apply", *strict, "-f", "-", stdin=manifest)
        self.tell("the guide's option 2 installs, and the API server's own schemas take every object")
        self.start_pod()
        holder = lambda: (self.cluster.find("lease", "a86165bb.stoker.io", "-n", NAMESPACE) or {}).get("spec", {})
        until("the pod leads", lambda: holder().get("holderIdentity") == self.pod.name)
        self.tell("the container runs as rendered, with the ServiceAccount's token, and leads")

    def follow_the_guide(self):
        self.cluster.kubectl("create", "namespace", "my-namespace")
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        self.until_resolved(self.git.run("rev-parse", "main"))
        self.tell("spec.git.ref is resolved and published without a webhook")

        said = until("the object is known", self.curl_of_the_notes)
        assert '"accepted":true' in said and '"ref":"v1.0.0"' in said, said
        self.until_resolved(self.git.run("rev-parse", "v1.0.0"))
        self.tell("the curl that helm prints is accepted as it is printed")

        for number, (plugin, payload) in enumerate(PAYLOADS.items()):
            ref = f"v2.0.{number}"
            commit = self.git.tag(ref)
            status, answer = self.send(payload(ref))
            assert status == 202 and answer["plugin"] == plugin and answer["ref"] == ref, answer
            self.until_resolved(commit)
            found = self.cluster.get("gatewaysync", "my-sync", "-n", "my-namespace")["metadata"]["annotations"]
            assert (found["stoker.io/requested-ref"], found["stoker.io/requested-by"]) == (ref, plugin), found
        self.tell(f"the guide's payloads are recognised: {', '.join(PAYLOADS)}")

        assert self.send(PAYLOADS["generic"]("v1.0.0"), signed=False)[0] == 401
        wrong = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
        assert self.send(PAYLOADS["generic"]("v1.0.0"), wrong, signed=False)[0] == 401
        assert self.send(PAYLOADS["generic"]("v1.0.0"), name="nobody")[0] == 404
        self.tell("what is not signed, or wrongly, is refused with 401, and an object that is not there with 404")

        self.patch({"polling": {"enabled": False}})
        commit = self.git.tag("v2.1.0")
        assert self.send(PAYLOADS["generic"]("v2.1.0"))[0] == 202
        self.until_resolved(commit)
        self.tell("webhooks work with polling disabled")

    def curl_of_the_notes(self):
        notes = self.cluster.helm("get", "notes", RELEASE, "-n", NAMESPACE)
        begin, end = notes.index("  secret=$("), notes.index("Which plugins serve")
        lines = notes[begin:end].split("`helm test")[0]
        self.url()
        said = self.cluster.shell(lines.replace("curl -X", "curl -s -X"))
        return said if "no such" not in said and "404" not in said else None

    def add_a_plugin(self):
        """From nothing to a plugin in a ConfigMap, by the lines of the READMEs."""
        project = f"{self.scratch}/acme"
        self.cluster.run(self.stoker, "plugin", "new", "acme", "--lang", "rust", "--dir", project)
        self.cluster.run(self.stoker, "plugin", "build", project)
        sample = json.loads(Path(project, "payloads/released.json").read_text())
        payload, headers = sample["body"], sample.get("headers", {})
        ref = sample["expect"]["found"][0]["ref"]
        commit = self.git.tag(ref.removeprefix("refs/tags/"))
        status, answer = self.send(payload, headers)
        assert status == 400, answer

        self.cluster.shell(
            f"cd {project}; kubectl create configmap acme-plugins -n stoker-system --from-file=acme.wasm"
        )
        self.upgrade("--set", "plugins.configMaps[0].name=acme-plugins,plugins.configMaps[0].optional=true")
        status, answer = until("the object is known", lambda: self.accepted(payload, headers))
        assert answer["plugin"] == "acme", answer
        self.until_resolved(commit)
        self.tell("a plugin in a mounted ConfigMap answers")

        broken = f"{self.scratch}/broken"
        Path(broken).write_bytes(b"broken")
        self.replace("acme-plugins", f"acme.wasm={broken}")
        self.pod.sync()
        until("the broken plugin is seen", lambda: self.pod.plugins()["acme.wasm"]["state"] == "serving-previous")
        assert self.send(payload, headers)[0] == 202
        self.replace("acme-plugins", f"acme.wasm={project}/acme.wasm")
        self.pod.sync()
        until("the plugin is whole again", lambda: self.pod.plugins()["acme.wasm"]["state"] == "serving")
        self.tell("a broken update of it changes nothing, and a good one is taken up")

        self.upgrade("--set-json", "plugins.configMaps=[]", "--set", "plugins.watchConfigMaps=true")
        until("the object is known", lambda: self.send(payload, headers)[0] == 400)
        begun = time.monotonic()
        self.cluster.shell(
            f"cd {project}; kubectl create configmap acme-plugin -n stoker-system --from-file=acme.wasm;"
            " kubectl label configmap acme-plugin -n stoker-system stoker.io/plugin=true"
        )
        until("the labelled plugin answers", lambda: self.accepted(payload, headers))
        assert self.pod.plugins()["acme-plugin/acme.wasm"]["state"] == "serving"
        self.tell(f"a plugin in a labelled ConfigMap answers {time.monotonic() - begun:.1f} s after kubectl began")

    def accepted(self, payload, headers):
        status, answer = self.send(payload, headers)
        return (status, answer) if status == 202 else None

    def replace(self, name, file):
        made = self.cluster.kubectl(
            "create", "configmap", name, "-n", NAMESPACE, f"--from-file={file}", "--dry-run=client", "-o", "yaml"
        )
        self.cluster.kubectl("replace", "-f", "-", stdin=made)

    def give_the_secret_inline(self):
        self.upgrade("--set", f"webhookReceiver.hmac.secret={SECRET},webhookReceiver.hmac.secretRef.name=")
        deployment = json.dumps(self.cluster.get("deployment", DEPLOYMENT, "-n", NAMESPACE))
        assert SECRET not in deployment, "the secret is in the Deployment"
        commit = self.git.tag("v3.0.0")
        until("the object is known", lambda: self.accepted(PAYLOADS["generic"]("v3.0.0"), {}))
        self.until_resolved(commit)
        assert self.send(PAYLOADS["generic"]("v3.0.0"), signed=False)[0] == 401
        self.tell("the guide's option 1, an inline secret, is kept in a Secret")

    def pause(self):
        def is_told():
            events = self.cluster.get("events.events.k8s.io", "-n", "my-namespace")["items"]
            return any(event["reason"] == "Paused" for event in events)

        self.patch({"paused": True})
        until("the pause is told of", is_told)
        assert self.send(PAYLOADS["generic"]("v1.0.0"))[0] == 202
        self.patch({"paused": False})
        self.until_resolved(self.git.run("rev-parse", "v1.0.0"))
        self.tell("a request that comes in a pause is handled after it")

    def patch(self, spec):
        patch = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "gatewaysync", "my-sync", "-n", "my-namespace", "--type=merge", "-p", patch)

    def repair_and_delete(self):
        self.cluster.kubectl("delete", "configmap", "stoker-metadata-my-sync", "-n", "my-namespace")
        self.until_resolved(self.git.run("rev-parse", "v1.0.0"))
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", "my-namespace", "--timeout=30s")
        # The garbage collector does not run here, so what is gone was removed by Stoker.
        gone = lambda: not self.cluster.find("configmap", "stoker-metadata-my-sync", "-n", "my-namespace")
        until("the published ConfigMap goes with its object", gone)
        self.tell("what is published is repaired, and removed with its object")

    def keep_to_one_namespace(self):
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url), *gateway_sync(NAMESPACE, self.git.url))
        self.upgrade("--set", "rbac.scope=namespace")
        roles = self.cluster.get("clusterrolebindings", "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
        assert not roles, "a right beyond the namespace is left"
        commit = self.git.tag("v4.0.0")
        sent = lambda: self.send(PAYLOADS["generic"]("v4.0.0"), namespace=NAMESPACE)[0] == 202
        until("the object is known", sent)
        self.until_resolved(commit, NAMESPACE)
        assert self.send(PAYLOADS["generic"]("v4.0.0"))[0] == 404
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", NAMESPACE, "--timeout=30s")
        self.tell("rbac.scope=namespace works with rights in its namespace alone")

    def uninstall(self):
        self.stop_pod()
        self.cluster.helm("uninstall", RELEASE, "-n", NAMESPACE)
        kinds = self.cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
        left = []
        for kind in kinds:
            selected = ["-A", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name", "--ignore-not-found"]
            left += self.cluster.kubectl("get", kind, *selected).split()
        assert left == ["customresourcedefinition.apiextensions.k8s.io/gatewaysyncs.stoker.io"], left
        assert self.cluster.find("gatewaysync", "my-sync", "-n", "my-namespace"), "an object went with the chart"
        assert self.cluster.find("secret", "webhook-hmac", "-n", NAMESPACE), "a user's secret went with the chart"
        self.tell("uninstalling leaves the definition and what users made, and nothing else")

    def compare_rights(self):
        did, refused = rights.used(self.audit_log, f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}")
        rights.check(self.rights, did, refused)
        self.tell(f"{len(self.rights)} rights were granted; all were used, and none was missing")


def main():
    parser = argparse.ArgumentParser()
    for program in ("kubectl", "helm", "stoker"):
        parser.add_argument(f"--{program}", required=True, type=os.path.abspath)
    parser.add_argument("--program", type=os.path.abspath)
    arguments = parser.parse_args()
    os.chdir(ROOT)
    # What is made for the pod is read by its user.
    os.umask(0o022)
    # So that nothing stays behind when the test is cut off.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A proxy could not reach what listens on this machine alone.
    for variable in ("NO_PROXY", "no_proxy"):
        others = os.environ.get(variable)
        os.environ[variable] = ",".join(filter(None, [others, "127.0.0.1", "localhost"]))
    kubeconfig = os.environ["KUBECONFIG"]
    with tempfile.TemporaryDirectory(prefix="chart-") as scratch:
        cluster = Cluster(arguments.kubectl, arguments.helm, kubeconfig)
        program = arguments.program or arguments.stoker
        story = Story(cluster, arguments.stoker, program, scratch, os.path.join(os.path.dirname(kubeconfig), "audit.log"))
        try:
            story.install()
            story.follow_the_guide()
            story.add_a_plugin()
            story.give_the_secret_inline()
            story.pause()
            story.repair_and_delete()
            story.keep_to_one_namespace()
            story.uninstall()
            story.compare_rights()
        finally:
            story.end()


if __name__ == "__main__":
    main()
