"""The repair that a person approves, as a presenter shows it: `scripts/demo-sre` on a cluster of its own, from beginning to end."""
import base64
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

from cluster import KARS
from conftest import ROOT, needs_namespaces, wait_until
from test_controller import GROUP, Operated

ACTIONS = f"{GROUP}/namespaces/kars-sre/karssreactions"
QUOTAS = "/api/v1/namespaces/kars-research/resourcequotas"


def test_a_repair_is_proposed_approved_applied_and_the_agent_recovers(kubectl_program, tmp_path_factory):
    needs_namespaces()
    home = tmp_path_factory.mktemp("demo")
    environment = {
        "PATH": f"{os.path.dirname(kubectl_program)}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8", "KARS": str(KARS)}
    shown = subprocess.run(
        [ROOT / "scripts/demo-sre"], capture_output=True, text=True, timeout=420, env=environment, stdin=subprocess.DEVNULL)
    text = shown.stdout
    assert shown.returncode == 0, f"exit {shown.returncode}\n{text}\n{shown.stderr}"
    # In this order: what happened, and what was refused meanwhile.
    expected = [
        "no new pod: exceeded quota", "refused: .*proposed Pending", "Proposed: after", "refused: .*no agent decides", "refused: .*never changes",
        "refused: .*forbidden", "a second proposal about the same object is not taken up", "repair: Approved by kubernetes-admin",
        "refused: .*is Approved already", "Applied: after", "Recovered: after", "the agent runs: after", "refused: .*a decision stands",
        r"approval\s+Approved by kubernetes-admin", "condition +Executed=True Executed", "approved by kubernetes-admin, previous value: .*50Mi",
        "no right is left behind",
    ]
    place = 0
    for part in expected:
        found = re.compile(part).search(text, place)
        assert found, f"not shown, or not in its place: {part}\n{text}"
        place = found.end()
    seconds = int(re.search(r"from approval to recovery: (\d+) s", text).group(1))
    assert seconds <= 60, "spec/sre 7: recovered within 60 s of the approval"


@pytest.fixture
def operated(kubectl_program):
    needs_namespaces()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kars-"))
    world = Operated(directory, kubectl_program)
    try:
        wait_until(lambda: world.events("controller.synced"), 60, "the controller")
        yield world
    finally:
        world.cluster.stop()
        shutil.rmtree(directory)


def code_of(operated, token, method, path, body=None):
    """How the server answers the bearer of `token`, who has nothing else."""
    cluster = json.loads(operated.cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    request = urllib.request.Request(
        cluster["server"] + path, method=method, data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"})
    try:
        with urllib.request.urlopen(request, context=trusted, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def hindrance(verbs):
    """Keeps the writer from its deed, so that its right stays lent for as long as we look."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": verbs, "resources": ["resourcequotas"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "hindrance"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "!request.userInfo.username.endsWith(':kars-sre-writer')", "message": "not now", "reason": "Forbidden"}]}}
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "hindrance"},
        "spec": {"policyName": "hindrance", "validationActions": ["Deny"]}}
    return policy, binding


def test_beat_the_writers_token_does_the_one_thing_while_it_is_lent_and_nothing_else(operated):
    call = operated.cluster.call
    for namespace in ("kars-research", "kars-sre"):
        call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for name in ("small", "another"):
        call("POST", QUOTAS, {"metadata": {"name": name}, "spec": {"hard": {"pods": "1"}}})
    call("POST", "/api/v1/namespaces/default/resourcequotas", {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}})
    admission = "/apis/admissionregistration.k8s.io/v1"
    policy, binding = hindrance(["DELETE"])
    call("POST", f"{admission}/validatingadmissionpolicies", policy)
    call("POST", f"{admission}/validatingadmissionpolicybindings", binding)

    call("POST", ACTIONS, {
        "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSREAction", "metadata": {"name": "repair"},
        "spec": {
            "action": {"type": "DeleteResourceQuota", "params": {"namespace": "kars-research", "name": "small"}}, "approval": {"state": "Pending"}}})

    def status():
        return operated.get(f"{ACTIONS}/repair").get("status", {})

    wait_until(lambda: status().get("phase") == "Proposed", 20, "Proposed")
    token = operated.kubectl("-n", "kars-system", "create", "token", "kars-sre-writer").strip()
    small = f"{QUOTAS}/small"
    assert code_of(operated, token, "GET", small) == 403, "before the approval the account has no right at all"
    approval = {"spec": {"approval": {"state": "Approved", "by": "kubernetes-admin"}}}
    call("PATCH", f"{ACTIONS}/repair", approval, content_type="application/merge-patch+json")
    wait_until(lambda: code_of(operated, token, "GET", small) == 200, 30, "the right to be lent")
    assert operated.get(small), "nothing is done yet"

    subject = {"kind": "ServiceAccount", "name": "kars-sre-writer", "namespace": "kars-system"}
    attempts = {
        "another quota": ("DELETE", f"{QUOTAS}/another", None),
        "the quota of that name elsewhere": ("DELETE", "/api/v1/namespaces/default/resourcequotas/small", None),
        "which quotas there are": ("GET", QUOTAS, None),
        "a larger quota": ("PATCH", small, {"spec": {"hard": {"pods": "1000"}}}),
        "secrets": ("GET", "/api/v1/namespaces/kars-research/secrets", None),
        "a pod": ("POST", "/api/v1/namespaces/kars-research/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
        "a right of its own": ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/kars-research/rolebindings", {
            "metadata": {"name": "mine"}, "subjects": [subject],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}}),
        "a token of the granter": ("POST", "/api/v1/namespaces/kars-system/serviceaccounts/kars-sre-granter/token", {"spec": {}}),
        "another action": ("POST", ACTIONS, {
            "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSREAction", "metadata": {"name": "stolen"},
            "spec": {"action": {"type": "DeletePod", "params": {"namespace": "kars-research", "name": "p"}}, "approval": {"state": "Pending"}}}),
    }
    assert {name: code_of(operated, token, *attempt) for name, attempt in attempts.items()} == dict.fromkeys(attempts, 403)

    call("DELETE", f"{admission}/validatingadmissionpolicybindings/hindrance")
    wait_until(lambda: status().get("phase") == "Recovered", 60, "Recovered")
    assert status()["approvedBy"] == "kubernetes-admin"
    assert operated.get(small) is None and operated.get(f"{QUOTAS}/another")
    call("POST", QUOTAS, {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}})
    assert code_of(operated, token, "DELETE", small) == 403, "afterwards the right is gone, whoever still has the token"
