"""Stand-ins for the Go operator 0.7.0, whose programs the tests do not have: its controller, its injector and its agent.
They read and write objects, pods and files in its form."""

import copy
import datetime
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from pod import process_of, user_of
from volumes import Volumes

NAME, NAMESPACE = "my-sync", "my-namespace"
AT = ("-n", NAMESPACE)
PUBLISHED, REPORTS = f"stoker-metadata-{NAME}", f"stoker-status-{NAME}"
IMAGE = "ghcr.io/knorrlabs/stoker-agent:0.7.0"
# The pod that its injector makes, and what stories have in place of what is in it.
GOLDEN = "host/src/injection/golden/none.yaml"
DATA, USER = "/ignition/data", 65534
IN_PLACE_OF = {
    "cr-name: cr,": f"cr-name: {NAME},",
    "CR_NAME, value: cr}": f"CR_NAME, value: {NAME}}}",
    "secretName: gw-key": "secretName: gateway-api",
    # The image of a program shares /usr with this machine.
    "/usr/local/bin/ignition/data": DATA,
}
# What its CRD adds to the defaults of profiles.
DEFAULTS = {
    "excludePatterns": ["**/.git/", "**/.gitkeep", "**/.resources/**"],
    "syncPeriod": 30,
    "designerSessionPolicy": "proceed",
}
# The fields of a report that its controller reads, and their types.
REPORTED = {
    "syncStatus": str,
    "syncedCommit": str,
    "syncedRef": str,
    "lastSyncTime": str,
    "lastSyncDuration": str,
    "agentVersion": str,
    "lastScanResult": str,
    "filesChanged": int,
    "projectsSynced": list,
}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class GoController:
    """Its controller, one pass at a time."""

    def __init__(self, cluster, git):
        self.cluster, self.git = cluster, git

    def adopt(self):
        """Adds the finalizer as it does: by a write of the whole object, which also stores empty parts."""
        sync = self.cluster.get("gatewaysync", NAME, *AT)
        sync["metadata"]["finalizers"] = ["stoker.io/finalizer"]
        for part in ("polling", "agent"):
            sync["spec"].setdefault(part, {})
        sync["spec"]["agent"].setdefault("image", {})
        sync["spec"]["sync"].setdefault("defaults", {})
        self.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(sync))

    def reconcile(self):
        """Publishes the commit of the requested ref, binds the agents, and writes the status. Returns the commit."""
        sync = self.cluster.get("gatewaysync", NAME, *AT)
        assert "stoker.io/finalizer" in sync["metadata"]["finalizers"], sync["metadata"]
        requested = sync["metadata"].get("annotations", {}).get("stoker.io/requested-ref")
        ref = requested or sync["spec"]["git"]["ref"]
        commit = self.git.commit(ref)
        owner = {"apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "name": NAME}
        owner |= {"uid": sync["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
        self.publish(sync["spec"], ref, commit, owner)
        self.bind(owner)
        self.write_status(sync, ref, commit)
        return commit

    def publish(self, spec, ref, commit, owner):
        data = {
            "authType": "none",
            "commit": commit,
            "gatewayPort": str(spec["gateway"]["port"]),
            "gatewayTLS": json.dumps(spec["gateway"]["tls"]),
            "gitURL": spec["git"]["repo"],
            "paused": "false",
            "profiles": profiles_of(spec),
            "ref": ref,
        }
        found = self.cluster.find("configmap", PUBLISHED, *AT)
        if not found:
            labels = {"app.kubernetes.io/managed-by": "stoker-controller", "stoker.io/cr-name": NAME}
            metadata = {"name": PUBLISHED, "namespace": NAMESPACE, "labels": labels, "ownerReferences": [owner]}
            self.write("create", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        elif found["data"] != data:
            self.write("replace", found | {"data": data})

    def bind(self, owner):
        name = f"stoker-agent-{NAME}"
        if self.cluster.find("rolebinding", name, *AT):
            return
        labels = {"app.kubernetes.io/managed-by": "stoker-operator", "stoker.io/gatewaysync": NAME}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels, "ownerReferences": [owner]}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "stoker-agent"}
        subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}]
        kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
        self.write("create", {**kind, "metadata": metadata, "roleRef": role, "subjects": subjects})

    def write(self, verb, found):
        self.cluster.kubectl(verb, "-f", "-", stdin=json.dumps(found))

    def gateways(self):
        """The running pods of the object, with the reports of their agents."""
        reports = (self.cluster.find("configmap", REPORTS, *AT) or {}).get("data", {})
        found = []
        for pod in self.cluster.get("pods", *AT)["items"]:
            metadata, spec = pod["metadata"], pod["spec"]
            annotations = metadata.get("annotations", {})
            if annotations.get("stoker.io/cr-name") != NAME or pod["status"]["phase"] != "Running":
                continue
            has_agent = any(one["name"] == "stoker-agent" for one in spec.get("initContainers", []))
            entry = {"name": metadata["name"], "namespace": NAMESPACE, "podName": metadata["name"]}
            entry |= {"serviceAccountName": "default", "syncStatus": "Pending" if has_agent else "MissingSidecar"}
            report = json.loads(reports.get(metadata["name"], "{}"))
            for field, kind in REPORTED.items():
                if report.get(field):
                    assert isinstance(report[field], kind), report
                    entry[field] = report[field]
            found.append(entry)
        return found

    def write_status(self, sync, ref, commit):
        gateways = self.gateways()
        synced = [one for one in gateways if one["syncStatus"] == "Synced"]
        is_synced = bool(gateways) and len(synced) == len(gateways)
        generation = sync["metadata"]["generation"]

        def condition(kind, is_so, reason, message):
            state = {"status": "True" if is_so else "False", "reason": reason, "message": message}
            return {"type": kind, "lastTransitionTime": now(), "observedGeneration": generation, **state}

        reason = "SyncSucceeded" if is_synced else "SyncInProgress"
        message = "All gateways synced" if is_synced else "Waiting for gateways to sync"
        conditions = [
            condition("ProfilesValid", True, "ProfilesValid", "All profiles valid"),
            condition("RefResolved", True, "RefResolved", commit),
            condition("AllGatewaysSynced", is_synced, reason, f"{len(synced)}/{len(gateways)} synced"),
            condition("SidecarInjected", True, "SidecarPresent", "All gateways have stoker-agent sidecar"),
            condition("Ready", is_synced, "SyncSucceeded" if is_synced else "Reconciling", message),
        ]
        status = {"observedGeneration": generation, "profileCount": 1, "refResolutionStatus": "Resolved"}
        status |= {"lastSyncTime": now(), "lastSyncRef": ref}
        status |= {"lastSyncCommit": commit, "lastSyncCommitShort": commit[:7]}
        status |= {"discoveredGateways": gateways, "conditions": conditions}
        # The API server refuses the status as a whole if a report has an unknown state.
        patch = ["patch", "gatewaysync", NAME, *AT, "--subresource=status", "--type=merge", "-p"]
        self.cluster.kubectl(*patch, json.dumps({"status": status}))


