#!/usr/bin/env python3
"""Installs the chart in a real API server, plays the kubelet, and does what the documents tell people to do.

    live.py STORY --kubectl FILE --helm FILE --stoker FILE [--image ARCHIVE]

The container runs the image, or else the program `--stoker`, which is also the one that people use by hand. KUBECONFIG
names the API server, where nothing of Stoker is yet; its audit log lies beside that file.
"""

import argparse
import os
import signal
import sys
import tempfile

from cluster import Cluster
from container import ArchivedImage, ProgramImage
from guide import Guide
from migrating import Migrating
from quick_start import QuickStart
from readme import Readme
from story import ROOT
from values import Values

STORIES = {story.NAME: story for story in (Values, Readme, QuickStart, Guide, Migrating)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("story", choices=STORIES)
    for program in ("kubectl", "helm", "stoker"):
        parser.add_argument(f"--{program}", required=True, type=os.path.abspath)
    parser.add_argument("--image", type=os.path.abspath)
    arguments = parser.parse_args()
    os.chdir(ROOT)
    # What is made for the pod is read by its user.
    os.umask(0o022)
    # So that nothing stays behind when the test is cut off.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A proxy could not reach what listens on this machine alone.
    for variable in ("NO_PROXY", "no_proxy"):
        others = os.environ.get(variable)
        os.environ[variable] = ",".join(filter(None, [others, "127.0.0.1", "localhost"]))
    image = ArchivedImage(arguments.image) if arguments.image else ProgramImage(arguments.stoker)
    with tempfile.TemporaryDirectory(prefix="chart-") as scratch:
        # What a container leaves behind goes with the rest.
        tempfile.tempdir = scratch
        os.chmod(scratch, 0o755)
        tools = os.path.join(scratch, "tools")
        os.mkdir(tools)
        for name in ("kubectl", "helm", "stoker"):
            os.symlink(getattr(arguments, name), os.path.join(tools, name))
        story = STORIES[arguments.story](Cluster(tools, os.environ["KUBECONFIG"]), image, scratch)
        try:
            story.tell()
            story.all_was_followed()
        finally:
            story.end()


if __name__ == "__main__":
    main()
