"""Fixtures of the end-to-end tests: the built `kars`, a private KARS_HOME, and an outer network that plays the internet.

Everything runs inside a network namespace of the tests' own. It holds a public-looking address with a web server and a
name server, so that permitted and refused hosts can be told apart without any packet leaving the machine.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import uuid

import pytest

from cluster import KARS, LocalCluster

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
PUBLIC_ADDRESS = "11.22.33.44"
PUBLIC_ADDRESS_6 = "2a0a:1:2::44"
MODEL_KEY = "sk-the-real-key-0123456789"


def needs_namespaces():
    if os.geteuid() != 0:
        pytest.skip("skipped: needs root to make network namespaces")
    if shutil.which("ip") is None:
        pytest.skip("skipped: needs iproute2")


class Internet:
    """Two network namespaces: a laptop, in which `kars` runs, and the internet, a web and a name server at public-looking addresses."""

    def __init__(self, directory):
        suffix = uuid.uuid4().hex[:8]
        self.name, self.outside = "kars-laptop-" + suffix, "kars-internet-" + suffix
        self.directory = directory
        for name in (self.name, self.outside):
            sh("ip", "netns", "add", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")
        sh("ip", "link", "add", "uplink", "netns", self.name, "type", "veth", "peer", "name", "laptop", "netns", self.outside)
        for name, device, address, address6 in (
            (self.name, "uplink", "11.22.33.1/24", "2a0a:1:2::1/64"), (self.outside, "laptop", PUBLIC_ADDRESS + "/24", PUBLIC_ADDRESS_6 + "/64"),
        ):
            sh("ip", "-n", name, "addr", "add", address, "dev", device)
            sh("ip", "-n", name, "addr", "add", address6, "dev", device, "nodad")
            sh("ip", "-n", name, "link", "set", device, "up")
        sh("ip", "-n", self.name, "route", "add", "default", "via", PUBLIC_ADDRESS)
        sh("ip", "-n", self.name, "-6", "route", "add", "default", "via", PUBLIC_ADDRESS_6)
        etc = pathlib.Path("/etc/netns") / self.name
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text(f"nameserver {PUBLIC_ADDRESS}\n")
        self.log = directory / "internet.log"
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.outside, sys.executable, str(HERE / "internet.py"), PUBLIC_ADDRESS, PUBLIC_ADDRESS_6, str(directory)],
            stdout=subprocess.PIPE, text=True)
        assert self.server.stdout.readline().strip() == "ready"

    def popen(self, command, **options):
        """Starts a process on the laptop."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)

    def run(self, command, **options):
        return subprocess.run(["ip", "netns", "exec", self.name, *map(str, command)], **options)

    def requests(self):
        """What reached the internet, a line each."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def close(self):
        self.server.terminate()
        self.server.wait(10)
        for name in (self.name, self.outside):
            sh("ip", "netns", "delete", name)
        shutil.rmtree(pathlib.Path("/etc/netns") / self.name)


class Kars:
    """The command line under test, with a home of its own."""

    def __init__(self, internet, home, extra=None, binary=KARS):
        self.internet = internet
        self.home = home
        self.binary = binary
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "KARS_HOME": str(home / "kars"), "LANG": "C.UTF-8", **(extra or {}),
        }

    def __call__(self, *arguments, check=True, timeout=60, **options):
        result = self.internet.run(
            [self.binary, *arguments], capture_output=True, text=True, timeout=timeout, env=self.environment,
            stdin=options.pop("stdin", subprocess.DEVNULL if "input" not in options else None), **options)
        if check and result.returncode != 0:
            raise AssertionError(
                f"kars {' '.join(map(str, arguments))}: exit {result.returncode}\n{result.stdout}\n{result.stderr}\n{self.diagnosis()}")
        return result

    def json(self, *arguments, **options):
        return json.loads(self(*arguments, "--output", "json", **options).stdout)

    def inside(self, name, script, check=False, timeout=60):
        """Runs a shell script in the agent container."""
        return self("exec", name, "--", "sh", "-c", script, check=check, timeout=timeout)

    @property
    def cluster(self):
        return self.home / "kars/cluster"

    def pods(self):
        """What the node keeps of each pod: its directory, by the pod's name."""
        found = {}
        for status in (self.cluster / "node/pods").glob("*/status.json"):
            with contextlib.suppress(OSError, ValueError):
                found[json.loads(status.read_text())["name"]] = status.parent
        return found

    def pod(self, name="dev-agent"):
        """Where the node keeps the pod of a sandbox."""
        (directory,) = [directory for pod, directory in self.pods().items() if pod.startswith(name + "-")]
        return directory

    def supervisor(self, name="dev-agent"):
        """The process that supervises the pod of a sandbox."""
        return json.loads((self.pod(name) / "status.json").read_text())["supervisorPid"]

    def kubectl(self, program, *arguments):
        result = self.internet.run(
            [program, "--kubeconfig", self.cluster / "kubeconfig", *arguments, "--output", "json"], capture_output=True, text=True,
            env=self.environment, timeout=60, check=True)
        return json.loads(result.stdout)

    def diagnosis(self):
        texts = []
        for log in [*sorted(self.cluster.glob("node/pods/*/logs/**/*.log")), *self.cluster.glob("*.log"), *self.cluster.glob("operator/*.log")]:
            texts.append(f"--- {log}\n{log.read_text(errors='replace')[-3000:]}")
        return "\n".join(texts)

    def close(self):
        self("local", "reset", "--yes", check=False)


