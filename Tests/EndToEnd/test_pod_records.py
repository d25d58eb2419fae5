"""Pods of the local cluster pass through what was recorded on a real node (recordings/node.jsonl)."""
import json
import os
import re
import threading
import time

import pytest

import pod_records
from cluster import Failed
from conftest import wait_until

NAMESPACE = "goldnode"
SECONDS = 45
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"

# Record → name of its pod, as recorded.
LIVES = {
    record: re.search(r"metadata\.name%3D(\w+)", pod_records.RECORDS[record]["request"]["path"]).group(1)
    for record in (
        "pod-runs", "pod-succeeds", "pod-fails", "pod-crashloop", "pod-init-fails", "pod-never-pull", "pod-config-missing", "pod-run-as-root",
        "pod-command-missing", "pod-unschedulable", "pod-scheduling-gate", "pod-readiness-gate", "pod-sidecar", "pod-liveness-fails")
}
EVENTS = {"pod-runs": "pod-events", "pod-crashloop": "pod-crashloop-events", "pod-unschedulable": "pod-unschedulable-events", "pod-liveness-fails": "pod-liveness-events"}

# (record, facet) → what is passed through here besides, and why.
BESIDES = {
    ("pod-liveness-fails", "container c state"): (
        {"terminated Error 137"}, "the recorded node wrote no status between the end of a run and the next one"),
    **{("pod-delete-graceful", f"condition {condition}"): (
        {"False/ContainersNotReady"}, "containers that end one after the other are told one by one, and not together")
       for condition in ("Ready", "ContainersReady")},
}


class Lives:
    """Every change of every pod in the namespace, from a watch."""

    def __init__(self, cluster):
        self.cluster, self.changes, self.began = cluster, {}, time.monotonic()
        version = cluster.call("GET", PODS)["metadata"]["resourceVersion"]
        self.connection = cluster.connection(timeout=120)
        self.connection.request("GET", f"{PODS}?watch=true&resourceVersion={version}&timeoutSeconds=110")
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for line in self.answer:
                change = json.loads(line)
                if change["type"] != "BOOKMARK":
                    self.changes.setdefault(change["object"]["metadata"]["name"], []).append((change["type"], change["object"]))
        except (OSError, ValueError):
            pass  # closed at the end

    def of(self, name):
        return list(self.changes.get(name, []))


@pytest.fixture(scope="module")
def lives(local_cluster):
    if os.geteuid() != 0:
        pytest.skip("skipped: needs root for pods that share a network")
    cluster = local_cluster
    cluster.start()
    cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    # Before it has told of itself, pods are as unschedulable here as anywhere.
    wait_until(lambda: cluster.call("GET", "/api/v1/nodes")["items"], what="the node")
    found = Lives(cluster)
    for record, name in LIVES.items():
        body = {"metadata": {"name": name, "labels": {"app": name}}, "spec": pod_records.spec(record)}
        wait_until(lambda: created(cluster, body), what="the namespace's service account")
    return found


def created(cluster, body):
    try:
        return cluster.call("POST", PODS, body)
    except Failed as error:
        if error.code != 403:
            raise
        return None


def compare(record, expected, found):
    """Prints every difference with its reason; fails for those that have none."""
    unexplained = []
    for facet, recorded, own in pod_records.differences(expected, found):
        besides, reason = BESIDES.get((record, facet), (set(), None))
        is_explained = recorded == [text for text in own if text not in besides]
        print(f"{record}, {facet}: recorded {recorded}, here {own}: {reason if is_explained else 'no reason known'}")
        if not is_explained:
            unexplained.append((facet, recorded, own))
    assert not unexplained, unexplained


def passed(lives, expected, changes):
    """What was passed through until all that is expected was; all there is when the time is over that the lives have together."""
    def reached():
        told = changes()
        for end in range(1, len(told) + 1):
            found = pod_records.facets(told[:end])
            if all(set(texts) <= set(found.get(facet, [])) for facet, texts in expected.items()):
                return found
        return None

    try:
        return wait_until(reached, max(1, lives.began + SECONDS - time.monotonic()))
    except AssertionError:
        return pod_records.facets(changes())  # the comparison says what is missing


@pytest.mark.parametrize("record", LIVES)
def test_a_life_is_as_recorded(lives, record):
    name = LIVES[record]
    if record == "pod-readiness-gate":
        open_the_gate(lives, name)
    expected = pod_records.facets(pod_records.objects(record))
    compare(record, expected, passed(lives, expected, lambda: lives.of(name)))
    if record in EVENTS:
        listed = pod_records.events(pod_records.RECORDS[EVENTS[record]]["response"]["body"]["items"])
        path = f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=involvedObject.name%3D{name}"
        # Lives that go on have more to tell after what was recorded.
        told = lambda: {
            part: texts[:len(listed.get(part, texts))] for part, texts in pod_records.events(lives.cluster.call("GET", path)["items"]).items()}
        wait_until(lambda: told() == listed, what=f"{listed} (not {told()})")


def open_the_gate(lives, name):
    """As it was done for the recording, once its container ran."""
    wait_until(lambda: "running" in pod_records.facets(lives.of(name)).get("container c state", []), what="the container")
    change = {"status": {"conditions": [{"type": "example.com/ok", "status": "True"}]}}
    lives.cluster.call("PATCH", f"{PODS}/{name}/status", change, "application/strategic-merge-patch+json")


@pytest.mark.parametrize("record", ["pod-log", "pod-log-init", "pod-log-which", "pod-log-bad", "pod-log-previous", "pod-exec-no-upgrade"])
def test_its_logs_and_refusals_are_as_recorded(lives, record):
    wait_until(lambda: "True" in pod_records.facets(lives.of("runs")).get("condition Ready", []), what="the pod being ready")
    recorded = pod_records.RECORDS[record]
    connection = lives.cluster.connection()
    connection.request(recorded["request"]["method"], recorded["request"]["path"])
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    expected = recorded["response"]
    assert answer.status == expected["status"], text
    if "body" in expected:
        assert json.loads(text) == expected["body"]
    else:
        stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
        assert stamp.sub("TIME", text) == stamp.sub("TIME", expected["bodyText"])


def test_its_end_is_as_recorded(lives):
    """After everything else: the pod that ran is deleted."""
    record = "pod-delete-graceful"
    wait_until(lambda: "True" in pod_records.facets(lives.of("runs")).get("condition Ready", []), what="the pod being ready")
    before = len(lives.of("runs"))
    deleted = lives.cluster.call("DELETE", f"{PODS}/runs")
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 2
    ours = lambda: pod_records.facets(lives.of("runs")[before:])
    wait_until(lambda: "DELETED" in ours().get("change", []), what="the end")
    compare(record, pod_records.facets(pod_records.objects(record)), ours())
