"""A repository with a branch and tags, served by git itself."""

import os
import signal
import subprocess

from cluster import free_port


class Repository:
    def __init__(self, folder):
        self.path = f"{folder}/plant.git"
        self.run("init", "--quiet", "--initial-branch=main", self.path, at=folder)
        # Whatever the machine's git is set to.
        self.author = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        self.tag("v1.0.0")
        command = ["git", "daemon", "--export-all", f"--base-path={folder}", "--reuseaddr", "--listen=127.0.0.1"]
        self.port = free_port()
        # git runs its daemon as a child, so a group is what ends.
        self.server = subprocess.Popen(
            [*command, f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def stop(self):
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def run(self, *arguments, at=None):
        return subprocess.run(
            ["git", *arguments], cwd=at or self.path, check=True, capture_output=True, text=True
        ).stdout.strip()

    def tag(self, name):
        """A tag on a commit of its own, whose id it gives."""
        self.run(*self.author, "commit", "--quiet", "--allow-empty", "--message", name)
        self.run("tag", name)
        return self.commit(name)

    def commit(self, ref):
        return self.run("rev-parse", ref)

    @property
    def url(self):
        return f"git://127.0.0.1:{self.port}/plant.git"
