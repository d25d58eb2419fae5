"""KarsPairing and KarsAuthConfig on a real `kars local start --with-controller`: what is written, what is refused, and that at rest nothing is."""
import datetime
import json
import pathlib
import shutil
import tempfile

import pytest

from cluster import Failed
from conftest import needs_namespaces, wait_until
from test_controller import GROUP, HOME, Operated, conditions

PAIRINGS = f"{GROUP}/namespaces/{HOME}/karspairings"
AUTHENTICATIONS = f"{GROUP}/karsauthconfigs"
SETTINGS = f"/api/v1/namespaces/{HOME}/configmaps/kars-auth-sidecar-env"
GUID = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
AMID = "did:mesh:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def operated(kubectl_program):
    needs_namespaces()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kars-"))
    world = Operated(directory, kubectl_program)
    wait_until(lambda: world.events("controller.synced"), 60, "the controller")
    yield world
    world.cluster.stop()
    shutil.rmtree(directory)


def invitation(name, seconds):
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return {
        "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsPairing", "metadata": {"name": name},
        "spec": {"tokenHash": "0a" * 32, "expiresAt": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "capabilities": ["offload"]}}


def phase(operated, path):
    return (operated.get(path) or {}).get("status", {}).get("phase")


def test_an_invitation_waits_is_taken_counts_its_work_and_ends(operated):
    operated.cluster.call("POST", PAIRINGS, invitation("laptop", 3_600))
    path = f"{PAIRINGS}/laptop"
    wait_until(lambda: phase(operated, path) == "PendingPairing", 20, "PendingPairing")
    waiting = operated.get(path)
    assert conditions(waiting)["Ready"]["status"] == "False"
    assert {waiting["status"][name] for name in ("slotsUsed", "tokensUsed", "offloadsCompleted", "offloadsFailed")} == {0}

    taken = {"status": {"phase": "Active", "boundAmid": AMID, "pairedAt": "2026-01-02T03:04:05Z"}}
    operated.cluster.call("PATCH", f"{path}/status", taken, content_type=MERGE)
    wait_until(lambda: conditions(operated.get(path))["Ready"]["status"] == "True", 20, "Ready")
    table = operated.kubectl("-n", HOME, "get", "cp", "laptop")
    assert "Active" in table and AMID in table and "True" in table

    work = {
        "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSandbox",
        "metadata": {
            "name": "offload-1", "labels": {"kars.azure.com/spawned-by": "offload"}, "annotations": {"kars.azure.com/offload-parent-amid": AMID}},
        "spec": {"runtime": {"kind": "Native"}, "sandbox": {}, "inferenceRef": {"name": "none"}}}
    operated.cluster.call("POST", f"{GROUP}/namespaces/{HOME}/karssandboxes", work)
    wait_until(lambda: operated.get(path)["status"].get("slotsUsed") == 1, 20, "a slot in use")
    assert operated.get(path)["status"]["activeSandbox"] == "offload-1"
    operated.delete("offload-1")
    wait_until(lambda: operated.get(path)["status"]["slotsUsed"] == 0, 60, "the slot to be free")

    operated.cluster.call("PATCH", path, {"spec": {"expiresAt": invitation("x", 2)["spec"]["expiresAt"]}}, content_type=MERGE)
    wait_until(lambda: phase(operated, path) == "Expired", 20, "its end")
    assert conditions(operated.get(path))["Ready"]["reason"] == "Expired"
    assert "Expired" in operated.kubectl("-n", HOME, "get", "events", "--field-selector", "involvedObject.name=laptop")


@pytest.mark.parametrize("change", [{"tokenHash": "secret"}, {"expiresAt": "tomorrow"}, {"slotsMax": 0}, {"tokenBudget": -1}])
def test_an_invitation_without_bounds_is_refused(operated, change):
    wrong = invitation("wrong", 60)
    wrong["spec"].update(change)
    with pytest.raises(Failed) as refused:
        operated.cluster.call("POST", PAIRINGS, wrong)
    assert refused.value.code == 422


