"""A local cluster of a test's own, its API as plain HTTP requests, and what a crash does to it."""
import base64
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import tempfile
import threading
import urllib.parse

KARS = pathlib.Path(__file__).parent.parent.parent / ".build/release/kars"


class Failed(Exception):
    """An answer other than success: its code and its `Status`."""

    def __init__(self, code, status):
        super().__init__(f"{code}: {status.get('message') if isinstance(status, dict) else status}")
        self.code, self.status = code, status


class Cluster:
    """`kars local` in a home of its own; the directory must be empty or hold an earlier cluster."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.environment = {**os.environ, "KARS_HOME": str(home)}
        self.local = threading.local()

    def kars(self, *words, check=True):
        return subprocess.run([str(KARS), *words], env=self.environment, capture_output=True, text=True, timeout=60, check=check)

    def start(self):
        """Returns what `kars local start` says once the cluster serves."""
        result = self.kars("local", "start", "--output", "json", check=False)
        if result.returncode:
            raise AssertionError(f"kars local start: exit {result.returncode}\n{result.stdout}{result.stderr}")
        record = json.loads(result.stdout)
        self.use(record["kubeconfig"])
        return record

    def use(self, kubeconfig):
        """Reads who the administrator is and where the server."""
        self.kubeconfig = kubeconfig
        config = json.loads(self.kars("local", "status", "--output", "json").stdout)
        self.process = config["processId"] if "processId" in config else config["pid"]
        self.url = urllib.parse.urlsplit(config["url"])
        users = self.config()
        context = ssl.create_default_context(cadata=base64.b64decode(users["clusters"][0]["cluster"]["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as certificate:
            user = users["users"][0]["user"]
            certificate.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            certificate.flush()
            context.load_cert_chain(certificate.name)
        self.context = context
        self.local = threading.local()

    def config(self):
        return json.loads(pathlib.Path(self.kubeconfig).read_text())

    def kill(self):
        """`kill -9` of the cluster's process."""
        os.kill(self.process, signal.SIGKILL)

    def stop(self):
        self.kars("local", "stop")

    def connection(self, timeout=30):
        return http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=timeout, context=self.context)

    def call(self, method, path, body=None, content_type="application/json"):
        """One request on this thread's connection; returns the object, raises `Failed` or OSError."""
        if getattr(self.local, "connection", None) is None:
            self.local.connection = self.connection()
        try:
            self.local.connection.request(
                method, path, body=json.dumps(body) if body is not None else None, headers={"Content-Type": content_type})
            response = self.local.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.local.connection.close()
            self.local.connection = None
            raise
        value = json.loads(text) if text else None
        if response.status >= 300:
            raise Failed(response.status, value)
        return value
