"""The controller on a real `kars local start --with-controller`: what a platform team applies comes to run, and goes without a trace."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import pytest

from cluster import Failed, LocalCluster
from conftest import needs_namespaces, wait_until

HOME = "kars-system"
GROUP = "/apis/kars.azure.com/v1alpha1"
PROFILE = """version: "2"
agent: "e2e"
defaultDecision: deny
policies:
  - name: inference
    type: capability
    priority: 80
    allowed_actions: ["inference:*", "output:*"]
"""
MODEL = {"primary": {"provider": "demo", "deployment": "kars-demo"}}


class Operated:
    """A cluster on which kars is installed and its controller runs."""

    def __init__(self, directory, kubectl):
        self.cluster, self.program = LocalCluster(directory), kubectl
        self.cluster.start("--with-controller")

    @property
    def log(self):
        path = self.cluster.directory / "operator/controller.log"
        return path.read_text() if path.exists() else ""

    def events(self, name):
        return [line for line in map(json.loads, self.log.splitlines()) if line["event"] == name]

    def kubectl(self, *arguments, expect=0, timeout=60):
        result = subprocess.run(
            [self.program, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
            env={**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig), "HOME": str(self.cluster.home)})
        assert expect is None or result.returncode == expect, f"kubectl {arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout + result.stderr

    def apply(self, item):
        return self.cluster.call("POST", f"{GROUP}/namespaces/{HOME}/{PLURALS[item['kind']]}", item)

    def get(self, path):
        """nil when there is none."""
        try:
            return self.cluster.call("GET", path)
        except Failed as failure:
            if failure.code != 404:
                raise

    def sandbox(self, name):
        return self.get(f"{GROUP}/namespaces/{HOME}/karssandboxes/{name}")

    def phase(self, name):
        return (self.sandbox(name) or {}).get("status", {}).get("phase")

    def wait_for(self, name, phase, seconds=240):
        try:
            wait_until(lambda: self.phase(name) == phase, seconds, f"phase {phase} of {name}")
        except AssertionError as failure:
            status = json.dumps((self.sandbox(name) or {}).get("status"), indent=1)
            raise AssertionError(f"{failure}\n{status}\n{self.log[-3000:]}") from None
        return self.sandbox(name)

    def declare(self, name, runtime=None, labels=None, **spec):
        declared = resource(
            "KarsSandbox", name, {
                "runtime": runtime or {"kind": "Native"}, "sandbox": {}, "inferenceRef": {"name": "models"},
                "governance": {"toolPolicyRef": {"name": "tools"}}, **spec})
        declared["metadata"]["labels"] = labels or {}
        return self.apply(declared)

    def delete(self, name):
        self.cluster.call("DELETE", f"{GROUP}/namespaces/{HOME}/karssandboxes/{name}")


PLURALS = {"KarsSandbox": "karssandboxes", "InferencePolicy": "inferencepolicies", "ToolPolicy": "toolpolicies"}


def resource(kind, name, spec):
    return {"apiVersion": "kars.azure.com/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": HOME}, "spec": spec}


def conditions(sandbox):
    return {condition["type"]: condition for condition in sandbox["status"]["conditions"]}


@pytest.fixture(scope="module")
def operated(kubectl_program):
    needs_namespaces()
    # Not below pytest's own directory: names of sockets in it would be too long.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kars-"))
    world = Operated(directory, kubectl_program)
    wait_until(lambda: world.events("controller.synced"), 60, "the controller")
    world.apply(resource("InferencePolicy", "models", {"appliesTo": {}, "modelPreference": MODEL}))
    world.apply(resource("ToolPolicy", "tools", {"appliesTo": {"tool": "*", "sandboxMatchLabels": {"team": "e2e"}}, "agtProfile": {"inline": PROFILE}}))
    yield world
    world.cluster.stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def running(operated):
    operated.declare("first")
    return operated.wait_for("first", "Running")


def test_running_means_available(operated, running):
    assert conditions(running)["Ready"]["status"] == "True"
    deployment = operated.get("/apis/apps/v1/namespaces/kars-first/deployments/first")
    assert deployment["status"]["availableReplicas"] == 1
    pod = operated.get("/api/v1/namespaces/kars-first/pods")["items"][0]
    assert [c["name"] for c in pod["spec"]["containers"]] == ["agent"]
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["egress-guard", "inference-router"]
    assert {c["name"]: c["ready"] for c in pod["status"]["containerStatuses"]} == {"agent": True}


def test_the_agent_has_nothing_secret(operated, running):
    refused = operated.kubectl("-n", "kars-first", "exec", "deploy/first", "-c", "agent", "--", "true", expect=1)
    assert "nobody enters a sandbox" in refused
    operated.kubectl("label", "namespace", "kars-first", "kars.azure.com/break-glass=true")

    def inside(script):
        return operated.kubectl("-n", "kars-first", "exec", "deploy/first", "-c", "agent", "--", "sh", "-c", script, expect=None)

    assert "1000" in inside("id -u")
    assert "absent" in inside("test -e /var/run/secrets/kubernetes.io || echo absent")
    assert "absent" in inside("test -e /etc/kars/secrets || echo absent")
    environment = inside("env")
    assert "TOKEN" not in re.sub(r"TOKEN_BUDGET\w*", "", environment) and "router-managed" in environment

    def answers(target):
        return "open" in inside(f"timeout 3 bash -c 'exec 3<>/dev/tcp/{target}' 2>/dev/null && echo open || echo closed")

    assert answers("127.0.0.1/8443"), "the agent reaches its router"
    for target in ("127.0.0.1/8446", "127.0.0.1/9090"):
        assert not answers(target), f"the agent reaches {target}"
    # 443 leads to the router's own proxy, which connects to no private address.
    assert "refused" in inside("curl -sk --noproxy '*' --max-time 5 https://10.96.0.1/version || echo refused")
    operated.kubectl("label", "namespace", "kars-first", "kars.azure.com/break-glass-")


def test_an_image_of_ones_own_has_the_binary_and_for_development_people_may_enter(operated, running):
    runtime = {"kind": "BYO", "byo": {"image": "host:1", "contractVersion": "v1", "command": ["sleep", "infinity"]}}
    operated.declare("mine", runtime, labels={"kars.azure.com/dev-only": "true"})
    sandbox = operated.wait_for("mine", "Running")
    assert conditions(sandbox)["Sealed"]["reason"] == "DevelopmentOnly"

    def inside(script):
        return operated.kubectl("-n", "kars-mine", "exec", "deploy/mine", "-c", "agent", "--", "sh", "-c", script)

    assert "ok" in inside("/opt/kars/bin/kars router probe")
    assert "kept out" in inside("touch /opt/kars/bin/x 2>/dev/null || echo kept out")
    inside("touch /sandbox/note")
    metadata = {"labels": {"kars.azure.com/dev-only": None}, "annotations": {"kars.azure.com/dev-only-removal-reason": "it goes to work"}}
    operated.cluster.call(
        "PATCH", f"{GROUP}/namespaces/{HOME}/karssandboxes/mine", {"metadata": metadata}, content_type="application/merge-patch+json")
    wait_until(lambda: conditions(operated.sandbox("mine"))["Sealed"]["status"] == "True", 30, "the seal")
    refused = operated.kubectl("-n", "kars-mine", "exec", "deploy/mine", "-c", "agent", "--", "true", expect=1)
    assert "nobody enters a sandbox" in refused
    # A small machine has room for three.
    operated.delete("mine")


def test_at_rest_nothing_is_written(operated, running):
    def versions():
        paths = [
            "/api/v1/namespaces/kars-first", "/apis/apps/v1/namespaces/kars-first/deployments/first",
            "/apis/networking.k8s.io/v1/namespaces/kars-first/networkpolicies/sandbox-policy", "/api/v1/namespaces/kars-first/services/first",
            "/api/v1/namespaces/kars-first/secrets/first-router", "/api/v1/namespaces/kars-first/serviceaccounts/sandbox",
            "/api/v1/namespaces/kars-first/configmaps/toolpolicy-tools-profile",
        ]
        return {path: operated.get(path)["metadata"]["resourceVersion"] for path in paths}

    def rounds():
        address = operated.events("controller.listening")[-1]["address"]
        text = urllib.request.urlopen(f"http://{address}/metrics", timeout=5).read().decode()
        found = re.search(r'kars_controller_reconcile_total\{crd_kind="KarsSandbox",outcome="success"\} (\d+)', text)
        return int(found.group(1))

    before, count = versions(), rounds()
    operated.kubectl("-n", HOME, "annotate", "karssandbox", "first", "note=looked-at")
    sandbox = operated.sandbox("first")["metadata"]["resourceVersion"]
    wait_until(lambda: rounds() > count, 30, "a round")
    assert versions() == before
    assert operated.sandbox("first")["metadata"]["resourceVersion"] == sandbox


def test_wrong_declarations_are_refused_and_missing_references_heal(operated, running):
    with pytest.raises(Failed) as refused:
        operated.apply(resource("KarsSandbox", "a" * 59, {"runtime": {"kind": "Native"}, "sandbox": {}, "inferenceRef": {"name": "models"}}))
    assert refused.value.code == 422
    operated.declare("healing", inferenceRef={"name": "later"})
    sandbox = operated.wait_for("healing", "Degraded")
    assert conditions(sandbox)["Ready"]["reason"] == "InferencePolicyNotFound"
    operated.apply(resource("InferencePolicy", "later", {"appliesTo": {}, "modelPreference": MODEL}))
    operated.wait_for("healing", "Running")
    operated.delete("healing")


def test_a_killed_controller_is_replaced_and_goes_on(operated, running):
    process = int(json.loads([line for line in (operated.cluster.directory / "cluster.log").read_text().splitlines() if '"operator.started"' in line][-1])["pid"])
    assert pathlib.Path(f"/proc/{process}/comm").read_text().strip() == "kars"
    os.kill(process, signal.SIGKILL)
    operated.declare("after")
    operated.wait_for("after", "Running")


def test_deleting_leaves_nothing(operated, running):
    operated.delete("first")
    wait_until(lambda: operated.sandbox("first") is None, 120, "the end of the sandbox")
    assert operated.get("/api/v1/namespaces/kars-first") is None
    for path in ("/api/v1/pods", "/apis/apps/v1/deployments", "/api/v1/secrets", "/apis/rbac.authorization.k8s.io/v1/rolebindings"):
        assert not [item for item in operated.get(path)["items"] if item["metadata"].get("namespace") == "kars-first"]
