"""What the local cluster keeps through sudden deaths, and how its answers compare with those of a real API server."""
import base64
import json
import os
import subprocess
import sys

import pytest

from conftest import HERE


def killed(home, *arguments):
    result = subprocess.run(
        [sys.executable, HERE / "cluster_kill.py", "--home", home, *arguments], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_cluster_killed_at_random_moments_loses_nothing_that_was_acknowledged(tmp_path):
    assert "none lost" in killed(tmp_path, "--kills", "20")


def test_pods_of_a_cluster_killed_at_random_moments_are_those_that_were_asked_for(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("skipped: needs root for pods that share a network")
    out = killed(tmp_path, "--kills", "10", "--pods")
    assert "none lost" in out and "nothing left" in out


def test_its_answers_are_those_of_a_real_api_server(fresh_cluster):
    # The recorded server had no node.
    fresh_cluster.start("--without-node")
    arguments = ["--server", fresh_cluster.url.geturl()]
    for name, data in credentials(fresh_cluster).items():
        path = fresh_cluster.home / name
        path.write_bytes(data)
        arguments += [f"--{name}", path]
    result = subprocess.run(
        [sys.executable, HERE / "replay.py", HERE / "recordings/kubeapi.jsonl", "--min-percent", "95", *arguments],
        capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr


def credentials(cluster):
    """The administrator's, as PEM."""
    config = json.loads(cluster.kubeconfig.read_text())
    server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    found = {"ca": server["certificate-authority-data"], "cert": user["client-certificate-data"], "key": user["client-key-data"]}
    return {name: base64.b64decode(data) for name, data in found.items()}