def authentication(name="default", **controller):
    return {
        "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsAuthConfig", "metadata": {"name": name},
        "spec": {
            "tenant": {"tenantId": GUID}, "agentId": {"blueprintClientId": GUID, "blueprintObjectId": GUID},
            "controller": {"managedIdentityClientId": GUID, "managedIdentityResourceId": "/subscriptions/s/x", **controller},
            "downstreamApis": {"Graph": {"baseUrl": "https://graph.example/", "scopes": ["a"]}}}}


def test_how_agents_prove_themselves_reaches_the_sidecar_and_goes_with_its_configuration(operated):
    assert operated.get(SETTINGS) is None, "nothing of Azure without a KarsAuthConfig"
    with pytest.raises(Failed) as refused:
        operated.cluster.call("POST", AUTHENTICATIONS, authentication("another"))
    assert refused.value.code == 422
    operated.cluster.call("POST", AUTHENTICATIONS, authentication())
    path = f"{AUTHENTICATIONS}/default"
    wait_until(lambda: phase(operated, path) == "Ready", 20, "Ready")
    first = operated.get(SETTINGS)
    assert first["data"]["AzureAd__ClientId"] == GUID and first["data"]["DownstreamApis__Graph__Scopes__0"] == "a"
    assert conditions(operated.get(path))["SidecarConfigMaterialized"]["status"] == "True"

    edit = {"spec": {"controller": {"credentialMode": "WorkloadIdentity"}, "downstreamApis": {"Graph": None}}}
    operated.cluster.call("PATCH", path, edit, content_type=MERGE)
    wait_until(lambda: operated.get(SETTINGS)["data"] != first["data"], 20, "the edit")
    second = operated.get(SETTINGS)
    assert second["data"]["AzureAd__ClientCredentials__0__SourceType"] == "SignedAssertionFilePath"
    assert not [name for name in second["data"] if name.startswith("DownstreamApis__")], "what is gone from the spec is gone here"
    hashes = [item["metadata"]["annotations"]["kars.azure.com/auth-config-spec-hash"] for item in (first, second)]
    assert len(set(hashes)) == 2

    operated.cluster.call("DELETE", SETTINGS)
    wait_until(lambda: operated.get(SETTINGS) is not None, 20, "what was removed to be written again")
    operated.cluster.call("DELETE", path)
    wait_until(lambda: operated.get(SETTINGS) is None, 60, "the settings to go with their owner")


def test_at_rest_nothing_is_written(operated):
    operated.cluster.call("POST", PAIRINGS, invitation("resting", 3_600))
    operated.cluster.call("POST", AUTHENTICATIONS, authentication())
    paths = [f"{PAIRINGS}/resting", f"{AUTHENTICATIONS}/default", SETTINGS]
    wait_until(lambda: phase(operated, paths[0]) == "PendingPairing" and phase(operated, paths[1]) == "Ready", 20, "both")

    def versions():
        return [operated.get(path)["metadata"]["resourceVersion"] for path in paths]

    before = versions()
    # Another of each kind comes by, so that there are rounds: theirs are over when these have a status.
    operated.cluster.call("POST", PAIRINGS, invitation("passing", 3_600))
    wait_until(lambda: phase(operated, f"{PAIRINGS}/passing") == "PendingPairing", 20, "the other")
    operated.kubectl("annotate", "karsauthconfig", "default", "note=looked-at")
    operated.kubectl("-n", HOME, "annotate", "karspairing", "resting", "note=looked-at")
    touched = versions()
    operated.cluster.call("POST", PAIRINGS, invitation("last", 3_600))
    wait_until(lambda: phase(operated, f"{PAIRINGS}/last") == "PendingPairing", 20, "the last")
    assert versions() == touched
    assert touched[2] == before[2], json.dumps(operated.get(SETTINGS))
