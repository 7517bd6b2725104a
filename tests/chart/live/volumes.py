"""Writes the volumes of a pod as the kubelet does."""

import base64
import os
import shutil
import tempfile


class Volumes:
    def __init__(self, cluster, namespace, spec, fields):
        self.cluster, self.namespace, self.fields = cluster, namespace, fields
        self.account = spec.get("serviceAccountName")
        self.volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}

    def lay_out(self, root, mounts):
        """Writes the volumes below the root, as the objects are now. A changed volume is replaced at once."""
        for mount in mounts:
            path = mount["mountPath"]
            assert not mount.get("subPath"), f"{path}: a mount with subPath is never updated"
            assert path.startswith(("/etc/", "/var/run/")), f"{path}: this test mounts below /etc and /var/run only"
            lay_out(root + path, self._files(self.volumes[mount["name"]]))

    def value_of(self, reference):
        """The value of an environment variable that refers to a Secret."""
        item = {"key": reference["key"], "path": "value"}
        return self._of_secret({"secretName": reference["name"], "items": [item]})["value"].decode()

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
        arguments = ["create", "token", self.account, "-n", self.namespace]
        arguments += ["--duration", f"{source['expirationSeconds']}s"]
        if "audience" in source:
            arguments += ["--audience", source["audience"]]
        return {source["path"]: self.cluster.kubectl(*arguments).strip().encode()}

    def _of_downwardAPI(self, source):
        return {item["path"]: self.fields[item["fieldRef"]["fieldPath"]].encode() for item in source["items"]}

    def _object(self, kind, source):
        name = source.get("name") or source["secretName"]
        found = self.cluster.find(kind, name, "-n", self.namespace)
        assert found or source.get("optional"), f"{kind} {name} does not exist, so the kubelet would not start the pod"
        return found or {}


def pick(files, source):
    if "items" not in source:
        return files
    wanted = {item["key"]: item["path"] for item in source["items"]}
    missing = wanted.keys() - files.keys()
    assert not missing or source.get("optional"), f"{source}: {missing} does not exist"
    return {path: files[key] for key, path in wanted.items() if key in files}


def lay_out(directory, files):
    """Writes the files as links through `..data`, which is replaced if anything changed."""
    os.makedirs(directory, exist_ok=True)
    data = os.path.join(directory, "..data")
    before = {}
    if os.path.exists(data):
        for name in os.listdir(data):
            with open(os.path.join(data, name), "rb") as file:
                before[name] = file.read()
        if before == files:
            return
    version = tempfile.mkdtemp(prefix="..2026_", dir=directory)
    os.chmod(version, 0o755)
    for name, content in files.items():
        with open(os.path.join(version, name), "wb") as file:
            file.write(content)
    old = os.readlink(data) if os.path.islink(data) else None
    os.symlink(os.path.basename(version), data + "_tmp")
    os.rename(data + "_tmp", data)
    for name in files.keys() - before.keys():
        os.symlink(os.path.join("..data", name), os.path.join(directory, name))
    for name in before.keys() - files.keys():
        os.unlink(os.path.join(directory, name))
    if old:
        shutil.rmtree(os.path.join(directory, old))
