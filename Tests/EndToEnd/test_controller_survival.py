"""The controller through sudden deaths, its own and its cluster's, and beside another one."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from cluster import KARS, LocalCluster
from conftest import HERE, wait_until
from controller_kill import SANDBOXES, World, controllers, declared

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kars-system/leases/kars-controller-leader"


@pytest.fixture
def home():
    # Not below pytest's own directory: names of sockets in it would be too long.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kars-"))
    yield directory
    shutil.rmtree(directory)


def test_killed_at_random_moments_it_ends_where_the_specifications_say(home):
    result = subprocess.run(
        [sys.executable, HERE / "controller_kill.py", "--operations", "80", "--kills", "10", "--home", home], capture_output=True, text=True,
        timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "as asked for" in result.stdout


@contextlib.contextmanager
def another_controller(cluster):
    """A second one, with the same rights, as a second replica of the Deployment would be."""
    log = cluster.home / "second.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [KARS, "controller", "--kubeconfig", cluster.directory / "operator/kubeconfig"], stdout=file, stderr=file,
            env={**cluster.environment, "POD_NAME": "second", "CONTROLLER_METRICS_ADDR": "127.0.0.1:0"})
    try:
        yield process, log
    finally:
        process.kill()
        process.wait(10)


def test_of_two_controllers_one_works_and_the_other_takes_over(home):
    cluster = LocalCluster(home)
    world = World(cluster, None)
    world.begin()
    try:
        holder = lambda: cluster.call("GET", LEASE)["spec"]["holderIdentity"]
        wait_until(holder, 30, "a leader")
        first = holder()
        (leader,) = controllers(cluster)
        with another_controller(cluster) as (second, log):
            wait_until(lambda: "controller.started" in log.read_text(), 30, "the second controller")
            spec = {"runtime": {"kind": "Native"}, "sandbox": {}, "inferenceRef": {"name": "models"}, "suspended": True}
            cluster.call("POST", SANDBOXES, declared("KarsSandbox", "s1", spec))
            world.wanted["s1"] = []
            wait_until(lambda: (world.get(f"{SANDBOXES}/s1").get("status") or {}).get("phase") == "Suspended", 30, "the sandbox")
            assert holder() == first and "leader.elected" not in log.read_text()

            # The leader stands still for longer than its lease: the other works on, and the first one finds that it leads no more.
            os.kill(leader, signal.SIGSTOP)
            wait_until(lambda: holder() == "second", 60, "the other's turn")
            cluster.call("DELETE", f"{SANDBOXES}/s1")
            wait_until(lambda: world.get(f"{SANDBOXES}/s1") is None, 60, "the end of the sandbox, by the second controller")
            os.kill(leader, signal.SIGCONT)
            wait_until(lambda: leader not in controllers(cluster), 30, "the end of the one that lost its lease")
            assert holder() == "second" and second.poll() is None
        # A killed leader's lease runs out; the one that is supervised takes it.
        wait_until(lambda: holder() not in ("second", ""), 60, "the first one's turn")
    finally:
        cluster.stop()
