"""Replaces the kubelet: runs the containers of pods as they are rendered, with arguments, environment and volumes."""

import json
import os
import signal
import urllib.request

from cluster import is_taken, until
from container import Container
from volumes import Volumes


# The user that OpenShift would choose, if the pod leaves the choice to the cluster.
USER_OF_THE_CLUSTER = 1_000_650_000


def user_of(spec):
    """The user id of a pod's containers."""
    return spec.get("securityContext", {}).get("runAsUser", USER_OF_THE_CLUSTER)


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
            # Another process on the port would be taken for the container.
            assert not is_taken(port["containerPort"]), f"port {port['containerPort']} of this machine is in use"
        self.container = Container(image, user_of(self.spec), [])
        self.sync()
        arguments, environment = process_of(self.of_container, self.volumes, fields)
        environment |= {"KUBERNETES_SERVICE_HOST": api_server[0], "KUBERNETES_SERVICE_PORT": api_server[1]}
        self.log_path = f"{self.container.root}.log"
        with open(self.log_path, "wb") as log:
            self.process = self.container.start([*image.entrypoint, *arguments], environment, log)

    def sync(self):
        """Updates the volumes, as the kubelet does about once a minute."""
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
        """The state of the plugins, by their source."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port('probes')}/plugins", timeout=5) as answer:
            return {plugin["from"]: plugin for plugin in json.load(answer)}

    def execute(self, *command):
        """Runs a command in the container, as `kubectl exec` does, and returns its output."""
        code, output = self.container.run(command)
        assert code == 0, f"{' '.join(command)} ended with {code}:\n{output}"
        return output

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def stop(self):
        """Stops it as the kubelet does. It must exit with 0 within the grace period."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(self.spec["terminationGracePeriodSeconds"])
            assert code == 0, f"the container ended with {code}:\n{self.log()}"
            assert "panicked" not in self.log(), self.log()
        finally:
            self.remove()

    def remove(self):
        """Kills it and removes its files."""
        self.process.kill()
        self.process.wait()
        self.container.remove()
        os.unlink(self.log_path)


def run_to_its_end(cluster, image, pod, hosts):
    """Runs a pod until it exits, with these names of Services, reports the result to the API server, and returns the
    output."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    (of_container,) = pod["spec"]["containers"]
    volumes = Volumes(cluster, namespace, pod["spec"], {})
    arguments, environment = process_of(of_container, volumes, {})
    container = Container(image, user_of(pod["spec"]), hosts)
    try:
        volumes.lay_out(container.root, of_container.get("volumeMounts", []))
        code, output = container.run([*image.entrypoint, *arguments], environment)
    finally:
        container.remove()
    status = json.dumps({"status": {"phase": "Failed" if code else "Succeeded"}})
    cluster.kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", status)
    return output


def process_of(container, volumes, fields):
    """The arguments and the environment of a container."""
    environment = {}
    for variable in container.get("env", []):
        value = variable.get("value", "")
        source = variable.get("valueFrom", {})
        if "fieldRef" in source:
            value = fields[source["fieldRef"]["fieldPath"]]
        elif "secretKeyRef" in source:
            value = volumes.value_of(source["secretKeyRef"])
        environment[variable["name"]] = value
    return container.get("args", []), environment