class ModelServer:
    """An OpenAI-compatible server on the laptop's loopback that requires a key; see model_server.py."""

    def __init__(self, internet, directory):
        self.log_file = directory / "model.log"
        port_file = directory / "port"
        self.process = internet.popen([sys.executable, str(HERE / "model_server.py"), str(port_file), str(self.log_file), MODEL_KEY])
        wait_until(lambda: port_file.exists() and port_file.read_text(), what="the model server")
        self.url = f"http://127.0.0.1:{port_file.read_text()}/v1"

    def log(self):
        return [json.loads(line) for line in self.log_file.read_text().splitlines()] if self.log_file.exists() else []


def sh(*command):
    subprocess.run([str(c) for c in command], check=True, capture_output=True)


def wait_until(condition, seconds=20, what="the condition"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not hold within {seconds} s")


@pytest.fixture(scope="session")
def internet(tmp_path_factory):
    needs_namespaces()
    network = Internet(tmp_path_factory.mktemp("internet"))
    yield network
    network.close()


@pytest.fixture(scope="module")
def kars(internet, tmp_path_factory):
    command = Kars(internet, tmp_path_factory.mktemp("home"))
    yield command
    command.close()


@pytest.fixture
def fresh_cluster(tmp_path):
    """One that does not run yet."""
    cluster = LocalCluster(tmp_path)
    yield cluster
    cluster("stop", expect=None)


@pytest.fixture(scope="module")
def local_cluster(tmp_path_factory):
    """One that serves, for all tests of a module."""
    cluster = LocalCluster(tmp_path_factory.mktemp("cluster"))
    cluster("start")
    yield cluster
    cluster("stop", expect=None)


@pytest.fixture(scope="session")
def kubectl_program():
    """A kubectl of 1.32 or later: `KUBECTL`, one named with its version, or the one on PATH."""
    beside = pathlib.Path(os.path.realpath(shutil.which("kubectl") or "/nowhere")).parent
    for program in (os.environ.get("KUBECTL"), shutil.which("kubectl.1.32"), str(beside / "kubectl.1.32"), shutil.which("kubectl")):
        if not program or not os.access(program, os.X_OK):
            continue
        found = json.loads(subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True).stdout)
        if int(found["clientVersion"]["minor"].rstrip("+")) >= 32:
            return program
    pytest.skip("skipped: no kubectl of 1.32 or later; scripts/setup --dev installs Debian's")
