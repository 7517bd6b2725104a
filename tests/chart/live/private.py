"""Private repositories, as their page describes them: by https with a token, and by ssh with a key."""

import os
import re
from pathlib import Path

from cluster import until
from private_git import SSHD, HttpsServer, SshServer
from story import CHART, NAMESPACE, RELEASE, ROOT, SECRET, Story

PAGE = "docs/private-repositories.md"
TOKEN = "ghp_a-token-of-the-test"
PLACE = ("gatewaysync", "plant", "-n", "edge")


class Private(Story):
    NAME = "private"

    def play(self):
        self.servers = []
        try:
            self.install()
            self.follow_by_token()
            self.follow_by_ssh()
            self.check_that_nothing_shows_the_token()
        finally:
            for server in self.servers:
                server.stop()

    def install(self):
        self.https = HttpsServer(self.scratch, self.git.environment, TOKEN)
        self.servers.append(self.https)
        for namespace in (NAMESPACE, "edge"):
            self.cluster.kubectl("create", "namespace", namespace)
        self.prepare_namespace()
        at = ["-n", NAMESPACE]
        self.cluster.kubectl("create", "configmap", "plant-ca", *at, f"--from-file=ca.crt={self.https.authority}")
        self.cluster.kubectl("create", "secret", "generic", "webhook-hmac", *at, f"--from-literal=webhook-secret={SECRET}")
        self.cluster.kubectl(
            "create", "secret", "generic", "gateway-api-key", "-n", "edge", "--from-literal=apiKey=name:value"
        )
        values = "tests/chart/values/own-authority.yaml"
        self.cluster.helm("install", RELEASE, CHART, *at, "--values", values)
        self.start_pod()

    def follow_by_token(self):
        self.apply_object(self.https.url)
        self.until_said("Ready", 'token secret "git-token" not found')
        self.report("an object whose Secret is missing says so")
        wrong = "kubectl create secret generic git-token -n edge --from-literal=token=wrong"
        self.cluster.shell(wrong)
        self.fail_to_sync()
        self.until_said("RefResolved", "the token is wrong or expired")
        self.report("a wrong token is reported")
        self.cluster.kubectl("delete", "secret", "git-token", "-n", "edge")
        self.follow(PAGE, "kubectl create secret generic git-token", {"ghp_…": TOKEN})
        self.sync_to(self.git.commit("main"))
        self.report("a private repository is followed by https with a token")
        self.sync_to(self.git.tag("v1.1.0"), "--ref", "v1.1.0")
        self.report("stoker sync moves it to a tag")

    def follow_by_ssh(self):
        if not SSHD:
            assert "CI" not in os.environ, "install openssh-server"
            print("skipped: a repository by ssh, because openssh-server is not installed")
            self.shown |= {(PAGE, "ssh-keygen"), (PAGE, "kubectl annotate")}
            return
        script = self.shown_in(PAGE, "ssh-keygen", {"ssh-keyscan github.com": "ssh-keyscan -p $PORT 127.0.0.1"})
        generate, rest = script.split("\n", 1)
        self.cluster.shell(generate, at=self.scratch)
        ssh = SshServer(self.scratch, self.git.path, f"{self.scratch}/deploy-key.pub")
        self.servers.append(ssh)
        self.cluster.shell(f"PORT={ssh.port}\n{rest}", at=self.scratch)
        commit = self.git.tag("v1.2.0")
        self.apply_object(ssh.url, ssh=True)
        self.sync_to(commit, "--ref", "v1.2.0")
        conditions = {condition["type"]: condition for condition in self.status()["conditions"]}
        assert conditions["SSHHostKeyVerification"]["status"] == "True", conditions
        self.report("a private repository is followed by ssh with a key and known hosts")
        self.pin_the_host_key(ssh)

    def pin_the_host_key(self, ssh):
        commit = self.git.tag("v1.3.0")
        self.apply_object(ssh.url, ssh=True, known_hosts=False)
        self.sync_to(commit, "--ref", "v1.3.0")
        server = f"127.0.0.1:{ssh.port}"
        seen = {"server": server, "key": f"ssh-ed25519 {ssh.fingerprint}"}
        assert self.status()["sshHostKey"] == seen, self.status()
        ssh.stop()
        other = SshServer(self.scratch, self.git.path, f"{self.scratch}/deploy-key.pub", ssh.port)
        self.servers.append(other)
        self.fail_to_sync()
        self.until_said("RefResolved", f"the host key of {server} changed")
        assert self.status()["sshHostKey"] == seen, self.status()
        self.report("without known hosts, a host key that changes is refused")
        command = self.shown_in(PAGE, "kubectl annotate", {"SHA256:…": other.fingerprint})
        self.cluster.shell(command)
        self.sync_to(commit)
        assert other.fingerprint in self.status()["sshHostKey"]["key"], self.status()
        self.report("another host key is accepted by annotation")

    def apply_object(self, url, ssh=False, known_hosts=True):
        """Applies the object of the page, with the repository of the test."""
        examples = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / PAGE).read_text(), re.M | re.S)
        manifest, ssh_key = examples[0], examples[1]
        assert "sshKey" in ssh_key and "https://github.com/acme/plant.git" in manifest
        manifest = manifest.replace("https://github.com/acme/plant.git", url)
        if not known_hosts:
            ssh_key, _ = ssh_key.split("        knownHosts:")
        if ssh:
            manifest = re.sub(r"^    auth:\n(?:      .*\n)+", ssh_key, manifest, flags=re.M)
        path = Path(self.scratch, "plant.yaml")
        path.write_text(manifest)
        self.cluster.kubectl("apply", "-f", str(path))

    def sync_to(self, commit, *flags):
        self.cluster.run("stoker", "sync", "edge/plant", "--timeout", "60s", *flags)
        published = self.cluster.get("configmap", "stoker-metadata-plant", "-n", "edge")["data"]
        assert (self.status()["lastSyncCommit"], published["commit"]) == (commit, commit), published

    def fail_to_sync(self):
        """Asks for a sync that fails, and returns what the command says."""
        return self.cluster.failing("stoker", "sync", "edge/plant", "--timeout", "60s")

    def status(self):
        return self.cluster.get(*PLACE).get("status", {})

    def until_said(self, kind, text):
        """Waits for a condition with this text in its message."""
        def is_said():
            conditions = self.status().get("conditions", [])
            return any(condition["type"] == kind and text in condition["message"] for condition in conditions)

        try:
            until(f"{kind} says {text}", is_said)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status()}\n{self.pod.log()}") from None

    def check_that_nothing_shows_the_token(self):
        shown = [self.pod.log()]
        for kind in ("gatewaysync", "configmap", "events"):
            shown.append(self.cluster.kubectl("get", kind, "-n", "edge", "-o", "yaml"))
        assert not any(TOKEN in text for text in shown)
        self.report("neither the log nor an object shows the token")
