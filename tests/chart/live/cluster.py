"""The API server, by the programs of its users: kubectl and helm."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time


# A program that takes longer hangs.
SECONDS = 300
SHELL = ["bash", "-euo", "pipefail", "-c"]


class Cluster:
    def __init__(self, tools, kubeconfig):
        """`tools` is a directory of programs, which comes first on the PATH."""
        self.kubeconfig = kubeconfig
        path = os.pathsep.join([tools, os.environ["PATH"]])
        self.environment = {**os.environ, "KUBECONFIG": kubeconfig, "PATH": path}

    def run(self, *command, stdin=None, at=None):
        """Runs a program and returns its output. If it fails, the test fails with its output."""
        ended = subprocess.run(
            command, cwd=at, input=stdin, env=self.environment, capture_output=True, text=True, timeout=SECONDS
        )
        if ended.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def failing(self, *command):
        """Runs a program that must fail, and returns its output."""
        try:
            output = self.run(*command)
        except AssertionError as failure:
            return str(failure)
        raise AssertionError(f"{' '.join(command)} did not fail:\n{output}")

    @contextlib.contextmanager
    def running(self, *command):
        """Runs a program beside the test, and yields it with the file of its output. It is killed at the end."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                yield process, output
            finally:
                # With the children of a shell.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def kubectl(self, *arguments, stdin=None):
        return self.run("kubectl", *arguments, stdin=stdin)

    def helm(self, *arguments):
        return self.run("helm", *arguments)

    def shell(self, script, at=None):
        """Runs lines in a shell."""
        return self.run(*SHELL, script, at=at)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def find(self, *arguments):
        """The object, or None if it does not exist."""
        output = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(output) if output.strip() else None

    def of_release(self, release):
        """The names of all objects with a release's label, of any kind and namespace."""
        found = []
        for kind in self.kubectl("api-resources", "--verbs=list", "-o", "name").split():
            selected = ["-A", "-l", f"app.kubernetes.io/instance={release}", "-o", "name", "--ignore-not-found"]
            found += self.kubectl("get", kind, *selected).split()
        return found

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def until(what, is_so, seconds=30):
    """Polls until a condition of another process is true."""
    ends = time.monotonic() + seconds
    while True:
        output = is_so()
        if output:
            return output
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
