"""Plays the kubelet: runs the container of a Deployment as it is rendered, with its arguments, environment and volumes.

The process sees its volumes at their paths, by a mount namespace of its own, and the rest of the machine read-only. It
runs as the user that the security context names, where the test may become that user.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from cluster import until

# What a process needs of /etc to resolve names, to find its libraries, and to trust public servers.
OF_ETC = ["hosts", "resolv.conf", "nsswitch.conf", "passwd", "group", "ld.so.cache", "ssl"]
ENTER = """
root=$1 user=$2
shift 2
mount --bind "$root/etc" /etc
mount --bind "$root/run" /run
mount -o remount,bind,ro /
if [ "$user" ]; then
    exec setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs --bounding-set=-all "$@"
fi
exec "$@"
"""


class Pod:
    """A pod of a Deployment, with one container."""

    def __init__(self, cluster, namespace, deployment, stoker, api_server):
        self.cluster, self.namespace = cluster, namespace
        found = cluster.get("deployment", deployment, "-n", namespace)
        self.template = found["spec"]["template"]
        self.spec = self.template["spec"]
        (self.container,) = self.spec["containers"]
        self.name = f"{deployment}-{os.urandom(4).hex()}"
        self.root = tempfile.mkdtemp(prefix="pod-")
        self.log_path = os.path.join(self.root, "log")
        os.chmod(self.root, 0o755)
        for folder in ("etc", "run", "bin"):
            os.mkdir(os.path.join(self.root, folder))
        for name in OF_ETC:
            there, here = f"/etc/{name}", f"{self.root}/etc/{name}"
            if os.path.isdir(there):
                # Private keys of the machine are nobody's business.
                shutil.copytree(there, here, symlinks=True, ignore=shutil.ignore_patterns("private"))
            elif os.path.exists(there):
                shutil.copy(there, here)
        shutil.copy(stoker, f"{self.root}/bin/stoker")
        self.sync()
        self.process = self._start(api_server)

    def _start(self, api_server):
        environment = {
            "PATH": f"{self.root}/bin:/usr/bin:/bin",
            "KUBERNETES_SERVICE_HOST": api_server[0],
            "KUBERNETES_SERVICE_PORT": api_server[1],
        }
        fields = {"metadata.name": self.name, "metadata.namespace": self.namespace}
        for variable in self.container.get("env", []):
            value = variable.get("value")
            if value is None:
                value = fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
            environment[variable["name"]] = value
        is_root = os.geteuid() == 0
        user = str(self.spec["securityContext"]["runAsUser"]) if is_root else ""
        unshare = ["unshare", "--mount"] if is_root else ["unshare", "--map-root-user", "--mount"]
        # The image's entrypoint is the program.
        command = [*unshare, "sh", "-euc", ENTER, "sh", self.root, user, "stoker", *self.container["args"]]
        with open(self.log_path, "wb") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def sync(self):
        """Lays out the volumes as the objects are now, as the kubelet does every minute or so."""
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            path = mount["mountPath"]
            assert not mount.get("subPath"), f"{path}: what is mounted by subPath never changes"
            path = path.replace("/var/run/", "/run/", 1)
            assert path.startswith(("/etc/", "/run/")), f"{path}: this kubelet mounts below /etc and /var/run only"
            lay_out(self.root + path, self._files(volumes[mount["name"]]))

    def _files(self, volume):
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        files = {}
        for source in sources:
            (kind,) = source.keys() - {"name"}
            files |= getattr(self, f"_of_{kind}")(source[kind])
        return files

    def _of_configMap(self, source):
        found = self._object("configmap", source)
        text = {key: value.encode() for key, value in found.get("data", {}).items()}
        binary = {key: base64.b64decode(value) for key, value in found.get("binaryData", {}).items()}
        return pick(text | binary, source)

    def _of_secret(self, source):
        found = self._object("secret", source)
        return pick({key: base64.b64decode(value) for key, value in found.get("data", {}).items()}, source)

    def _of_serviceAccountToken(self, source):
        arguments = ["create", "token", self.spec["serviceAccountName"], "-n", self.namespace]
        arguments += ["--duration", f"{source['expirationSeconds']}s"]
        if "audience" in source:
            arguments += ["--audience", source["audience"]]
        return {source["path"]: self.cluster.kubectl(*arguments).strip().encode()}

    def _of_downwardAPI(self, source):
        fields = {"metadata.namespace": self.namespace, "metadata.name": self.name}
        return {item["path"]: fields[item["fieldRef"]["fieldPath"]].encode() for item in source["items"]}

    def _object(self, kind, source):
        name = source.get("name") or source["secretName"]
        found = self.cluster.find(kind, name, "-n", self.namespace)
        assert found or source.get("optional"), f"{kind} {name} is not there, so the kubelet would not start the pod"
        return found or {}

    def port(self, name):
        (port,) = [port["containerPort"] for port in self.container["ports"] if port["name"] == name]
        return port

    def wait_until_ready(self):
        probe = self.container["readinessProbe"]["httpGet"]
        url = f"http://127.0.0.1:{self.port(probe['port'])}{probe['path']}"

        def is_ready():
            assert self.process.poll() is None, f"the container ended with {self.process.returncode}:\n{self.log()}"
            try:
                return urllib.request.urlopen(url, timeout=5).status == 200
            except (urllib.error.URLError, ConnectionError):
                return False

        try:
            until("the pod is ready", is_ready, 120)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def plugins(self):
        """How the plugins stand, by where they come from."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port('probes')}/plugins", timeout=5) as answer:
            return {plugin["from"]: plugin for plugin in json.load(answer)}

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
        shutil.rmtree(self.root, ignore_errors=True)


def pick(files, source):
    if "items" not in source:
        return files
    wanted = {item["key"]: item["path"] for item in source["items"]}
    missing = wanted.keys() - files.keys()
    assert not missing or source.get("optional"), f"{source}: there is no {missing}"
    return {path: files[key] for key, path in wanted.items() if key in files}


def lay_out(folder, files):
    """Files as links through `..data`, which is swapped as a whole where anything changed."""
    os.makedirs(folder, exist_ok=True)
    data = os.path.join(folder, "..data")
    before = {}
    if os.path.exists(data):
        for name in os.listdir(data):
            with open(os.path.join(data, name), "rb") as file:
                before[name] = file.read()
        if before == files:
            return
    version = tempfile.mkdtemp(prefix="..2026_", dir=folder)
    os.chmod(version, 0o755)
    for name, content in files.items():
        with open(os.path.join(version, name), "wb") as file:
            file.write(content)
    old = os.readlink(data) if before or os.path.islink(data) else None
    os.symlink(os.path.basename(version), data + "_tmp")
    os.rename(data + "_tmp", data)
    for name in files.keys() - before.keys():
        os.symlink(os.path.join("..data", name), os.path.join(folder, name))
    for name in before.keys() - files.keys():
        os.unlink(os.path.join(folder, name))
    if old:
        shutil.rmtree(os.path.join(folder, old))
