"""A laptop without a network: no route anywhere, a model server on its own loopback (issue 2, section 5)."""
import json
import subprocess
import uuid

import pytest

from conftest import MODEL_KEY, Kars, ModelServer, needs_namespaces, sh, wait_until


class Offline:
    """A network namespace that has loopback and nothing else."""

    def __init__(self):
        self.name = "kars-offline-" + uuid.uuid4().hex[:8]
        sh("ip", "netns", "add", self.name)
        sh("ip", "-n", self.name, "link", "set", "lo", "up")

    def popen(self, command, **options):
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)

    def run(self, command, **options):
        return subprocess.run(["ip", "netns", "exec", self.name, *map(str, command)], **options)

    def close(self):
        sh("ip", "netns", "delete", self.name)


@pytest.fixture(scope="module")
def laptop():
    needs_namespaces()
    network = Offline()
    yield network
    network.close()


@pytest.fixture(scope="module")
def model(laptop, tmp_path_factory):
    server = ModelServer(laptop, tmp_path_factory.mktemp("model"))
    yield server
    server.process.terminate()
    server.process.wait(10)


@pytest.fixture(scope="module")
def kars(laptop, model, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "key").write_text(MODEL_KEY)
    command = Kars(laptop, home)
    command(
        "dev", "--detach", "--provider", "openai", "--endpoint", model.url, "--model", "test-model", "--api-key-file", home / "key",
        timeout=120)
    yield command
    command.close()


def test_the_model_answers(kars, model):
    assert "you said: hello" in kars("connect", "dev-agent", "--prompt", "hello").stdout
    assert any(entry.get("authorization") == f"Bearer {MODEL_KEY}" for entry in model.log()), model.log()


def test_the_agent_does_not_reach_the_server(kars, model):
    port = model.url.split(":")[2].split("/")[0]
    before = len(model.log())
    for address in ("127.0.0.1", "::1", "localhost"):
        attempt = f"import socket; socket.create_connection(('{address}', {port}), 3)"
        assert kars.inside("dev-agent", f'python3 -c "{attempt}"').returncode != 0, address
    assert len(model.log()) == before


def test_the_relay_has_no_rights_and_ends_with_the_supervisor(kars, laptop):
    line = laptop.run(["pgrep", "-f", "pod-relay"], capture_output=True, text=True).stdout.split()
    supervisor = kars.supervisor()
    relays = [pid for pid in line if f"PPid:\t{supervisor}\n" in open(f"/proc/{pid}/status").read()]
    assert len(relays) == 1, line
    status = open(f"/proc/{relays[0]}/status").read()
    assert "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status
    assert "\nUid:\t0\t" not in status
    kars("dev", "down")
    wait_until(lambda: relays[0] not in laptop.run(["pgrep", "-f", "pod-relay"], capture_output=True, text=True).stdout.split(), what="its end")


def test_the_demo_needs_no_network_at_all(laptop, tmp_path_factory):
    demo = Kars(laptop, tmp_path_factory.mktemp("demo"))
    try:
        demo("dev", "--detach", timeout=120)
        assert "1000" in demo("connect", "dev-agent", "--prompt", "run id -u").stdout
    finally:
        demo.close()
