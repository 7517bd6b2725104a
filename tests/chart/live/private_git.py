"""The repository of a story behind git servers that require credentials."""

import base64
import getpass
import http.server
import os
import shutil
import ssl
import subprocess
import threading

from cluster import free_port, is_taken, until

SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))


class HttpsServer:
    """git's own server for HTTP, with a token and a certificate of an authority of its own."""

    def __init__(self, directory, environment, token):
        self.authority = f"{directory}/authority.pem"
        key = f"{directory}/authority.key"
        request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=git"]
        names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.authority]
        subprocess.run([*request, *names], check=True, capture_output=True, timeout=60)
        expected = base64.b64encode(f"x-access-token:{token}".encode()).decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer()

            def do_POST(self):
                self.answer()

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Authorization") != f"Basic {expected}":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                path, _, query = self.path.partition("?")
                variables = {
                    "GIT_PROJECT_ROOT": directory,
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                }
                ended = subprocess.run(
                    ["git", "http-backend"], input=body, env={**environment, **variables}, capture_output=True, timeout=60
                )
                head, _, content = ended.stdout.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
                self.send_response(int(headers.pop("Status", "200").split()[0]))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://127.0.0.1:{self.server.server_port}/plant.git"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class SshServer:
    """OpenSSH's server, which accepts the public key in a file."""

    def __init__(self, directory, repository, public_key, port=None):
        self.port = port or free_port()
        host_key = f"{directory}/host-key-{os.urandom(4).hex()}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True, timeout=60)
        config = f"{directory}/sshd_config"
        with open(config, "w", encoding="utf-8") as file:
            file.write(
                f"ListenAddress 127.0.0.1:{self.port}\nHostKey {host_key}\nAuthorizedKeysFile {public_key}\n"
                "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
                "KbdInteractiveAuthentication no\nPidFile none\nAcceptEnv GIT_PROTOCOL\n"
            )
        if os.geteuid() == 0:
            # A server of the superuser requires this directory, which its service makes.
            os.makedirs("/run/sshd", exist_ok=True)
        self.server = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=subprocess.DEVNULL)
        shown = subprocess.run(["ssh-keygen", "-lf", f"{host_key}.pub"], check=True, capture_output=True, timeout=60)
        self.fingerprint = shown.stdout.decode().split()[1]
        self.url = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{repository}"
        until("OpenSSH's server answers", lambda: is_taken(self.port))

    def stop(self):
        self.server.kill()
        self.server.wait()
