"""kars installed into a cluster with its own command, and what stock kubectl then sees and is refused."""
import json
import subprocess

import pytest

from cluster import KARS

KINDS = {
    "karssandboxes", "inferencepolicies", "toolpolicies", "mcpservers", "karsmemories", "egressapprovals", "karssreactions", "a2aagents",
    "karsevals", "trustgraphs", "karsauthconfigs", "karspairings",
}


@pytest.fixture
def installed(fresh_cluster, kubectl_program):
    fresh_cluster.start("--without-node")
    return Installed(fresh_cluster, kubectl_program)


class Installed:
    def __init__(self, cluster, program):
        self.cluster, self.program = cluster, program

    def kars(self, *arguments, expect=0):
        words = [KARS, *arguments, "--kubeconfig", self.cluster.kubeconfig]
        result = subprocess.run(
            words, capture_output=True, text=True, timeout=120, env=self.cluster.environment, stdin=subprocess.DEVNULL)
        assert result.returncode == expect, f"kars {arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def outcomes(self, *arguments):
        return {f"{row['kind']}/{row['name']}": row["outcome"] for row in json.loads(self.kars(*arguments, "--output", "json").stdout)}

    def kubectl(self, *arguments, expect=0, manifest=None):
        result = subprocess.run(
            [self.program, "--kubeconfig", self.cluster.kubeconfig, *arguments], capture_output=True, text=True, timeout=60,
            input=json.dumps(manifest) if manifest else None)
        assert result.returncode == expect, f"kubectl {arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        return result


def action(**approval):
    return {
        "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSREAction", "metadata": {"name": "a", "namespace": "kars-system"},
        "spec": {
            "action": {"type": "ScaleDeployment", "params": {"namespace": "kars-a", "name": "a", "replicas": 1}},
            "approval": approval or {"state": "Pending"}}}


def test_a_dry_run_makes_nothing_and_two_installations_make_one(installed):
    assert installed.outcomes("install", "--dry-run")["CustomResourceDefinition/karssandboxes.kars.azure.com"] == "created"
    assert installed.kubectl("get", "crd", "-o", "name").stdout == ""
    first = installed.outcomes("install", "--without-controller")
    assert set(first.values()) == {"created", "skipped"}
    assert [name for name, outcome in first.items() if outcome == "skipped"] == ["DaemonSet/kars-seccomp-installer"]
    second = installed.outcomes("install", "--without-controller")
    assert set(second.values()) == {"unchanged", "kept", "skipped"}
    found = installed.kubectl("get", "crd", "-o", "name").stdout.split()
    assert {name.split("/")[1].split(".")[0] for name in found} == KINDS


def test_kubectl_explains_the_kinds_and_says_what_is_wrong(installed):
    installed.kars("install", "--without-controller")
    explained = installed.kubectl("explain", "karssandbox.spec").stdout
    assert "inferenceRef" in explained and "-required-" in explained
    wrong = action()
    wrong["spec"]["action"]["params"]["replicas"] = 51
    assert "less than or equal to 50" in installed.kubectl("apply", "-f", "-", manifest=wrong, expect=1).stderr
    wrong["spec"]["action"] = {"type": "ScaleDeployment", "params": {"namespace": "kube-system", "name": "a", "replicas": 1}}
    assert "nothing is repaired in the namespaces" in installed.kubectl("apply", "-f", "-", manifest=wrong, expect=1).stderr
    wrong["spec"]["bogus"] = 1
    assert 'unknown field "spec.bogus"' in installed.kubectl("apply", "-f", "-", manifest=wrong, expect=1).stderr
    born = installed.kubectl("apply", "-f", "-", manifest=action(state="Approved", by="kubernetes-admin"), expect=1)
    assert "proposed Pending" in born.stderr
    installed.kubectl("apply", "-f", "-", manifest=action())
    patch = '{"spec":{"approval":{"state":"Approved","by":"somebody"}}}'
    refused = installed.kubectl(
        "-n", "kars-system", "patch", "sreaction", "a", "--type", "merge", "-p", patch, expect=1)
    assert 'names who decides: "kubernetes-admin"' in refused.stderr
    installed.kubectl("-n", "kars-system", "patch", "sreaction", "a", "--type", "merge", "-p", patch.replace("somebody", "kubernetes-admin"))
    table = installed.kubectl("-n", "kars-system", "get", "sreaction", "a").stdout.splitlines()
    assert table[0].split() == ["NAME", "TYPE", "TARGET-NS", "TARGET-NAME", "PHASE", "APPROVAL", "AGE"]
    assert table[1].split()[:4] == ["a", "ScaleDeployment", "kars-a", "a"] and "Approved" in table[1]


def test_uninstalling_keeps_what_was_declared_until_it_is_told_otherwise(installed):
    installed.kars("install", "--without-controller")
    installed.kubectl("apply", "-f", "-", manifest=action())
    installed.kars("uninstall")
    assert "a" in installed.kubectl("-n", "kars-system", "get", "sreaction", "-o", "name").stdout
    assert installed.kubectl("get", "validatingadmissionpolicies", "-o", "name").stdout == ""
    installed.kars("install", "--without-controller")
    # Declared before, refused now, and neither holds the end up.
    born = action(state="Approved", by="kubernetes-admin")
    born["metadata"]["name"] = "b"
    assert "proposed Pending" in installed.kubectl("apply", "-f", "-", manifest=born, expect=1).stderr
    assert "Say --yes" in installed.kars("uninstall", "--crds", expect=2).stderr
    installed.kars("uninstall", "--crds", "--yes")
    assert installed.kubectl("get", "crd", "-o", "name").stdout == ""


def test_a_cluster_that_cannot_be_reached_is_said(tmp_path):
    missing = subprocess.run([KARS, "install", "--kubeconfig", tmp_path / "none"], capture_output=True, text=True)
    assert missing.returncode == 3 and "there is no file" in missing.stderr
