#!/usr/bin/env python3
"""Installs the chart in a real API server, replaces the kubelet, and runs the commands of the documents.

    live.py STORY --kubectl FILE --helm FILE --stoker FILE --agent FILE [--image ARCHIVE] [--agent-image ARCHIVE]

The container runs the image, or else the program `--stoker`, which is also the one that users run by hand. The container
of the agent runs the other image, or else the program `--agent`. KUBECONFIG
names an API server without any object of Stoker. Its audit log is beside that file.
"""

import argparse
import os
import signal
import sys
import tempfile

from agents import Agents
from cluster import Cluster
from container import ArchivedImage, ProgramImage
from definition import Definition
from guide import Guide
from injection import Injection
from migrating import Migrating
from parts import Parts
from private import Private
from quick_start import QuickStart
from readme import Readme
from senders import Senders
from story import ROOT
from values import Values

STORIES = (Values, Definition, Readme, QuickStart, Guide, Senders, Private, Injection, Agents, Migrating, Parts)
STORIES = {story.NAME: story for story in STORIES}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("story", choices=STORIES)
    for program in ("kubectl", "helm", "stoker", "agent"):
        parser.add_argument(f"--{program}", required=True, type=os.path.abspath)
    parser.add_argument("--image", type=os.path.abspath)
    parser.add_argument("--agent-image", type=os.path.abspath)
    arguments = parser.parse_args()
    os.chdir(ROOT)
    # The pod's user reads the files that are created here.
    os.umask(0o022)
    # Cleans up when the test is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A proxy cannot connect to servers that listen on this machine only.
    for variable in ("NO_PROXY", "no_proxy"):
        others = os.environ.get(variable)
        os.environ[variable] = ",".join(filter(None, [others, "127.0.0.1", "localhost"]))
    image = ArchivedImage(arguments.image) if arguments.image else ProgramImage(arguments.stoker)
    if arguments.agent_image:
        agent = ArchivedImage(arguments.agent_image)
    else:
        agent = ProgramImage(arguments.agent, "agent")
    with tempfile.TemporaryDirectory(prefix="chart-") as scratch:
        # Files of containers are removed with the others.
        tempfile.tempdir = scratch
        os.chmod(scratch, 0o755)
        tools = os.path.join(scratch, "tools")
        os.mkdir(tools)
        for name in ("kubectl", "helm", "stoker"):
            os.symlink(getattr(arguments, name), os.path.join(tools, name))
        story = STORIES[arguments.story](Cluster(tools, os.environ["KUBECONFIG"]), image, scratch)
        story.agent_image = agent
        try:
            story.play()
            story.check_every_block_was_run()
        finally:
            story.end()


if __name__ == "__main__":
    main()
