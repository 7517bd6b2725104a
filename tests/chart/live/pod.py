"""Plays the kubelet: runs the containers of pods as they are rendered, with arguments, environment and volumes."""

import json
import os
import signal
import urllib.request

from cluster import is_taken, until
from container import Container
from volumes import Volumes


class Pod:
    """A pod of a Deployment, with one container."""

    def __init__(self, cluster, image, namespace, deployment, api_server):
        found = cluster.get("deployment", deployment, "-n", namespace)
        self.template = found["spec"]["template"]
        self.spec = self.template["spec"]
        (self.of_container,) = self.spec["containers"]
        self.name = f"{deployment}-{os.urandom(4).hex()}"
        fields = {"metadata.name": self.name, "metadata.namespace": namespace}
        self.volumes = Volumes(cluster, namespace, self.spec, fields)
        for port in self.of_container["ports"]:
            # Whoever listens there would be taken for the container.
            assert not is_taken(port["containerPort"]), f"port {port['containerPort']} of this machine is in use"
        self.container = Container(image, self.spec["securityContext"]["runAsUser"], [])
        self.sync()
        arguments, environment = process_of(self.of_container, fields)
        environment |= {"KUBERNETES_SERVICE_HOST": api_server[0], "KUBERNETES_SERVICE_PORT": api_server[1]}
        self.log_path = f"{self.container.root}.log"
        with open(self.log_path, "wb") as log:
            self.process = self.container.start([*image.entrypoint, *arguments], environment, log)

    def sync(self):
        """Brings the volumes up to date, as the kubelet does every minute or so."""
        self.volumes.lay_out(self.container.root, self.of_container["volumeMounts"])

    def port(self, name):
        (port,) = [port["containerPort"] for port in self.of_container["ports"] if port["name"] == name]
        return port

    def wait_until_ready(self):
        probe = self.of_container["readinessProbe"]["httpGet"]
        url = f"http://127.0.0.1:{self.port(probe['port'])}{probe['path']}"

        def is_ready():
            assert self.process.poll() is None, f"the container ended with {self.process.returncode}:\n{self.log()}"
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return answer.status == 200
            except OSError:
                return False

        try:
            until("the pod is ready", is_ready, 120)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def plugins(self):
        """How the plugins stand, by where they come from."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port('probes')}/plugins", timeout=5) as answer:
            return {plugin["from"]: plugin for plugin in json.load(answer)}

    def execute(self, *command):
        """What `kubectl exec` does, and what that prints."""
        code, said = self.container.run(command)
        assert code == 0, f"{' '.join(command)} ended with {code}:\n{said}"
        return said

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def stop(self):
        """Ends it as the kubelet does, and insists on a clean end within the grace period."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(self.spec["terminationGracePeriodSeconds"])
            assert code == 0, f"the container ended with {code}:\n{self.log()}"
            assert "panicked" not in self.log(), self.log()
        finally:
            self.remove()

    def remove(self):
        """Ends it at once, and leaves nothing of it."""
        self.process.kill()
        self.process.wait()
        self.container.remove()
        os.unlink(self.log_path)


def run_to_its_end(cluster, image, pod, hosts):
    """Runs a pod that ends by itself, where Services have these names, tells the API server how it ended, and gives
    what it printed."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    (of_container,) = pod["spec"]["containers"]
    arguments, environment = process_of(of_container, {})
    container = Container(image, pod["spec"]["securityContext"]["runAsUser"], hosts)
    try:
        Volumes(cluster, namespace, pod["spec"], {}).lay_out(container.root, of_container.get("volumeMounts", []))
        code, said = container.run([*image.entrypoint, *arguments], environment)
    finally:
        container.remove()
    status = json.dumps({"status": {"phase": "Failed" if code else "Succeeded"}})
    cluster.kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", status)
    return said


def process_of(container, fields):
    """The arguments of a container and its environment."""
    environment = {}
    for variable in container.get("env", []):
        value = variable.get("value")
        if value is None:
            value = fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        environment[variable["name"]] = value
    return container["args"], environment
