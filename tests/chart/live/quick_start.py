"""The quick start from top to bottom."""

import re
from pathlib import Path

from cluster import until
from story import ROOT, SECRET, Story

PAGE = "docs/quick-start.md"


class QuickStart(Story):
    NAME = "quick-start"

    def play(self):
        self.follow(PAGE, "kubectl create namespace stoker-system")
        self.prepare_namespace()
        self.start_pod()
        self.report("the chart installs")

        Path(self.scratch, "my-sync.yaml").write_text(self.object_of_the_page())
        listed = self.follow(PAGE, "kubectl create namespace my-namespace", at=self.scratch)
        assert "my-sync" in listed, listed
        self.until_resolved(self.git.commit("main"))
        self.report("the object of the page is accepted, and the commit of main is published")

        until("the object is known", lambda: self.accepted({"ref": "main"}))
        self.url()
        output = self.follow(PAGE, "stoker send")
        assert output.startswith("202 Accepted") and "stoker.io/requested-ref: v1.0.0" in output, output
        self.until_resolved(self.git.commit("v1.0.0"))
        self.report("stoker send moves the object to the tag")

        self.follow(PAGE, "stoker plugin new", at=self.scratch)
        project = f"{self.scratch}/acme"
        payload, headers, commit = self.commit_of_sample(project)
        until("the labelled plugin answers", lambda: self.accepted(payload, headers))
        self.until_resolved(commit)
        self.report("the plugin of the page answers")

        output = self.test_release()
        assert output.startswith("404") and SECRET not in output, output
        self.report("helm test passes")

    def object_of_the_page(self):
        """The page's manifest, with the repository of the test."""
        (manifest,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / PAGE).read_text(), re.M | re.S)
        there = "https://github.com/example/plant.git"
        assert there in manifest
        return manifest.replace(there, self.git.url)
