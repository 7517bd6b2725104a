"""The quick start from top to bottom."""

import json
import re
from pathlib import Path

from cluster import until
from gateway import Gateway
from story import ROOT, SECRET, Story

PAGE = "docs/quick-start.md"
FILE, RELEASED, LATEST = "projects/boiler/view.json", '{"version": 1}\n', '{"version": 2}\n'
AS_JSON = ("create", "--dry-run=client", "-o", "json")


class QuickStart(Story):
    NAME = "quick-start"

    def play(self):
        self.follow(PAGE, "kubectl create namespace stoker-system")
        self.prepare_namespace()
        self.start_pod()
        self.report("the chart installs")

        self.commit_files()
        Path(self.scratch, "my-sync.yaml").write_text(self.object_of_the_page())
        listed = self.follow(PAGE, "kubectl create namespace my-namespace", at=self.scratch)
        assert "my-sync" in listed, listed
        self.until_resolved(self.git.commit("main"))
        self.report("the object of the page is accepted, and the commit of main is published")

        self.run_the_gateway()

        until("the object is known", lambda: self.accepted({"ref": "main"}))
        self.url()
        output = self.follow(PAGE, "stoker send")
        assert output.startswith("202 Accepted") and "stoker.io/requested-ref: v1.0.0" in output, output
        self.until_resolved(self.git.commit("v1.0.0"))
        until("the gateway has the tag", lambda: self.agent.read(FILE) == RELEASED)
        self.report("stoker send moves the object to the tag, and its file is on the gateway")

        self.follow(PAGE, "stoker plugin new", at=self.scratch)
        project = f"{self.scratch}/acme"
        payload, headers, commit = self.commit_of_sample(project)
        until("the labelled plugin answers", lambda: self.accepted(payload, headers))
        self.until_resolved(commit)
        self.report("the plugin of the page answers")

        output = self.test_release()
        assert output.startswith("404") and SECRET not in output, output
        self.report("helm test passes")

    def commit_files(self):
        """Gives the tag and the branch of the page a file of a project."""
        self.git.run("tag", "--delete", "v1.0.0")
        file = Path(self.git.path, FILE)
        file.parent.mkdir(parents=True)
        for text, name in ((RELEASED, "v1.0.0"), (LATEST, "latest")):
            file.write_text(text)
            self.git.run("add", "--all")
            self.git.tag(name)

    def run_the_gateway(self):
        """Creates the page's pod. The agent runs as the kubelet would run it, beside the gateway of the test."""
        self.route_the_webhook()
        gateway = Gateway(8088, "name:value")
        self.ending.append(gateway.stop)
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        self.cluster.apply({**account, "metadata": {"name": "default", "namespace": "my-namespace"}})
        manifest = self.manifest("kind: Pod")
        Path(self.scratch, "my-gateway.yaml").write_text(manifest)
        created = self.create_with_agent(json.loads(self.cluster.kubectl(*AS_JSON, "-f", "-", stdin=manifest)))
        self.agent = self.start_agent(created)
        # The pod exists, so nothing changes; the second command waits for the agent.
        self.follow(PAGE, "kubectl apply -f my-gateway.yaml", at=self.scratch)
        assert self.agent.read(FILE) == LATEST, self.agent.log()
        self.report("the pod of the page gets the files, and the object is ready")

    def manifest(self, kind):
        """The page's manifest with this line."""
        found = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / PAGE).read_text(), re.M | re.S)
        (manifest,) = [text for text in found if f"\n{kind}\n" in text]
        return manifest

    def object_of_the_page(self):
        """The page's manifest, with the repository of the test."""
        manifest = self.manifest("kind: GatewaySync")
        there = "https://github.com/example/plant.git"
        assert there in manifest
        return manifest.replace(there, self.git.url)
