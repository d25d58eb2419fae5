"""`kars local` as a person and a script meet it: one cluster per home, clear refusals, nothing lost."""
import base64
import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from conftest import KARS, wait_until


def kube(cluster, method, path, body=None):
    """A request of the administrator, without any Kubernetes client."""
    config = json.loads(cluster.kubeconfig.read_text())
    server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    files = {}
    for name, text in (("ca", server["certificate-authority-data"]), ("crt", user["client-certificate-data"]), ("key", user["client-key-data"])):
        files[name] = cluster.home / f"admin.{name}"
        files[name].write_bytes(base64.b64decode(text))
    context = ssl.create_default_context(cafile=files["ca"])
    context.load_cert_chain(files["crt"], files["key"])
    request = urllib.request.Request(
        server["server"] + path, method=method, data=json.dumps(body).encode() if body else None, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, context=context) as answer:
        return json.load(answer)


def create(cluster, name):
    return kube(cluster, "POST", "/api/v1/namespaces/default/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


def is_gone(pid):
    """Ended, even if nobody has asked for its exit code yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def contents(database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA user_version").fetchall() + connection.execute("SELECT * FROM objects ORDER BY id").fetchall()


def names(cluster):
    return [item["metadata"]["name"] for item in kube(cluster, "GET", "/api/v1/namespaces/default/configmaps")["items"]]


def test_a_life(fresh_cluster):
    cluster = fresh_cluster
    assert cluster("status", expect=1).stdout == "not running\n"
    assert cluster.json("status", expect=1) == {"running": False}
    started = cluster.json("start")
    assert started["url"].startswith("https://127.0.0.1:") and started["kubeconfig"] == str(cluster.kubeconfig)
    assert oct(cluster.kubeconfig.stat().st_mode & 0o777) == "0o600"
    assert oct(cluster.directory.stat().st_mode & 0o777) == "0o700"
    again = cluster("start")
    assert "running already" in again.stdout
    status = cluster.json("status")
    assert status["running"] and status["pid"] == started["pid"] and status["url"] == started["url"]
    create(cluster, "kept")
    assert "has stopped" in cluster("stop").stderr
    assert "was not running" in cluster("stop").stderr
    assert is_gone(started["pid"])
    # At the same place, so that contexts in other kubeconfigs go on working.
    assert cluster.json("start")["url"] == started["url"]
    assert "kept" in names(cluster)


def test_two_starts_at_once_make_one_cluster(fresh_cluster):
    results = []
    threads = [threading.Thread(target=lambda: results.append(fresh_cluster("start", expect=None))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [r for r in results if r.returncode == 0]
    assert won, results
    for lost in results:
        if lost.returncode != 0:
            assert lost.returncode == 1 and "another process starts, serves or restores the cluster" in lost.stderr, lost
    pids = subprocess.run(["pgrep", "-f", f"serve --directory {fresh_cluster.directory}"], capture_output=True, text=True).stdout.split()
    assert pids == [str(fresh_cluster.json("status")["pid"])]


def test_in_the_foreground(fresh_cluster):
    cluster = fresh_cluster
    process = subprocess.Popen(
        [KARS, "local", "start", "--foreground", "--log-level", "debug"], env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "serves https://127.0.0.1:" in process.stderr.readline()
        create(cluster, "seen")
        second = cluster("start", "--foreground", expect=1)
        assert "another process starts, serves or restores the cluster" in second.stderr
        assert cluster.json("status")["pid"] == process.pid
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    events = [json.loads(line) for line in output.splitlines()]
    audited = [e for e in events if e["event"] == "api.request" and e["method"] == "POST" and e["path"].endswith("/configmaps")]
    assert audited and audited[0]["user"] == "kubernetes-admin" and audited[0]["code"] == 201
    assert "BEGIN" not in output and "seen" not in output


def test_a_killed_cluster_starts_again_with_everything(fresh_cluster):
    cluster = fresh_cluster
    pid = cluster.json("start")["pid"]
    for number in range(20):
        create(cluster, f"c{number}")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: cluster("status", expect=None).returncode == 1, what="the end")
    cluster("start")
    assert {f"c{number}" for number in range(20)} <= set(names(cluster))


def test_backup_and_restore(fresh_cluster):
    cluster = fresh_cluster
    backup = cluster.home / "saved"
    assert "there is no cluster" in cluster("backup", backup, expect=1).stderr
    cluster("start")
    create(cluster, "before")
    cluster("backup", backup)
    assert oct(backup.stat().st_mode & 0o777) == "0o600"
    assert "exists already" in cluster("backup", backup, expect=1).stderr
    create(cluster, "after")
    assert "is running" in cluster("restore", backup, expect=1).stderr
    cluster("stop")
    stopped = cluster.home / "saved-stopped"
    cluster("backup", stopped)
    cluster("restore", backup)
    cluster("start")
    assert "before" in names(cluster) and "after" not in names(cluster)
    cluster("stop")
    nonsense = cluster.home / "nonsense"
    nonsense.write_text("this is no backup" * 1000)
    assert "nothing was restored" in cluster("restore", nonsense, expect=1).stderr
    assert "nothing was restored" in cluster("restore", cluster.home / "absent", expect=1).stderr
    cluster("restore", stopped)
    cluster("start")
    assert {"before", "after"} <= set(names(cluster))
    assert sorted(p.name for p in cluster.home.iterdir() if p.name.startswith("saved")) == ["saved", "saved-stopped"]


def test_reset(fresh_cluster):
    cluster = fresh_cluster
    cluster("start")
    create(cluster, "doomed")
    authority = (cluster.directory / "pki/ca.crt").read_text()
    assert "--yes" in cluster("reset", expect=2).stderr
    cluster("reset", "--yes")
    assert not cluster.directory.exists()
    assert "not running" in cluster("kubeconfig", expect=1).stderr
    cluster("start")
    assert "doomed" not in names(cluster)
    assert (cluster.directory / "pki/ca.crt").read_text() != authority


def test_the_kubeconfig_and_a_persons_own(fresh_cluster, tmp_path):
    cluster = fresh_cluster
    cluster("start")
    assert cluster("kubeconfig", "--path").stdout.strip() == str(cluster.kubeconfig)
    assert "client-key-data" in cluster("kubeconfig").stdout
    own = tmp_path / ".kube/config"
    own.parent.mkdir()
    own.write_text("apiVersion: v1\nkind: Config\ncurrent-context: work\ncontexts:\n- name: work\n  context: {cluster: work, user: me}\n"
                   "clusters:\n- name: work\n  cluster: {server: 'https://work.example'}\nusers:\n- name: me\n  user: {token: mine}\n")
    cluster("kubectl-config")
    cluster("kubectl-config")
    text = own.read_text()
    assert text.count("name: kars-local") == 3 and "work.example" in text and "token: mine" in text and "current-context: work" in text
    cluster("kubectl-config", "--use")
    assert "current-context: kars-local" in own.read_text()
    assert oct(own.stat().st_mode & 0o777) == "0o600"
    own.write_text("- not a kubeconfig\n")
    assert cluster("kubectl-config", expect=1).returncode == 1
    assert own.read_text() == "- not a kubeconfig\n"


def test_a_state_of_another_version_is_refused(fresh_cluster):
    cluster = fresh_cluster
    cluster("start")
    cluster("stop")
    database = cluster.directory / "state/cluster.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = contents(database)
    refused = cluster("start", expect=1)
    assert "layout 99" in refused.stderr and "did not start" in refused.stderr
    assert contents(database) == before
    (cluster.home / "kars/version").write_text("99\n")
    assert "version '99'" in cluster("start", expect=1).stderr


def test_a_directory_that_cannot_be_written_is_told(fresh_cluster):
    cluster = fresh_cluster
    (cluster.home / "kars").mkdir()
    (cluster.home / "kars/cluster").write_text("in the way")
    refused = cluster("start", expect=1)
    assert "did not start" in refused.stderr and "cluster" in refused.stderr


def test_a_full_disk_is_told_and_loses_nothing(fresh_cluster):
    if os.geteuid() != 0:
        pytest.skip("skipped: needs root to mount a small file system")
    cluster = fresh_cluster
    home = cluster.home / "kars"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", home], check=True)
    try:
        cluster("start")
        refusal, stored = None, []
        for number in range(200):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"big{number}"}, "data": {"k": "x" * 100_000}}
            try:
                kube(cluster, "POST", "/api/v1/namespaces/default/configmaps", body)
                stored.append(f"big{number}")
            except urllib.error.HTTPError as error:
                refusal = json.load(error)
                break
        assert refusal and refusal["code"] == 500 and "cannot grow" in refusal["message"], refusal
        assert set(stored) <= set(names(cluster))
        cluster("stop")
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


def test_help_has_examples_and_wrong_usage_is_exit_code_2(fresh_cluster):
    assert "Examples:" in fresh_cluster("--help").stdout
    assert "--foreground" in fresh_cluster("start", "--help").stdout
    for wrong in (["nosuch"], ["start", "--log-level", "loud"], ["backup"], ["status", "--output", "xml"]):
        assert fresh_cluster(*wrong, expect=2).stderr
