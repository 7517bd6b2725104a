"""The API server, by the programs that its users have: kubectl and helm."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time


# No program takes so long that does not hang.
SECONDS = 300
SHELL = ["bash", "-euo", "pipefail", "-c"]


class Cluster:
    def __init__(self, tools, kubeconfig):
        """The tools are in a folder, which comes first on the PATH."""
        self.kubeconfig = kubeconfig
        path = os.pathsep.join([tools, os.environ["PATH"]])
        self.environment = {**os.environ, "KUBECONFIG": kubeconfig, "PATH": path}

    def run(self, *command, stdin=None, at=None):
        """Runs a program and gives what it prints. Where it fails, so does the test, with what it said."""
        ended = subprocess.run(
            command, cwd=at, input=stdin, env=self.environment, capture_output=True, text=True, timeout=SECONDS
        )
        if ended.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    @contextlib.contextmanager
    def running(self, *command):
        """Runs a program beside the test, and gives it with the file of what it prints. It does not outlive that."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                yield process, output
            finally:
                # With what a shell started.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def kubectl(self, *arguments, stdin=None):
        return self.run("kubectl", *arguments, stdin=stdin)

    def helm(self, *arguments):
        return self.run("helm", *arguments)

    def shell(self, script, at=None):
        """Runs lines as somebody would paste them into a shell."""
        return self.run(*SHELL, script, at=at)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def find(self, *arguments):
        """The object, or None where it is not there."""
        said = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(said) if said.strip() else None

    def of_release(self, release):
        """The names of all that has a release's label, whatever its kind and namespace."""
        found = []
        for kind in self.kubectl("api-resources", "--verbs=list", "-o", "name").split():
            selected = ["-A", "-l", f"app.kubernetes.io/instance={release}", "-o", "name", "--ignore-not-found"]
            found += self.kubectl("get", kind, *selected).split()
        return found

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def until(what, is_so, seconds=30):
    """Waits until something is true of another process, which tells nobody when it becomes so."""
    ends = time.monotonic() + seconds
    while True:
        said = is_so()
        if said:
            return said
        if time.monotonic() > ends:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def is_taken(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
