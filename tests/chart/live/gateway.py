"""A gateway: its pod with the injected agent, whose container runs as the kubelet would run it, and its HTTP interface."""

import base64
import http.server
import json
import os
import signal
import tempfile
import threading
import urllib.request

from cluster import is_taken, until
from container import Container
from pod import process_of, user_of
from volumes import Volumes, lay_out

ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
# Volumes that begin empty here.
WRITABLE = ("emptyDir", "persistentVolumeClaim")


class Gateway:
    """The HTTP interface of a gateway, which records the calls."""

    def __init__(self, port, key):
        calls = self.calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/system/gwinfo":
                    self.answer(200, b"ContextStatus=RUNNING")
                else:
                    self.authorized(b'{"items": []}')

            def do_POST(self):
                self.authorized(b"{}")

            def authorized(self, body):
                is_known = self.headers.get("X-Ignition-API-Token") == key
                calls.append(f"{self.command} {self.path}{'' if is_known else ' without the key'}")
                self.answer(200 if is_known else 401, body)

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def empty_directory():
    """A directory that every user may write."""
    directory = tempfile.mkdtemp(prefix="volume-")
    os.chmod(directory, 0o777)
    return directory


class AgentContainer:
    """The injected container of a pod."""

    def __init__(self, cluster, image, pod, api_server, authority, directories=None):
        """`authority` is that of the API server, as base64. `directories` has the directories of this machine that are mounted at
        some paths and stay; the others begin empty."""
        self.cluster, self.pod = cluster, pod
        metadata, spec = pod["metadata"], pod["spec"]
        self.place = (metadata["name"], "-n", metadata["namespace"])
        (self.spec,) = [one for one in spec["initContainers"] if one["name"] == "stoker-agent"]
        assert self.spec["restartPolicy"] == "Always" and spec["initContainers"][0] is self.spec
        fields = {"metadata.name": metadata["name"], "metadata.namespace": metadata["namespace"]}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        self.directories, mounted = {}, []
        for mount in self.spec["volumeMounts"]:
            if volumes[mount["name"]].keys() & set(WRITABLE):
                path = mount["mountPath"]
                self.directories[path] = (directories or {}).get(path) or empty_directory()
            else:
                mounted.append(mount)
        for port in (self.probe_port(), 8083):
            assert not is_taken(port), f"port {port} of this machine is in use"
        self.container = Container(image, user_of(spec), [], self.directories)
        contents = Volumes(cluster, metadata["namespace"], spec, fields)
        contents.lay_out(self.container.root, mounted)
        self.mount_account(metadata["namespace"], spec.get("serviceAccountName", "default"), authority)
        arguments, environment = process_of(self.spec, contents, fields)
        environment |= {"KUBERNETES_SERVICE_HOST": api_server[0], "KUBERNETES_SERVICE_PORT": api_server[1]}
        self.log_path = f"{self.container.root}.log"
        with open(self.log_path, "wb") as log:
            self.process = self.container.start([*self.spec["command"], *arguments], environment, log)

    def mount_account(self, namespace, account, authority):
        """Writes what the admission plugin for ServiceAccounts and the kubelet add to each container."""
        token = self.cluster.kubectl("create", "token", account, "-n", namespace).strip()
        files = {"token": token.encode(), "namespace": namespace.encode(), "ca.crt": base64.b64decode(authority)}
        lay_out(self.container.root + ACCOUNT_DIRECTORY, files)

    def probe_port(self):
        return self.spec["startupProbe"]["httpGet"]["port"]

    def answers(self, probe):
        get = self.spec[probe]["httpGet"]
        assert self.process.poll() is None, f"the agent ended with {self.process.returncode}:\n{self.log()}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{get['port']}{get['path']}", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def wait_until_started(self):
        """Waits for the startup probe, and then reports the pod as running, as the kubelet does."""
        probe = self.spec["startupProbe"]
        try:
            until("the agent has started", lambda: self.answers("startupProbe"), probe["periodSeconds"] * 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        status = {"phase": "Running", "initContainerStatuses": [self.status("stoker-agent", self.spec["image"])]}
        patch = json.dumps({"status": status})
        self.cluster.kubectl("patch", "pod", *self.place, "--subresource=status", "--type=merge", "-p", patch)

    def status(self, name, image):
        running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        state = {"ready": self.answers("readinessProbe"), "started": True, "restartCount": 0, "state": running}
        return {"name": name, "image": image, "imageID": "", **state}

    def read(self, path):
        """Returns a file of the gateway's data, or None."""
        (data,) = [directory for mount, directory in self.directories.items() if mount.endswith("/data")]
        try:
            with open(f"{data}/{path}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def stop(self):
        """Stops it as the kubelet does. It must exit with 0 in time."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
            assert code == 0 and "panicked" not in self.log(), f"the agent ended with {code}:\n{self.log()}"
        finally:
            self.remove()

    def remove(self):
        self.process.kill()
        self.process.wait()
        self.container.remove()
