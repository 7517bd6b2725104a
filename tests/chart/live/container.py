"""A container: a process with the files of an image, read-only, and a given user.

Networks, processes and devices are the machine's.
"""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

ENTER = """
PATH=$PATH:/usr/sbin:/sbin
root=$1 user=$2 shared=$3 path=$4 writable=$5
shift 5
mount --rbind "$root" "$root"
for directory in $shared; do
    mount --rbind "/$directory" "$root/$directory"
done
mount -o remount,bind,ro "$root"
for volume in $writable; do
    mount --bind "${volume#*=}" "$root${volume%%=*}"
done
setpriv=$(command -v setpriv)
chroot=$(command -v chroot)
set -- "$root" "$@"
if [ "$user" ]; then
    set -- "--userspec=$user:$user" --groups= "$@"
fi
cd /
# The PATH of the image finds the program of the container.
PATH=$path exec "$setpriv" --no-new-privs "$chroot" "$@"
"""


# Python 3.12 and patched older versions restrict what an archive may do.
SAFELY = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}


class ProgramImage:
    """An image of one program, which finds the libraries of this machine."""

    def __init__(self, program, name="stoker"):
        self.program, self.name = program, name
        self.entrypoint = [f"/{name}"]
        self.environment = {"PATH": "/"}

    def unpack(self, root):
        """Writes the files of the image there, and returns the directories that are shared with this machine."""
        shutil.copy(self.program, f"{root}/{self.name}")
        shared = []
        for name in ("bin", "lib", "lib64", "usr"):
            if os.path.islink(f"/{name}"):
                os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
            elif os.path.isdir(f"/{name}"):
                os.mkdir(f"{root}/{name}")
                shared.append(name)
        os.mkdir(f"{root}/etc")
        for name in ("nsswitch.conf", "passwd", "group", "ld.so.cache"):
            if os.path.exists(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", f"{root}/etc/{name}")
        return shared


class ArchivedImage:
    """An image in an archive, in the image layout of the Open Container Initiative."""

    def __init__(self, archive):
        self.archive = archive
        with tarfile.open(archive) as files:
            (manifest,) = json.load(files.extractfile("index.json"))["manifests"]
            manifest = self._blob(files, manifest)
            self.layers = manifest["layers"]
            config = self._blob(files, manifest["config"])["config"]
        self.entrypoint = config["Entrypoint"]
        self.environment = dict(variable.split("=", 1) for variable in config["Env"])

    def _blob(self, files, descriptor):
        return json.load(files.extractfile(f"blobs/{descriptor['digest'].replace(':', '/')}"))

    def unpack(self, root):
        """Writes the files of the image there. No directory is shared with this machine."""
        with tarfile.open(self.archive) as files:
            for layer in self.layers:
                blob = files.extractfile(f"blobs/{layer['digest'].replace(':', '/')}").read()
                with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as layer_files:
                    layer_files.extractall(root, **SAFELY)
        return []


class Container:
    def __init__(self, image, user, hosts, writable=None):
        """`writable` has the directories of this machine that the container may write, by their path in the container."""
        self.image = image
        self.writable = writable or {}
        # Only root can become another user.
        self.user = str(user) if os.geteuid() == 0 else ""
        self.root = tempfile.mkdtemp(prefix="container-")
        os.chmod(self.root, 0o755)
        self.shared = [*image.unpack(self.root), "dev", "proc"]
        for path in self.writable:
            os.makedirs(self.root + path, exist_ok=True)
        for directory in ("dev", "proc", "etc"):
            os.makedirs(f"{self.root}/{directory}", exist_ok=True)
        shutil.copy("/etc/resolv.conf", f"{self.root}/etc/resolv.conf")
        with open(f"{self.root}/etc/hosts", "w", encoding="utf-8") as file:
            file.writelines(f"127.0.0.1 {name}\n" for name in ["localhost", *hosts])

    def start(self, command, environment, output):
        """Starts a command of the image."""
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
        path = self.image.environment["PATH"]
        enter = ["sh", "-euc", ENTER, "sh", self.root, self.user, " ".join(self.shared), path]
        enter.append(" ".join(f"{path}={directory}" for path, directory in self.writable.items()))
        variables = {**self.image.environment, **environment, "PATH": os.environ["PATH"]}
        return subprocess.Popen([*unshare, *enter, *command], env=variables, stdout=output, stderr=subprocess.STDOUT)

    def run(self, command, environment=None):
        """Runs a command of the image, and returns its exit code and output."""
        with self.start(command, environment or {}, subprocess.PIPE) as process:
            try:
                output, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        return process.returncode, output.decode()

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)
