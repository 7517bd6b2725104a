"""A repository with a branch and tags, served by git itself."""

import os
import signal
import subprocess

from cluster import free_port, until


class Repository:
    def __init__(self, directory):
        self.path = f"{directory}/plant.git"
        # The machine's own settings of git have no effect.
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        for who in ("AUTHOR", "COMMITTER"):
            settings |= {f"GIT_{who}_NAME": "Test", f"GIT_{who}_EMAIL": "test@example.com"}
        self.environment = {**os.environ, **settings}
        self.run("init", "--quiet", "--template=", "--initial-branch=main", self.path, at=directory)
        self.tag("v1.0.0")
        self.port = free_port()
        command = ["git", "daemon", "--export-all", f"--base-path={directory}", "--reuseaddr", "--listen=127.0.0.1"]
        # git runs its daemon as a child, so the whole group is killed.
        self.server = subprocess.Popen(
            [*command, f"--port={self.port}"], env=self.environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            until("git's daemon answers", self.answers)
        except BaseException:
            self.stop()
            raise

    def answers(self):
        command = ["git", "ls-remote", "--quiet", self.url]
        return subprocess.run(command, env=self.environment, capture_output=True, timeout=60).returncode == 0

    def stop(self):
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def run(self, *arguments, at=None):
        ended = subprocess.run(
            ["git", *arguments], cwd=at or self.path, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, f"git {' '.join(arguments)}: {ended.stderr}"
        return ended.stdout.strip()

    def has(self, name):
        """Whether there is a tag of this name."""
        return name in self.run("tag", "--list").split()

    def tag(self, name):
        """Creates a tag on a new commit, and returns the commit."""
        self.run("commit", "--quiet", "--allow-empty", "--message", name)
        self.run("tag", name)
        return self.commit(name)

    def commit(self, ref):
        return self.run("rev-parse", ref)

    @property
    def url(self):
        return f"git://127.0.0.1:{self.port}/plant.git"
