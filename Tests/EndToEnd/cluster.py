"""A local cluster in a home of its own: its command line, its API as plain HTTP requests, and its sudden death."""
import base64
import http.client
import json
import os
import pathlib
import select
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

KARS = pathlib.Path(os.environ.get("KARS_UNDER_TEST", pathlib.Path(__file__).parent.parent.parent / ".build/release/kars"))

# Seconds after which a connection is not used again.
IDLE = 20


class Failed(Exception):
    """An answer other than success: its code and its `Status`."""

    def __init__(self, code, status):
        super().__init__(f"{code}: {status.get('message') if isinstance(status, dict) else status}")
        self.code, self.status = code, status


class LocalCluster:
    """`kars local` with a home of its own; needs no privileges and no network namespace."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "KARS_HOME": str(self.home / "kars"), "LANG": "C.UTF-8"}
        self.connections = threading.local()

    @property
    def directory(self):
        return self.home / "kars/cluster"

    @property
    def kubeconfig(self):
        return self.directory / "kubeconfig"

    def __call__(self, *arguments, expect=0, timeout=60):
        result = subprocess.run(
            [KARS, "local", *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=self.environment, stdin=subprocess.DEVNULL)
        assert expect is None or result.returncode == expect, f"kars local {arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def json(self, *arguments, **options):
        return json.loads(self(*arguments, "--output", "json", **options).stdout)

    # Requests as administrator, between `start` and `stop`.

    def start(self, *options):
        """Returns once the cluster serves and `call` knows where."""
        status = self.json("start", *options)
        self.process, self.url = status["pid"], urllib.parse.urlsplit(status["url"])
        config = json.loads(self.kubeconfig.read_text())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        user = config["users"][0]["user"]
        self.context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as certificate:
            certificate.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            certificate.flush()
            self.context.load_cert_chain(certificate.name)
        self.connections = threading.local()
        return status

    def stop(self):
        self("stop", expect=None)

    def kill(self):
        """`kill -9` of the cluster's process; returns when it is gone."""
        process = os.pidfd_open(self.process)
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [], 10)
        os.close(process)

    def connection(self, timeout=30):
        return http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=timeout, context=self.context)

    def call(self, method, path, body=None, content_type="application/json"):
        """One request on this thread's connection; returns the object, raises `Failed` or what the connection raises."""
        connection, used = getattr(self.connections, "own", None), getattr(self.connections, "used", 0.0)
        # The server closes what is idle for long.
        if connection is None or time.monotonic() - used > IDLE:
            connection = self.connection()
        self.connections.own, self.connections.used = connection, time.monotonic()
        try:
            connection.request(method, path, body=json.dumps(body) if body is not None else None, headers={"Content-Type": content_type})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.connections.own = None
            raise
        value = json.loads(text) if text else None
        if response.status >= 300:
            raise Failed(response.status, value)
        return value