def profiles_of(spec):
    """The profiles as it publishes them, byte for byte."""
    defaults = {**DEFAULTS, **spec["sync"].get("defaults", {})}
    profiles = {}
    for name, profile in sorted(spec["sync"]["profiles"].items()):
        profiles[name] = {
            "mappings": [{"source": one["source"], "destination": one["destination"]} for one in profile["mappings"]],
            "excludePatterns": defaults["excludePatterns"],
            "syncPeriod": defaults["syncPeriod"],
            "dryRun": False,
            "designerSessionPolicy": defaults["designerSessionPolicy"],
            "paused": False,
        }
    return json.dumps(profiles, separators=(",", ":"))


def pod_of_a_gateway(cluster, name):
    """The pod of a gateway, as its owner writes it."""
    pod = json.loads(cluster.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=golden_pod()))
    annotations = {"stoker.io/inject": "true", "stoker.io/cr-name": NAME}
    pod["metadata"] |= {"name": name, "namespace": NAMESPACE, "annotations": annotations, "labels": {"app": "gateway"}}
    spec = pod["spec"]
    del spec["initContainers"]
    spec["securityContext"] = {"runAsUser": USER}
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] == "data"]
    return pod


def injected(cluster, pod, image=IMAGE):
    """The same pod as its injector changes it."""
    example = json.loads(cluster.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=golden_pod()))
    pod = copy.deepcopy(pod)
    pod["metadata"]["annotations"]["stoker.io/injected"] = "true"
    pod["metadata"]["labels"]["stoker.io/agent"] = "true"
    agent = example["spec"]["initContainers"][0]
    agent["image"] = image
    pod["spec"]["initContainers"] = [agent]
    pod["spec"]["volumes"] = example["spec"]["volumes"]
    return pod


def golden_pod():
    text = (Path(__file__).resolve().parents[3] / GOLDEN).read_text()
    for there, here in IN_PLACE_OF.items():
        assert there in text, there
        text = text.replace(there, here)
    return "apiVersion: v1\nkind: Pod\n" + text.replace("metadata:\n", "metadata:\n  name: golden\n", 1)


