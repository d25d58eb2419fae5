"""The Python `kubernetes` client against the local cluster: list, watch with resume, patches, dynamic client, leader election."""
import datetime
import json
import pathlib
import subprocess
import sys

import pytest

from conftest import wait_until

kubernetes = pytest.importorskip("kubernetes", reason="skipped: the PyPI package kubernetes is not installed")
from kubernetes import client, dynamic, watch
from kubernetes.client.rest import ApiException


@pytest.fixture(scope="module")
def api(local_cluster):
    kubernetes.config.load_kube_config(config_file=str(local_cluster.kubeconfig))
    return client.ApiClient()


@pytest.fixture(scope="module")
def core(api):
    return client.CoreV1Api(api)


def config_map(name, labels=None, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


def test_objects_are_made_read_changed_and_deleted(core):
    made = core.create_namespaced_config_map("default", config_map("py", a="1"))
    assert made.metadata.uid and isinstance(made.metadata.creation_timestamp, datetime.datetime)
    made.data["b"] = "2"
    changed = core.replace_namespaced_config_map("py", "default", made)
    assert changed.data == {"a": "1", "b": "2"}
    with pytest.raises(ApiException) as stale:
        made.metadata.resource_version = "1"
        core.replace_namespaced_config_map("py", "default", made)
    assert stale.value.status == 409 and "object has been modified" in stale.value.body
    assert core.delete_namespaced_config_map("py", "default").status == "Success"
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("py", "default")
    assert gone.value.status == 404


def test_patches(core):
    core.create_namespaced_config_map("default", config_map("patched", a="1"))
    assert core.patch_namespaced_config_map("patched", "default", {"data": {"b": "2"}}).data == {"a": "1", "b": "2"}
    operations = [{"op": "replace", "path": "/data/a", "value": "9"}, {"op": "remove", "path": "/data/b"}]
    assert core.patch_namespaced_config_map("patched", "default", operations).data == {"a": "9"}
    applied = core.patch_namespaced_config_map(
        "patched", "default", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "patched"}, "data": {"c": "3"}},
        field_manager="py", _content_type="application/apply-patch+yaml")
    assert applied.data == {"a": "9", "c": "3"}


def test_lists_in_pages(core):
    for number in range(7):
        core.create_namespaced_config_map("default", config_map(f"page{number}", {"paged": "y"}))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="paged=y", limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page{number}" for number in range(7)]


def test_a_watch_goes_on_where_it_was_cut(core):
    start = core.list_namespaced_config_map("default", label_selector="seen=y").metadata.resource_version
    for number in range(4):
        core.create_namespaced_config_map("default", config_map(f"seen{number}", {"seen": "y"}))
    seen = []

    def follow(version, count):
        watcher = watch.Watch()
        for event in watcher.stream(core.list_namespaced_config_map, "default", label_selector="seen=y", resource_version=version, timeout_seconds=20):
            seen.append((event["type"], event["object"].metadata.name))
            version = event["object"].metadata.resource_version
            count -= 1
            if count == 0:
                watcher.stop()
        return version

    version = follow(start, 2)
    version = follow(version, 2)
    core.delete_namespaced_config_map("seen0", "default")
    follow(version, 1)
    assert seen == [("ADDED", f"seen{n}") for n in range(4)] + [("DELETED", "seen0")]


def test_a_watch_from_before_a_restart_is_told_that_it_is_too_old(core, local_cluster):
    version = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", config_map("later"))
    local_cluster("stop")
    local_cluster("start")
    with pytest.raises(ApiException) as expired:
        for _ in watch.Watch().stream(core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=5):
            pass
    assert expired.value.status == 410


def test_the_dynamic_client_finds_kinds_and_applies(api):
    anything = dynamic.DynamicClient(api)
    definitions = anything.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    definitions.create(body={
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.py.example.com"},
        "spec": {"group": "py.example.com", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}})

    def served():
        try:
            anything.resources.invalidate_cache()
            return anything.resources.get(api_version="py.example.com/v1", kind="Thing")
        except dynamic.exceptions.ResourceNotFoundError:
            return None

    things = wait_until(served, what="the new kind")
    thing = {"apiVersion": "py.example.com/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": {"size": 1}}
    assert things.server_side_apply(body=thing, namespace="default", field_manager="py").spec.size == 1
    thing["spec"]["size"] = 2
    with pytest.raises(dynamic.exceptions.ConflictError):
        things.server_side_apply(body=thing, namespace="default", field_manager="other")
    assert things.patch(body={"spec": {"size": 3}}, name="one", namespace="default", content_type="application/merge-patch+json").spec.size == 3
    assert [item.metadata.name for item in things.get(namespace="default").items] == ["one"]
    things.delete(name="one", namespace="default")
    definitions.delete(name="things.py.example.com")


def test_a_token_of_a_service_account_is_all_that_a_program_in_a_pod_has(core, api, local_cluster):
    core.create_namespaced_service_account("default", client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="program")))
    token = core.create_namespaced_service_account_token(
        "program", "default", client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))).status.token
    configuration = client.Configuration()
    configuration.host, configuration.ssl_ca_cert = api.configuration.host, api.configuration.ssl_ca_cert
    configuration.api_key = {"authorization": "Bearer " + token}
    program = client.ApiClient(configuration)
    me = client.AuthenticationV1Api(program).create_self_subject_review(client.V1SelfSubjectReview())
    assert me.status.user_info.username == "system:serviceaccount:default:program"
    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(program).list_namespaced_secret("default")
    assert refused.value.status == 403


class Candidate:
    """The client's leader election example, with the one thing filled in that it leaves to its user: where the kubeconfig is."""

    def __init__(self, directory, kubeconfig, name):
        text = (pathlib.Path(kubernetes.__file__).parent / "leaderelection/example.py").read_text()
        assert 'config_file=r""' in text
        program = directory / f"{name}.py"
        program.write_text(text.replace('config_file=r""', f'config_file=r"{kubeconfig}"'))
        self.log = directory / f"{name}.log"
        with self.log.open("w") as output:
            self.process = subprocess.Popen([sys.executable, "-u", program], stdout=output, stderr=subprocess.STDOUT)

    def leads(self):
        return "I am leader" in self.log.read_text()

    def end(self):
        self.process.kill()
        self.process.wait()


def test_two_of_the_leader_election_examples_take_turns(local_cluster, tmp_path, core):
    def holder():
        lock = core.read_namespaced_config_map("examplepython", "default").metadata.annotations
        return json.loads(lock["control-plane.alpha.kubernetes.io/leader"])["holderIdentity"]

    first = Candidate(tmp_path, local_cluster.kubeconfig, "first")
    second = Candidate(tmp_path, local_cluster.kubeconfig, "second")
    try:
        leader = wait_until(lambda: first if first.leads() else second if second.leads() else None, what="a leader")
        other = second if leader is first else first
        identity = holder()
        # The leader renews every five seconds; the other would take over after 17 without that.
        renewals = {core.read_namespaced_config_map("examplepython", "default").metadata.resource_version}

        def renewed_twice():
            renewals.add(core.read_namespaced_config_map("examplepython", "default").metadata.resource_version)
            return len(renewals) >= 3

        wait_until(renewed_twice, seconds=30, what="two renewals")
        assert holder() == identity and not other.leads()
        leader.end()
        wait_until(other.leads, seconds=60, what="the change of leaders")
        assert holder() != identity
    finally:
        first.end()
        second.end()
