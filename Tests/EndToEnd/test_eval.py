"""KarsEval on a real `kars local start --with-controller`: a run that passes, a run that fails and is seen, history, drift and its end."""
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from cluster import KARS
from conftest import needs_namespaces, wait_until
from test_controller import GROUP, HOME, MODEL, PROFILE, Operated, conditions, resource

EVALS = f"{GROUP}/namespaces/{HOME}/karsevals"


class World(Operated):
    def kars(self, *arguments, expect=0, timeout=240):
        environment = {**self.cluster.environment, "KUBECONFIG": str(self.cluster.kubeconfig)}
        result = subprocess.run(
            [KARS, *arguments], capture_output=True, text=True, timeout=timeout, env=environment, stdin=subprocess.DEVNULL)
        assert result.returncode == expect, f"kars {arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}\n{self.log[-3000:]}"
        return result.stdout

    def eval(self, name):
        return self.get(f"{EVALS}/{name}")

    def declare_eval(self, name, corpus, **spec):
        spec = {"targetSandboxRef": {"name": "judged"}, "corpus": {"builtin": corpus}, **spec}
        self.cluster.call("POST", EVALS, resource("KarsEval", name, spec))


@pytest.fixture(scope="module")
def world(kubectl_program):
    needs_namespaces()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kars-"))
    world = World(directory, kubectl_program)
    try:
        wait_until(lambda: world.events("controller.synced"), 60, "the controller")
        world.apply(resource("InferencePolicy", "models", {"appliesTo": {}, "modelPreference": MODEL}))
        applies = {"tool": "*", "sandboxMatchLabels": {"team": "e2e"}}
        world.apply(resource("ToolPolicy", "tools", {"appliesTo": applies, "agtProfile": {"inline": PROFILE}}))
        world.declare("judged")
        world.wait_for("judged", "Running")
        yield world
    finally:
        world.cluster.stop()
        shutil.rmtree(directory)


def test_a_run_that_passes_is_ready(world):
    world.declare_eval("tools", "banned-tools")
    shown = world.kars("eval", "run", "tools", "--namespace", HOME, "--wait", "--timeout", "200")
    assert "5/5" in shown
    wait_until(lambda: world.eval("tools")["status"]["phase"] == "Ready", 20, "Ready")
    status = world.eval("tools")["status"]
    assert (status["lastResult"]["passed"], status["lastResult"]["failed"], status["lastResult"]["errored"]) == (5, 0, 0)
    assert conditions(world.eval("tools"))["ConformanceDrift"]["reason"] == "AllPassed"
    assert len(status["history"]) == 1


def test_beat_a_failed_run_is_seen_and_its_drift_outlives_the_sandboxs_own_loop_and_heals(world):
    # The model of the demonstration answers everything, and nothing filters what it is asked.
    world.declare_eval("jailbreak", "jailbreak-baseline", failSandboxOnDrift=True)
    world.kars("eval", "run", "jailbreak", "--namespace", HOME, "--wait", "--timeout", "200", expect=1)
    status = world.eval("jailbreak")["status"]
    assert (status["lastResult"]["total"], status["lastResult"]["failed"], status["lastResult"]["passed"]) == (6, 5, 1), status
    assert len(status["lastResult"]["firstFailingCases"]) == 5
    job = world.get(f"/apis/batch/v1/namespaces/kars-judged/jobs/{status['lastResult']['jobName']}")
    assert [c["type"] for c in job["status"]["conditions"] if c["status"] == "True"][-1] == "Failed"
    wait_until(lambda: world.eval("jailbreak")["status"]["phase"] == "Degraded", 20, "Degraded")
    assert conditions(world.eval("jailbreak"))["ConformanceDrift"]["status"] == "True"
    wait_until(lambda: conditions(world.sandbox("judged")).get("ConformanceDrift", {}).get("status") == "True", 20, "drift at the sandbox")
    # The sandbox's own loop leaves it there.
    world.kubectl("-n", HOME, "annotate", "karssandbox", "judged", "note=looked-at")
    world.cluster.call(
        "PATCH", f"{GROUP}/namespaces/{HOME}/karssandboxes/judged", {"spec": {"networkPolicy": {"allowedEndpoints": [{"host": "a.example", "port": 443}]}}},
        content_type="application/merge-patch+json")
    generation = world.sandbox("judged")["metadata"]["generation"]
    wait_until(lambda: world.sandbox("judged")["status"]["observedGeneration"] == generation, 60, "a round of the sandbox")
    assert conditions(world.sandbox("judged"))["ConformanceDrift"]["reason"] == "DriftDetected"

    change = {"spec": {"corpus": {"builtin": "banned-tools"}}}
    world.cluster.call("PATCH", f"{EVALS}/jailbreak", change, content_type="application/merge-patch+json")
    world.wait_for("judged", "Running")
    world.kars("eval", "run", "jailbreak", "--namespace", HOME, "--wait", "--timeout", "200")
    wait_until(lambda: conditions(world.sandbox("judged"))["ConformanceDrift"]["status"] == "False", 20, "the end of the drift")
    assert [run["failed"] for run in world.eval("jailbreak")["status"]["history"]] == [0, 5]
    difference = world.kars("eval", "diff", "jailbreak", "--namespace", HOME)
    assert "the cases themselves changed" in difference and "-5" in difference


def test_what_the_agent_may_not_reach_is_blocked_for_the_runner_too(world):
    world.declare_eval("egress", "egress-known-bad")
    world.kars("eval", "run", "egress", "--namespace", HOME, "--wait", "--timeout", "200")
    result = world.eval("egress")["status"]["lastResult"]
    assert (result["passed"], result["errored"]) == (6, 0), result


def test_deleting_leaves_nothing(world):
    for name in ("tools", "jailbreak", "egress"):
        world.cluster.call("DELETE", f"{EVALS}/{name}")
    wait_until(lambda: not world.get(EVALS)["items"], 60, "their end")

    def left():
        jobs = world.get("/apis/batch/v1/namespaces/kars-judged/jobs")["items"]
        maps = world.get("/api/v1/namespaces/kars-judged/configmaps")["items"]
        return [item["metadata"]["name"] for item in jobs + maps if item["metadata"]["name"].startswith("karseval-")]

    wait_until(lambda: not left(), 60, "nothing left")