class GoAgent:
    """Its agent in a pod, one look at what is published at a time."""

    def __init__(self, cluster, git, pod, data):
        """`data` is the directory of the gateway on this machine."""
        self.cluster, self.git, self.data = cluster, git, Path(data)
        metadata, spec = pod["metadata"], pod["spec"]
        self.name, self.user = metadata["name"], user_of(spec)
        (container, *_) = spec["initContainers"]
        assert container["name"] == "stoker-agent" and container["command"] == ["/agent"], container
        assert container["image"] == IMAGE, container["image"]
        fields = {"metadata.name": self.name, "metadata.namespace": NAMESPACE}
        volumes = Volumes(cluster, NAMESPACE, spec, fields)
        _, self.environment = process_of(container, volumes, fields)
        root = tempfile.mkdtemp(prefix="go-agent-")
        volumes.lay_out(root, [mount for mount in container["volumeMounts"] if mount.get("readOnly")])
        self.key = Path(root + self.environment["API_KEY_FILE"]).read_text().strip()
        self.repository = Path(root, "repo")
        self.done, self.syncs = None, 0
        for required in ("CR_NAME", "POD_NAMESPACE", "DATA_PATH", "REPO_PATH", "GATEWAY_PORT", "SYNC_PERIOD"):
            assert self.environment[required], required

    def look(self):
        """Syncs if something else is published. Returns the commit that is on the gateway."""
        name = f"stoker-metadata-{self.environment['CR_NAME']}"
        published = json.loads(self.kubectl("get", "configmap", name, "-o", "json"))["data"]
        if published["paused"] == "true" or not published.get("commit"):
            return None
        if self.done and (published["commit"], published["profiles"]) == self.done:
            return self.done[0]
        commit = self.fetch(published["gitURL"], published["ref"])
        changed = self.copy(json.loads(published["profiles"])[self.environment["PROFILE"] or "default"])
        for scanned in ("projects", "config"):
            self.scan(scanned)
        self.report(commit, published["ref"], changed)
        self.done = (commit, published["profiles"])
        self.syncs += 1
        return commit

    def kubectl(self, *arguments, stdin=None):
        """Calls the API server with the rights of the pod's account."""
        account = f"system:serviceaccount:{NAMESPACE}:default"
        return self.cluster.kubectl(*arguments, *AT, "--as", account, stdin=stdin)

    def fetch(self, url, ref):
        """Clones by a short name, and fetches the same name later."""
        if not self.repository.exists():
            self.git.run("clone", "--quiet", "--depth=1", "--branch", ref, url, str(self.repository))
        else:
            self.git.run("fetch", "--quiet", "--depth=1", url, ref, at=self.repository)
            self.git.run("checkout", "--quiet", "--force", "FETCH_HEAD", at=self.repository)
        return self.git.run("rev-parse", "HEAD", at=self.repository)

    def copy(self, profile):
        assert profile["syncPeriod"] == 30 and not profile["paused"] and not profile["dryRun"], profile
        for mapping in profile["mappings"]:
            source, destination = self.repository / mapping["source"], self.data / mapping["destination"]
            shutil.rmtree(destination, ignore_errors=True)
            shutil.copytree(source, destination)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{self.user}:{self.user}", self.data], check=True, timeout=60)
        return sum(len(files) for _, _, files in os.walk(self.data))

    def scan(self, what):
        url = f"http://127.0.0.1:{self.environment['GATEWAY_PORT']}/data/api/v1/scan/{what}"
        request = urllib.request.Request(url, b"", {"X-Ignition-API-Token": self.key})
        urllib.request.urlopen(request, timeout=10).close()

    def report(self, commit, ref, changed):
        """Replaces its own key of the ConfigMap, and keeps the others."""
        entry = {
            "syncStatus": "Synced",
            "syncedCommit": commit,
            "syncedRef": ref,
            "lastSyncTime": now(),
            "lastSyncDuration": "3ms",
            "agentVersion": "0.7.0",
            "lastScanResult": "projects=200 config=200",
            "filesChanged": changed,
            "projectsSynced": sorted(directory.name for directory in (self.data / "projects").iterdir()),
            "profileName": self.environment["PROFILE"] or "default",
        }
        found = self.kubectl("get", "configmap", REPORTS, "-o", "json", "--ignore-not-found")
        key = self.environment["GATEWAY_NAME"] or self.name
        data = {key: json.dumps(entry, separators=(",", ":"))}
        if found.strip():
            found = json.loads(found)
            found["data"] = found.get("data", {}) | data
            self.kubectl("replace", "-f", "-", stdin=json.dumps(found))
            return
        labels = {"app.kubernetes.io/managed-by": "stoker-agent", "stoker.io/cr-name": NAME}
        metadata = {"name": REPORTS, "namespace": NAMESPACE, "labels": labels}
        created = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self.kubectl("create", "-f", "-", stdin=json.dumps(created))
