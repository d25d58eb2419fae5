"""What a policy says is what the running router does, and both say the same digest (issue 4, acceptance 3)."""
import json

import pytest

from conftest import wait_until

POLICY = "dev-agent-toolpolicy"
RULES = """version: "2"
agent: dev-agent
defaultDecision: deny
policies:
  - name: models
    type: capability
    priority: 80
    allowed_actions: ["inference:*", "output:*", "tool.invoke:*"]
  - name: shell
    type: capability
    priority: 80
    allowed_actions: ["shell:{program}"]
"""


@pytest.fixture(scope="module")
def sandbox(kars):
    kars("dev", "--detach", timeout=120)
    return "dev-agent"


@pytest.fixture
def policy(kars, kubectl_program):
    class Policy:
        def edit(self, text):
            patch = json.dumps({"spec": {"agtProfile": {"inline": text}}})
            return kars.kubectl(kubectl_program, "patch", "toolpolicy", POLICY, "--namespace", "kars-system", "--type", "merge", "--patch", patch)

        @property
        def status(self):
            return kars.kubectl(kubectl_program, "get", "toolpolicy", POLICY, "--namespace", "kars-system")["status"]

        @property
        def conditions(self):
            return {c["type"]: c for c in self.status["conditions"]}

    return Policy()


def enforced(kars):
    entries = kars.json("policy", "get", "dev-agent")["enforced"]["entries"]
    return next(entry for entry in entries if entry["kind"] == "AgtProfile")


def ran(kars, program):
    return "refused" not in kars("connect", "dev-agent", "--prompt", f"run {program}").stdout


def test_an_edit_reaches_the_running_router_and_both_sides_agree(kars, sandbox, policy):
    edited = policy.edit(RULES.format(program="id"))
    wait_until(lambda: ran(kars, "id") and not ran(kars, "uname"), 20, "the first edit in force")
    policy.edit(RULES.format(program="uname"))
    wait_until(lambda: ran(kars, "uname") and not ran(kars, "id"), 20, "the second edit in force")
    wait_until(lambda: policy.status["observedGeneration"] == edited["metadata"]["generation"] + 1 and policy.status["phase"] == "Ready", 20, "Ready")
    assert policy.conditions["Ready"]["status"] == "True"
    assert policy.status["agtProfileDigest"] == enforced(kars)["digest"]
    (entry,) = [entry for entry in kars.json("inspect", "dev-agent")["entries"] if entry["kind"] == "AgtProfile"]
    assert entry["current"] is True


def test_a_broken_edit_leaves_the_last_good_one_in_force_and_says_where_it_is_broken(kars, sandbox, policy):
    policy.edit(RULES.format(program="uname"))
    wait_until(lambda: policy.status["phase"] == "Ready", 20, "Ready")
    before = enforced(kars)["digest"]
    policy.edit(RULES.format(program="id") + "  - name: [\n")
    wait_until(lambda: policy.conditions["Degraded"]["status"] == "True", 20, "Degraded")
    message = policy.conditions["Degraded"]["message"]
    assert "agt-profile" in message and "14" in message, message
    assert policy.conditions["Ready"]["status"] == "False"
    assert enforced(kars)["digest"] == before
    assert ran(kars, "uname") and not ran(kars, "id")
    policy.edit(RULES.format(program="id"))
    wait_until(lambda: policy.status["phase"] == "Ready" and ran(kars, "id"), 20, "the mended one in force")
