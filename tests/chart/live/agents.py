"""From a commit to the files of a gateway: the injected agent runs as the kubelet would run it, by https and by ssh."""

import os
import subprocess
from pathlib import Path

from cluster import until
from gateway import Gateway
from private_git import SSHD, HttpsServer, SshServer
from story import CHART, NAMESPACE, RELEASE, SECRET, Story, gateway_sync

TOKEN, KEY = "ghp_a-token-of-the-test", "name:value"
AT = ("-n", "my-namespace")
# The image of a program shares /usr with this machine, so the data is elsewhere.
DATA = "/ignition/data"
USER = 65534


class Agents(Story):
    NAME = "agents"

    def play(self):
        self.install()
        self.sync_by_https()
        self.sync_by_ssh()

    def install(self):
        self.https = HttpsServer(self.scratch, self.git.environment, TOKEN)
        self.ending.append(self.https.stop)
        for namespace in (NAMESPACE, "my-namespace"):
            self.cluster.kubectl("create", "namespace", namespace)
        self.prepare_namespace()
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": AT[1]}}
        self.cluster.apply(account)
        secret = f"--from-literal=webhook-secret={SECRET}"
        self.cluster.kubectl("create", "secret", "generic", "webhook-hmac", "-n", NAMESPACE, secret)
        self.cluster.helm("install", RELEASE, CHART, "-n", NAMESPACE)
        self.start_pod()
        self.route_the_webhook()
        self.gateway = Gateway(8088, KEY)
        self.ending.append(self.gateway.stop)

    def commit_files(self, name, text):
        """Commits a file of a project under a tag, and returns the commit."""
        file = Path(self.git.path, "projects/boiler/view.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git.run("add", "--all")
        return self.git.tag(name)

    def sync_by_https(self):
        commit = self.commit_files("v1.1.0", '{"version": 1}\n')
        self.cluster.kubectl("create", "secret", "generic", "git-token", *AT, f"--from-literal=token={TOKEN}")
        auth = {"token": {"secretRef": {"name": "git-token", "key": "token"}}}
        self.apply_object(self.https.url, auth, "v1.1.0")
        agent = self.start_gateway("gw-0")
        self.until_synced(agent, commit, '{"version": 1}\n')
        until("the projects are scanned", lambda: "POST /data/api/v1/scan/projects" in self.gateway.calls)
        self.report("an injected agent brings the files by https with a token and a caBundle, and the object is ready")

        commit = self.commit_files("v1.2.0", '{"version": 2}\n')
        self.cluster.run("stoker", "sync", "my-namespace/my-sync", "--ref", "v1.2.0", "--timeout", "60s")
        self.until_synced(agent, commit, '{"version": 2}\n')
        self.report("stoker sync ends when the files are on the gateway")
        assert TOKEN not in agent.log() and "without the key" not in " ".join(self.gateway.calls), self.gateway.calls
        self.end_gateway("gw-0")

    def sync_by_ssh(self):
        if not SSHD:
            assert "CI" not in os.environ, "install openssh-server"
            print("skipped: a repository by ssh, because openssh-server is not installed")
            return
        key = f"{self.scratch}/agent-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
        ssh = SshServer(self.scratch, self.git.path, f"{key}.pub")
        self.ending.append(ssh.stop)
        hosts = f"{self.scratch}/agent-hosts"
        scan = ["ssh-keyscan", "-p", str(ssh.port), "127.0.0.1"]
        Path(hosts).write_text(subprocess.run(scan, check=True, capture_output=True, text=True, timeout=60).stdout)
        files = [f"--from-file=ssh-privatekey={key}", f"--from-file=known_hosts={hosts}"]
        self.cluster.kubectl("create", "secret", "generic", "git-ssh", *AT, *files)
        auth = {
            "sshKey": {
                "secretRef": {"name": "git-ssh", "key": "ssh-privatekey"},
                "knownHosts": {"secretRef": {"name": "git-ssh", "key": "known_hosts"}},
            }
        }
        commit = self.commit_files("v1.3.0", '{"version": 3}\n')
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", *AT)
        self.apply_object(ssh.url, auth, "v1.3.0")
        agent = self.start_gateway("gw-1")
        self.until_synced(agent, commit, '{"version": 3}\n')
        self.report("an injected agent brings the files by ssh with a key and known hosts, and the object is ready")
        self.end_gateway("gw-1")

    def apply_object(self, url, auth, ref):
        secret, sync = gateway_sync("my-namespace", url)
        authority = Path(self.https.authority).read_text()
        sync["spec"]["git"] |= {"ref": ref, "auth": auth, "caBundle": authority}
        self.cluster.apply(secret, sync)

    def start_gateway(self, name):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "my-namespace",
                "annotations": {"stoker.io/inject": "true", "stoker.io/cr-name": "my-sync"},
            },
            "spec": {
                "securityContext": {"runAsUser": USER},
                "containers": [
                    {
                        "name": "gateway",
                        "image": "example.org/ignition",
                        "volumeMounts": [{"name": "data", "mountPath": DATA}],
                    }
                ],
                "volumes": [{"name": "data", "emptyDir": {}}],
            },
        }
        self.agent = self.start_agent(self.create_with_agent(pod))
        return self.agent

    def until_synced(self, agent, commit, text):
        path = "projects/boiler/view.json"
        try:
            until(f"{path} is that of {commit}", lambda: agent.read(path) == text, 60)
            until("the object is ready", lambda: self.is_ready(commit), 60)
        except AssertionError as error:
            status = self.cluster.get("gatewaysync", "my-sync", *AT).get("status")
            raise AssertionError(f"{error}\n{status}\n{agent.log()}") from None

    def is_ready(self, commit):
        status = self.cluster.get("gatewaysync", "my-sync", *AT).get("status", {})
        ready = [one for one in status.get("conditions", []) if one["type"] == "Ready"]
        gateways = [one.get("syncedCommit") for one in status.get("discoveredGateways", [])]
        return bool(ready) and ready[0]["status"] == "True" and gateways == [commit]

    def end_gateway(self, name):
        self.agent.stop()
        self.ending.remove(self.agent.remove)
        self.cluster.kubectl("delete", "pod", name, *AT, "--grace-period=0", "--force")
